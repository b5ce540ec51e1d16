// Relevance summed over space or over channels: along memory (a warp or a block a sum), or across it (neighbouring
// threads sum neighbouring columns).
#include "access.cuh"

namespace hudd::cuda {
namespace {

// Sums of `outer` runs of `inner` neighbours each, the runs `step` apart.
struct Rows {
  const float* message;
  const float* factor;
  float* out;
  std::int64_t rows, outer, inner, step;
  std::int64_t within;  // so many rows of a sample lie side by side
  Divisor by_within;
};

// A thread sums the same elements whatever the alignment: fours, then what is left.
template <bool kFactor, bool kWide>
__device__ __forceinline__ double sum_of_run(const Rows& r, std::int64_t start, unsigned thread, unsigned threads) {
  const float* __restrict__ message = r.message + start;
  const float* __restrict__ factor = kFactor ? r.factor + start : nullptr;
  double sum = 0;
  const std::int64_t whole = r.inner / 4 * 4;
#pragma unroll 4
  for (std::int64_t i = thread * 4; i < whole; i += threads * 4) {
    float m[4], f[4] = {};
    load<kWide>(m, message + i);
    if constexpr (kFactor) load<kWide>(f, factor + i);
#pragma unroll
    for (int j = 0; j < 4; ++j) sum += static_cast<double>(kFactor ? m[j] * f[j] : m[j]);
  }
  const std::int64_t i = whole + thread;
  if (i < r.inner) sum += static_cast<double>(kFactor ? message[i] * factor[i] : message[i]);
  return sum;
}

template <bool kFactor, bool kWide, bool kWarpEach>
__global__ void __launch_bounds__(kThreads) rows_kernel(const Rows r) {
  const std::int64_t row = kWarpEach ? static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp : blockIdx.x;
  double sum = 0;
  if (row < r.rows) {
    std::int64_t start = row * r.inner;
    if (r.outer > 1) {
      unsigned within = static_cast<unsigned>(row);
      const std::int64_t sample = r.by_within.take(within);
      start = (sample * r.within * r.outer + within) * r.inner;
    }
    for (std::int64_t outer = 0; outer < r.outer; ++outer)
      sum += sum_of_run<kFactor, kWide>(r, start + outer * r.step, threadIdx.x % (kWarpEach ? kWarp : kThreads),
                                        kWarpEach ? kWarp : kThreads);
  }
  sum = kWarpEach ? warp_sum(sum) : block_sum(sum);
  if (row < r.rows && threadIdx.x % (kWarpEach ? kWarp : kThreads) == 0) r.out[row] = static_cast<float>(sum);
}

// Sums down the columns of (slabs, length, columns).
struct Columns {
  const float* message;
  const float* factor;
  float* out;
  std::int64_t length, columns;
  Divisor by_tiles;  // tiles of columns a slab
};

// A warp takes every eighth line of a tile of columns, each lane one column of it or four.
template <bool kFactor, bool kWide>
__global__ void __launch_bounds__(kThreads) columns_kernel(const Columns c) {
  constexpr int kEach = kWide ? 4 : 1;
  __shared__ double sums[kWarps][kWarp * kEach];
  unsigned tile = blockIdx.x;
  const std::int64_t slab = c.by_tiles.take(tile);
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const std::int64_t column = (static_cast<std::int64_t>(tile) * kWarp + lane) * kEach;
  double sum[kEach] = {};
  if (column < c.columns) {
    const float* __restrict__ message = c.message + slab * c.length * c.columns + column;
    const float* __restrict__ factor = kFactor ? c.factor + slab * c.length * c.columns + column : nullptr;
#pragma unroll 4
    for (std::int64_t line = warp; line < c.length; line += kWarps) {
      float m[kEach], f[kEach] = {};
      if constexpr (kWide) {
        load<true>(m, message + line * c.columns);
        if constexpr (kFactor) load<true>(f, factor + line * c.columns);
      } else {
        m[0] = message[line * c.columns];
        if constexpr (kFactor) f[0] = factor[line * c.columns];
      }
#pragma unroll
      for (int j = 0; j < kEach; ++j) sum[j] += static_cast<double>(kFactor ? m[j] * f[j] : m[j]);
    }
  }
#pragma unroll
  for (int j = 0; j < kEach; ++j) sums[warp][lane * kEach + j] = sum[j];
  __syncthreads();
  if (threadIdx.x >= kWarp * kEach) return;
  const std::int64_t to = static_cast<std::int64_t>(tile) * kWarp * kEach + threadIdx.x;
  if (to >= c.columns) return;
  double all = 0;
#pragma unroll
  for (unsigned i = 0; i < kWarps; ++i) all += sums[i][threadIdx.x];
  c.out[slab * c.columns + to] = static_cast<float>(all);
}

constexpr std::int64_t kBlockEach = 2048;    // elements from which a sum is worth a block
constexpr std::int64_t kBlocksAtOnce = 512;  // with fewer, four columns a lane would leave multiprocessors idle

void sum_rows(const PooledProduct& p, std::int64_t rows, std::int64_t within, std::int64_t outer, std::int64_t inner,
              void* stream) {
  if (outer > 1 && rows >= kDivisorLimit)
    throw std::runtime_error("CUDA failed while launching the pooled product kernel: the tensors are too large.");
  Rows r{};
  r.message = p.message;
  r.factor = p.factor;
  r.out = p.out;
  r.rows = rows;
  r.outer = outer;
  r.inner = inner;
  r.within = within;
  r.step = within * inner;
  r.by_within = Divisor(within);
  const bool wide = inner % 4 == 0 && aligned(p.message) && aligned(p.factor), warp_each = outer * inner < kBlockEach;
  choose(p.factor != nullptr, [&](auto factor) {
    choose(wide, [&](auto in_pieces) {
      choose(warp_each, [&](auto warp) {
        launch("pooled product", rows_kernel<decltype(factor)::value, decltype(in_pieces)::value, decltype(warp)::value>,
               warp_each ? ceil_div(rows, kWarps) : rows, stream, r);
      });
    });
  });
}

void sum_columns(const PooledProduct& p, std::int64_t slabs, std::int64_t length, std::int64_t columns, void* stream) {
  Columns c{};
  c.message = p.message;
  c.factor = p.factor;
  c.out = p.out;
  c.length = length;
  c.columns = columns;
  const bool wide = columns % 4 == 0 && aligned(p.message) && aligned(p.factor) &&
                    slabs * ceil_div(columns, 4 * kWarp) >= kBlocksAtOnce;
  const std::int64_t tiles = ceil_div(columns, wide ? 4 * kWarp : kWarp);
  c.by_tiles = Divisor(tiles);
  choose(p.factor != nullptr, [&](auto factor) {
    choose(wide, [&](auto in_pieces) {
      launch("pooled product", columns_kernel<decltype(factor)::value, decltype(in_pieces)::value>, slabs * tiles, stream, c);
    });
  });
}

}  // namespace

void pooled_product(const PooledProduct& p, int device, void* stream) {
  const DeviceGuard guard(device);
  if (p.over_space) {
    if (p.inner == 1) return sum_columns(p, p.samples, p.outer, p.channels, stream);
    return sum_rows(p, p.samples * p.channels, p.channels, p.outer, p.inner, stream);
  }
  if (p.inner == 1) return sum_rows(p, p.samples * p.outer, 1, 1, p.channels, stream);
  sum_columns(p, p.samples * p.outer, p.channels, p.inner, stream);
}

}  // namespace hudd::cuda
