// Max pooling's winner takes all, gathered: each input element asks the windows that hold it whether it won, in
// row-major order, so there are no atomics and one order of addition.
#include "hudd/pooling.h"
#include "launch.cuh"

namespace hudd::cuda {
namespace {

// Outputs along one axis whose window may hold position `at`: [first, last].
__device__ void windows_of(const MaxPool& pool, int axis, std::int64_t at, std::int64_t& first, std::int64_t& last) {
  const std::int64_t reach = (pool.window[axis] - 1) * pool.dilation[axis];
  const std::int64_t low = at + pool.padding[axis] - reach;
  first = low <= 0 ? 0 : (low + pool.stride[axis] - 1) / pool.stride[axis];
  last = (at + pool.padding[axis]) / pool.stride[axis];
  if (last > pool.size[axis] - 1) last = pool.size[axis] - 1;
}

__global__ void __launch_bounds__(kThreads) max_pool_kernel(const MaxPool pool, std::int64_t count) {
  const std::int64_t plane_size = pool.in[0] * pool.in[1] * pool.in[2] * pool.interleaved;
  const std::int64_t out_size = pool.size[0] * pool.size[1] * pool.size[2] * pool.interleaved;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += static_cast<std::int64_t>(gridDim.x) * kThreads) {
    const std::int64_t plane = i / plane_size, at = i % plane_size / pool.interleaved, channel = i % pool.interleaved;
    const float* input = pool.input + plane * plane_size + channel;
    const float* message = pool.message + plane * out_size + channel;
    std::int64_t d0, d1, h0, h1, w0, w1;
    windows_of(pool, 0, at / (pool.in[1] * pool.in[2]), d0, d1);
    windows_of(pool, 1, at / pool.in[2] % pool.in[1], h0, h1);
    windows_of(pool, 2, at % pool.in[2], w0, w1);
    float received = 0.0f;
    for (std::int64_t d = d0; d <= d1; ++d)
      for (std::int64_t h = h0; h <= h1; ++h)
        for (std::int64_t w = w0; w <= w1; ++w)
          if (winner(pool, input, d, h, w) == at) {
            const float sent = message[((d * pool.size[1] + h) * pool.size[2] + w) * pool.interleaved];
            received = pool.last_wins ? sent : received + sent;
          }
    pool.out[i] = received;
  }
}

}  // namespace

void max_pool(const MaxPool& pool, int device, void* stream) {
  const std::int64_t count = pool.planes * pool.in[0] * pool.in[1] * pool.in[2] * pool.interleaved;
  if (count == 0) return;
  const DeviceGuard guard(device);
  max_pool_kernel<<<blocks_for(count), kThreads, 0, stream_of(stream)>>>(pool, count);
  check_launch("launching the max-pool kernel");
}

}  // namespace hudd::cuda
