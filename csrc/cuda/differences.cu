// Squared distances of listed pairs of rows, one warp a pair; the lanes' sums are added in a fixed order.
#include "hudd/differences.h"
#include "launch.cuh"

namespace hudd::cuda {
namespace {

constexpr int kWarp = 32;

template <typename Element>
__global__ void __launch_bounds__(kThreads) differences_kernel(const Differences d) {
  const int lane = threadIdx.x % kWarp;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * (kThreads / kWarp);
  for (std::int64_t pair = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kWarp; pair < d.count;
       pair += step) {
    double sum = nan("");  // the list lies on the device, so no pair of it could be refused
    if (in_range(d, pair)) {
      const RowPair<Element> rows(d, pair);
      sum = 0;
      for (std::int64_t feature = lane; feature < d.features; feature += kWarp) sum += rows(feature);
    }
    for (int half = kWarp / 2; half > 0; half /= 2) sum += __shfl_down_sync(0xffffffffu, sum, half);
    if (lane == 0) d.sums[pair] += sum;
  }
}

}  // namespace

void add_differences(const Differences& d, int device, void* stream) {
  if (d.count == 0) return;
  const DeviceGuard guard(device);
  const auto kernel = d.wide ? differences_kernel<double> : differences_kernel<float>;
  kernel<<<blocks_for(d.count * kWarp), kThreads, 0, stream_of(stream)>>>(d);
  check_launch("launching the differences kernel");
}

}  // namespace hudd::cuda
