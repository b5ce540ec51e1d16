// Squared distances of listed pairs of rows, one warp per pair; the lanes' sums are added in a fixed order.
#include "access.cuh"
#include "hudd/differences.h"

namespace hudd::cuda {
namespace {

// A lane sums the same features whatever the alignment.
template <typename Element, bool kWide>
__device__ double sum_of_lane(const Differences& d, std::int64_t pair, unsigned lane) {
  constexpr unsigned kCount = 16 / sizeof(Element);
  const RowPair<Element> rows(d, pair);
  const std::int64_t whole = d.features / kCount * kCount;
  double sum = 0;
#pragma unroll 4
  for (std::int64_t feature = lane * kCount; feature < whole; feature += kWarp * kCount) {
    Element a[kCount], b[kCount];
    load<kWide>(a, rows.a + feature);
    load<kWide>(b, rows.b + feature);
#pragma unroll
    for (unsigned i = 0; i < kCount; ++i) sum += squared_difference(a[i], b[i]);
  }
  if (whole + lane < d.features) sum += rows(whole + lane);
  return sum;
}

template <typename Element, bool kWide>
__global__ void __launch_bounds__(kThreads) differences_kernel(const Differences d) {
  const std::int64_t pair = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (pair >= d.count) return;
  const unsigned lane = threadIdx.x % kWarp;
  // The list lies on the device, so no pair of it could be refused.
  const double sum = warp_sum(in_range(d, pair) ? sum_of_lane<Element, kWide>(d, pair, lane) : nan(""));
  if (lane == 0) d.sums[pair] += sum;
}

template <typename Element>
void launch_differences(const Differences& d, void* stream) {
  const bool wide = d.features * sizeof(Element) % 16 == 0 && aligned(d.left) && aligned(d.right);
  launch("differences", wide ? differences_kernel<Element, true> : differences_kernel<Element, false>,
         ceil_div(d.count, kWarps), stream, d);
}

}  // namespace

void add_differences(const Differences& d, int device, void* stream) {
  const DeviceGuard guard(device);
  d.wide ? launch_differences<double>(d, stream) : launch_differences<float>(d, stream);
}

}  // namespace hudd::cuda
