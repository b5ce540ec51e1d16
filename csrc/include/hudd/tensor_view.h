// A borrowed view of a tensor, and the checks that every operation makes before it touches memory.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "hudd/dlpack.h"

namespace hudd {

enum class DType { float32, float16, bfloat16, float64, int64, uint8, uint64 };

struct TensorView {
  void* data = nullptr;
  DType dtype = DType::float32;
  bool cuda = false;
  int device_id = 0;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;

  std::int64_t numel() const {
    std::int64_t product = 1;
    for (const auto extent : shape) product *= extent;
    return product;
  }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
  std::string describe() const;
};

// Wraps a DLPack tensor; throws std::invalid_argument if its dtype or device is not one that hudd computes on.
TensorView view_of(const DLTensor& tensor, const std::string& name);

// Each check throws std::invalid_argument with a full sentence.
void require_dtype(const TensorView& tensor, const std::string& name, DType dtype);
void require_rank_at_least(const TensorView& tensor, const std::string& name, std::size_t rank);
void require_shape(const TensorView& tensor, const std::string& name, const std::vector<std::int64_t>& shape);
void require_same_device(const TensorView& tensor, const std::string& name, const TensorView& other,
                         const std::string& other_name);
// Same shape and the same dense memory order with the batch axis outermost, so that one flat loop serves both.
void require_same_layout(const TensorView& tensor, const std::string& name, const TensorView& other,
                         const std::string& other_name);
// Every element stored once, without gaps, samples one after the other (row-major, channels-last, ...).
void require_dense(const TensorView& tensor, const std::string& name);
void require_row_major(const TensorView& tensor, const std::string& name);
bool is_row_major(const TensorView& tensor);
// Row-major but for axis 1, which is stored last.
bool is_channels_last(const TensorView& tensor);

}  // namespace hudd
