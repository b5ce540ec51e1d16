// What operations ask of their tensors before a kernel gets raw pointers.
#pragma once

#include "hudd/ops.h"

namespace hudd {

inline std::int64_t samples_of(const TensorView& tensor) { return tensor.shape.empty() ? 1 : tensor.shape[0]; }

inline std::int64_t per_sample_of(const TensorView& tensor) {
  const std::int64_t samples = samples_of(tensor);
  return samples == 0 ? 0 : tensor.numel() / samples;
}

// An operand that is walked in step with `message`.
inline const float* operand(const TensorView& tensor, const char* name, const TensorView& message) {
  require_dtype(tensor, name, DType::float32);
  require_same_device(tensor, name, message, "message");
  require_same_layout(tensor, name, message, "message");
  return tensor.as<const float>();
}

inline const float* operand(const MaybeTensor& tensor, const char* name, const TensorView& message) {
  return tensor ? operand(*tensor, name, message) : nullptr;
}

inline float* result(const TensorView& tensor, const char* name, const TensorView& message) {
  return const_cast<float*>(operand(tensor, name, message));
}

inline void require_message(const TensorView& message) {
  require_dtype(message, "message", DType::float32);
  require_rank_at_least(message, "message", 1);
  require_dense(message, "message");
}

}  // namespace hudd
