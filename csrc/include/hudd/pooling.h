// The window arithmetic of max pooling, shared by CPU and CUDA.
#pragma once

#include "hudd/kernels.h"

namespace hudd {

// Position in the plane of the element that wins the window of output (d, h, w); -1 if the window holds none. `plane`
// points to the first element of the plane's channel in question. `Pool` has the extents of a MaxPool, as `Index` or wider.
template <typename Index, typename Pool>
HUDD_HOST_DEVICE Index winner(const Pool& pool, const float* plane, Index d, Index h, Index w) {
  const Index first[3] = {d * pool.stride[0] - pool.padding[0], h * pool.stride[1] - pool.padding[1],
                          w * pool.stride[2] - pool.padding[2]};
  Index best = -1;
  float best_value = 0.0f;
  for (Index i = 0; i < pool.window[0]; ++i) {
    const Index z = first[0] + i * pool.dilation[0];
    if (z < 0 || z >= pool.in[0]) continue;
    for (Index j = 0; j < pool.window[1]; ++j) {
      const Index y = first[1] + j * pool.dilation[1];
      if (y < 0 || y >= pool.in[1]) continue;
      for (Index k = 0; k < pool.window[2]; ++k) {
        const Index x = first[2] + k * pool.dilation[2];
        if (x < 0 || x >= pool.in[2]) continue;
        const Index at = (z * pool.in[1] + y) * pool.in[2] + x;
        const float value = plane[at * pool.interleaved];
        if (best < 0 || wins(value, best_value)) {
          best = at;
          best_value = value;
        }
      }
    }
  }
  return best;
}

// The same for a row-major plane and a window of kSide x kSide neighbours that lies wholly inside; `first` is its upper left element.
template <int kSide>
HUDD_HOST_DEVICE std::int64_t winner_inside(const float* plane, std::int64_t first, std::int64_t row) {
  std::int64_t best = first;
  float best_value = plane[first];
  for (int i = 0; i < kSide; ++i) {
    for (int j = 0; j < kSide; ++j) {
      const std::int64_t at = first + i * row + j;
      const bool better = wins(plane[at], best_value);
      best = better ? at : best;
      best_value = better ? plane[at] : best_value;
    }
  }
  return best;
}

}  // namespace hudd
