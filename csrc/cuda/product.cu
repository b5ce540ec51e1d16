// The relevance itself, in whatever storage, with its sums: one block a chunk.
#include "access.cuh"

namespace hudd::cuda {
namespace {

// What is written of a relevance.
struct Float32 {
  using Element = float;
  static __device__ __forceinline__ float of(float value) { return value; }
};
struct Float16 {
  using Element = std::uint16_t;
  static __device__ __forceinline__ std::uint16_t of(float value) { return half_bits(value); }
};
struct BFloat16 {
  using Element = std::uint16_t;
  static __device__ __forceinline__ std::uint16_t of(float value) { return bfloat16_bits(value); }
};
struct Nothing : Float32 {};

template <typename Kept>
constexpr bool kWritten = !std::is_same_v<Kept, Nothing>;

// Elements that are 16 bytes of storage.
template <typename Kept>
constexpr unsigned kPiece = 16 / sizeof(typename Kept::Element);

// A thread sums the same elements in the same order whatever the alignment, so that the sums do not depend on it.
template <typename Kept, bool kFactor, bool kWide>
__global__ void __launch_bounds__(kThreads) product_kernel(const Product p, const Divisor by_chunks) {
  constexpr unsigned kCount = kPiece<Kept>;
  unsigned chunk = blockIdx.x;
  const std::int64_t sample = by_chunks.take(chunk) * p.per_sample;
  const Stretch stretch(chunk, p.per_sample, kChunk);
  const float* __restrict__ message = p.message + sample + stretch.offset;
  const float* __restrict__ factor = kFactor ? p.factor + sample + stretch.offset : nullptr;
  auto* __restrict__ out = static_cast<typename Kept::Element*>(p.out) + (kWritten<Kept> ? sample + stretch.offset : 0);
  double sum = 0;
  const auto one = [&](float m, float f) {
    const float relevance = kFactor ? m * f : m;
    sum += static_cast<double>(relevance);
    return Kept::of(relevance);
  };
  const unsigned whole = stretch.length / kCount * kCount;
#pragma unroll 2
  for (unsigned i = threadIdx.x * kCount; i < whole; i += kThreads * kCount) {
    float m[kCount], f[kCount] = {};
    typename Kept::Element kept[kCount];
    load<kWide>(m, message + i);
    if constexpr (kFactor) load<kWide>(f, factor + i);
#pragma unroll
    for (unsigned j = 0; j < kCount; ++j) kept[j] = one(m[j], f[j]);
    if constexpr (kWritten<Kept>) store<kWide>(out + i, kept);
  }
  if (whole + threadIdx.x < stretch.length) {
    const unsigned i = whole + threadIdx.x;
    const auto kept = one(message[i], kFactor ? factor[i] : 0.0f);
    if constexpr (kWritten<Kept>) out[i] = kept;
  }
  if (p.sums) {
    sum = block_sum(sum);
    if (threadIdx.x == 0) p.sums[blockIdx.x] = sum;
  }
}

// How the positions of a channels-last sample are shared out: so many to each of its first blocks, none to the others.
struct Shares {
  std::int64_t positions;
  unsigned channels, each;
  Divisor by_chunks;
  bool read_wide, write_wide;
};

constexpr unsigned kTilePositions = 64, kTileChannels = 32;

struct Share {
  std::int64_t sample, begin;  // the first element of the sample, and the first position
  unsigned positions = 0;
  __device__ __forceinline__ Share(const Product& p, const Shares& s) {
    unsigned part = blockIdx.x;
    sample = s.by_chunks.take(part) * p.per_sample;
    begin = static_cast<std::int64_t>(part) * s.each;
    if (begin < s.positions) positions = s.positions - begin < s.each ? static_cast<unsigned>(s.positions - begin) : s.each;
  }
};

// Channels-last to row-major through a tile that is read along channels and written along positions.
template <typename Kept, bool kFactor>
__global__ void __launch_bounds__(kThreads) reordered_kernel(const Product p, const Shares s) {
  constexpr unsigned kCount = kPiece<Kept>, kReads = kTilePositions * kTileChannels / 4 / kThreads;
  constexpr unsigned kAcross = kTilePositions / kCount, kRows = kThreads / kAcross;
  __shared__ float tile[kTileChannels][kTilePositions + 1];
  const Share share(p, s);
  const std::int64_t first = share.sample + share.begin * s.channels;
  const float* __restrict__ message = p.message + first;
  const float* __restrict__ factor = kFactor ? p.factor + first : nullptr;
  auto* __restrict__ out = static_cast<typename Kept::Element*>(p.out) + share.sample + share.begin;
  double sum = 0;
  for (unsigned position = 0; position < share.positions; position += kTilePositions) {
    for (unsigned channel = 0; channel < s.channels; channel += kTileChannels) {
#pragma unroll
      for (unsigned u = 0; u < kReads; ++u) {
        const unsigned row = (u * kThreads + threadIdx.x) / (kTileChannels / 4), column = threadIdx.x % (kTileChannels / 4) * 4;
        if (position + row >= share.positions) continue;
        const std::int64_t at = static_cast<std::int64_t>(position + row) * s.channels + channel + column;
        float m[4] = {}, f[4] = {};
        if (s.read_wide && channel + column < s.channels) {
          load<true>(m, message + at);
          if constexpr (kFactor) load<true>(f, factor + at);
        } else {
#pragma unroll
          for (unsigned j = 0; j < 4; ++j) {
            if (channel + column + j >= s.channels) continue;
            m[j] = message[at + j];
            if constexpr (kFactor) f[j] = factor[at + j];
          }
        }
#pragma unroll
        for (unsigned j = 0; j < 4; ++j) {
          const float relevance = kFactor ? m[j] * f[j] : m[j];
          sum += static_cast<double>(relevance);
          tile[column + j][row] = relevance;
        }
      }
      __syncthreads();
#pragma unroll
      for (unsigned row = threadIdx.x / kAcross; row < kTileChannels; row += kRows) {
        const unsigned column = threadIdx.x % kAcross * kCount;
        if (channel + row >= s.channels || position + column >= share.positions) continue;
        auto* to = out + (channel + row) * s.positions + position + column;
        typename Kept::Element kept[kCount];
#pragma unroll
        for (unsigned j = 0; j < kCount; ++j) kept[j] = Kept::of(tile[row][column + j]);
        if (s.write_wide && position + column + kCount <= share.positions) {
          store<true>(to, kept);
        } else {
#pragma unroll
          for (unsigned j = 0; j < kCount; ++j)
            if (position + column + j < share.positions) to[j] = kept[j];
        }
      }
      __syncthreads();
    }
  }
  if (p.sums) {
    sum = block_sum(sum);
    if (threadIdx.x == 0) p.sums[blockIdx.x] = sum;
  }
}

// The same where the channels are too few to fill a tile, such as an image's: a thread a position.
template <typename Kept, bool kFactor>
__global__ void __launch_bounds__(kThreads) few_channels_kernel(const Product p, const Shares s) {
  const Share share(p, s);
  const std::int64_t first = share.sample + share.begin * s.channels;
  const float* __restrict__ message = p.message + first;
  const float* __restrict__ factor = kFactor ? p.factor + first : nullptr;
  auto* __restrict__ out = static_cast<typename Kept::Element*>(p.out) + share.sample + share.begin;
  double sum = 0;
  for (unsigned position = threadIdx.x; position < share.positions; position += kThreads) {
    for (unsigned channel = 0; channel < s.channels; ++channel) {
      const unsigned at = position * s.channels + channel;
      const float relevance = kFactor ? message[at] * factor[at] : message[at];
      sum += static_cast<double>(relevance);
      out[channel * s.positions + position] = Kept::of(relevance);
    }
  }
  if (p.sums) {
    sum = block_sum(sum);
    if (threadIdx.x == 0) p.sums[blockIdx.x] = sum;
  }
}

constexpr std::int64_t kFewChannels = 8, kManyChannels = std::int64_t{1} << 25;  // a block's share is numbered in 32 bits

template <typename Kept, bool kFactor>
void launch_reordered(const Product& p, void* stream) {
  const std::int64_t chunks = chunks_of(p.per_sample), blocks = p.samples * chunks;
  if (p.channels > kManyChannels)
    throw std::runtime_error("CUDA failed while launching the product kernel: the tensors have too many channels.");
  Shares s{};
  s.positions = p.per_sample / p.channels;
  s.channels = static_cast<unsigned>(p.channels);
  s.each = static_cast<unsigned>(ceil_div(ceil_div(kChunk, p.channels), 8) * 8);
  s.by_chunks = Divisor(chunks);
  s.read_wide = p.channels % 4 == 0 && aligned(p.message) && aligned(p.factor);
  s.write_wide = s.positions % kPiece<Kept> == 0 && aligned(p.out);
  const auto kernel = p.channels < kFewChannels ? few_channels_kernel<Kept, kFactor> : reordered_kernel<Kept, kFactor>;
  launch("product", kernel, blocks, stream, p, s);
}

template <typename Kept, bool kFactor>
void launch_product(const Product& p, void* stream) {
  const std::int64_t chunks = chunks_of(p.per_sample), blocks = p.samples * chunks;
  if constexpr (kWritten<Kept>) {
    if (p.channels > 1) return launch_reordered<Kept, kFactor>(p, stream);
  }
  // Samples and chunks begin at whole pieces, or nowhere is read in pieces.
  const bool whole = p.samples == 1 || p.per_sample % kPiece<Kept> == 0;
  const bool wide = whole && aligned(p.message) && aligned(p.factor) && aligned(p.out);
  choose(wide, [&](auto in_pieces) {
    launch("product", product_kernel<Kept, kFactor, decltype(in_pieces)::value>, blocks, stream, p,
           Divisor(chunks));
  });
}

template <typename Kept>
void launch_product(const Product& p, void* stream) {
  choose(p.factor != nullptr, [&](auto factor) { launch_product<Kept, decltype(factor)::value>(p, stream); });
}

}  // namespace

void product(const Product& p, int device, void* stream) {
  const DeviceGuard guard(device);
  if (p.out == nullptr) return launch_product<Nothing>(p, stream);
  switch (p.storage) {
    case Storage::float32: return launch_product<Float32>(p, stream);
    case Storage::float16: return launch_product<Float16>(p, stream);
    case Storage::bfloat16: return launch_product<BFloat16>(p, stream);
  }
}

}  // namespace hudd::cuda
