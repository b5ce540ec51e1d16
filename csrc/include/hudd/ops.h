// The operations that Python calls: each checks its tensors, then hands raw pointers to the CPU or CUDA kernel.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "hudd/tensor_view.h"

namespace hudd {

// Where to compute: the caller's thread count on the CPU, the caller's stream on CUDA.
struct Execution {
  int threads = 1;
  void* stream = nullptr;
};

using MaybeTensor = std::optional<TensorView>;

void quotient(const TensorView& message, const MaybeTensor& factor, const TensorView& z, const MaybeTensor& gate,
              const TensorView& out, float scale, float epsilon, const std::string& stabilizer, const std::string& passes,
              const Execution& execution);

void product(const TensorView& message, const MaybeTensor& factor, const MaybeTensor& out, const MaybeTensor& sums,
             const Execution& execution);

// `channel_axis` counts from 0 with the batch axis; `over` is "space" or "channels".
void pooled_product(const TensorView& message, const MaybeTensor& factor, const TensorView& out, int channel_axis,
                    const std::string& over, const Execution& execution);

// `input` and, with twice its extent along `axis`, its positive and negative part one after the other.
void split(const TensorView& input, const TensorView& parts, int axis, const Execution& execution);

// out = the first of `parts` where the input is greater than zero, else the second.
void by_sign(const TensorView& input, const TensorView& parts, const TensorView& out, int axis, const Execution& execution);

void box(const TensorView& input, const TensorView& message, const TensorView& message_plus,
         const TensorView& message_minus, const TensorView& low, const TensorView& high, const TensorView& out,
         const Execution& execution);

using Extents = std::array<std::int64_t, 3>;

void max_pool(const TensorView& input, const TensorView& message, const TensorView& out, const Extents& window,
              const Extents& stride, const Extents& padding, const Extents& dilation, bool last_wins,
              const Execution& execution);

// sums += the squared distances of `pairs`, (count, 2): a row of `left` and a row of `right` each. On CUDA, where `pairs`
// cannot be read without waiting, the sum of a pair that there is no row for becomes NaN.
void add_differences(const TensorView& left, const TensorView& right, const TensorView& pairs, const TensorView& sums,
                     const Execution& execution);

// A 3x3 convolution with stride 1 on the CPU, channels-last; `weights` transformed, (16, panels, channels, kWinogradPanel).
void winograd(const TensorView& input, const TensorView& weights, const TensorView& out,
              const std::array<std::int64_t, 2>& padding, const Execution& execution);

// Of images, (count, height, width, 3): their hashes, (count, 2), and their thumbnails, on the CPU.
void image_prints(const TensorView& images, const TensorView& pixels, const TensorView& thumbnails);

// out, (count, 3, height, width) = (images * scale - mean) / deviation, on the CPU.
void image_planes(const TensorView& images, const TensorView& out, float scale, const std::array<float, 3>& mean,
                  const std::array<float, 3>& deviation);

// out, (count, height, width): the luma of colours, (count, height, width, 3), on the CPU.
void picture_luma(const TensorView& colour, const TensorView& out);

// Statistics of images of levels from 0 to 1, colour (count, height, width, 3) and grey (count, height, width), at most
// kPictureSide a side, on the CPU: out is (count, kLightNumbers), (count, kFrameNumbers) or (count, kDetailNumbers).
void picture_light(const TensorView& colour, const TensorView& grey, std::int64_t around, const TensorView& out);
void picture_frame(const TensorView& grey, const TensorView& out);
void picture_detail(const TensorView& grey, const TensorView& out);

// Number of partial sums a sample that `product` writes.
std::int64_t partial_sums(const TensorView& tensor);

}  // namespace hudd
