// Relevance summed over space (one block a channel) or over channels (one thread a position).
#include "launch.cuh"

namespace hudd::cuda {
namespace {

__device__ double relevance_at(const PooledProduct& p, std::int64_t i) {
  return static_cast<double>(p.factor ? p.message[i] * p.factor[i] : p.message[i]);
}

__global__ void __launch_bounds__(kThreads) over_space_kernel(const PooledProduct p) {
  const std::int64_t sample = blockIdx.x / p.channels, channel = blockIdx.x % p.channels;
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < p.outer * p.inner; i += kThreads) {
    const std::int64_t outer = i / p.inner, inner = i % p.inner;
    sum += relevance_at(p, ((sample * p.outer + outer) * p.channels + channel) * p.inner + inner);
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) p.out[blockIdx.x] = static_cast<float>(sum);
}

__global__ void __launch_bounds__(kThreads) over_channels_kernel(const PooledProduct p, std::int64_t positions) {
  const std::int64_t position = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (position >= positions) return;
  const std::int64_t row = position / p.inner, inner = position % p.inner;
  double sum = 0;
  for (std::int64_t channel = 0; channel < p.channels; ++channel)
    sum += relevance_at(p, (row * p.channels + channel) * p.inner + inner);
  p.out[position] = static_cast<float>(sum);
}

}  // namespace

void pooled_product(const PooledProduct& p, int device, void* stream) {
  const std::int64_t positions = p.samples * p.outer * p.inner;
  const std::int64_t blocks = p.over_space ? p.samples * p.channels : (positions + kThreads - 1) / kThreads;
  if (blocks == 0) return;
  const DeviceGuard guard(device);
  if (p.over_space) {
    over_space_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream_of(stream)>>>(p);
  } else {
    over_channels_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream_of(stream)>>>(p, positions);
  }
  check_launch("launching the pooled product kernel");
}

}  // namespace hudd::cuda
