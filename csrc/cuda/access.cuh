// Memory in 16-byte pieces where it is aligned, and sums over warps and blocks in a fixed order.
#pragma once

#include "launch.cuh"

namespace hudd::cuda {

inline __host__ __device__ bool aligned(const void* pointer) {
  return (reinterpret_cast<std::uintptr_t>(pointer) & 15u) == 0;
}

// Some neighbours at once.
template <typename Number, int kCount>
struct alignas(sizeof(Number) * kCount) Pack {
  Number at[kCount];
};

template <bool kWide, int kCount, typename Number>
__device__ __forceinline__ void load(Number (&to)[kCount], const Number* from) {
  constexpr int kPack = 16 / sizeof(Number);
  static_assert(kCount % kPack == 0, "whole pieces of 16 bytes");
  if constexpr (kWide) {
#pragma unroll
    for (int i = 0; i < kCount; i += kPack) {
      const auto pack = *reinterpret_cast<const Pack<Number, kPack>*>(from + i);
#pragma unroll
      for (int j = 0; j < kPack; ++j) to[i + j] = pack.at[j];
    }
  } else {
#pragma unroll
    for (int i = 0; i < kCount; ++i) to[i] = from[i];
  }
}

// By name, as the compiler takes an assignment of four numbers apart now and then.
template <bool kWide, int kCount>
__device__ __forceinline__ void store(float* to, const float (&from)[kCount]) {
  static_assert(kCount % 4 == 0, "whole pieces of 16 bytes");
#pragma unroll
  for (int i = 0; i < kCount; i += 4) {
    if constexpr (kWide) {
      __stwb(reinterpret_cast<float4*>(to + i), make_float4(from[i], from[i + 1], from[i + 2], from[i + 3]));
    } else {
#pragma unroll
      for (int j = 0; j < 4; ++j) to[i + j] = from[i + j];
    }
  }
}

template <bool kWide>
__device__ __forceinline__ void store(std::uint16_t* to, const std::uint16_t (&from)[8]) {
  if constexpr (kWide) {
    unsigned words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) words[i] = from[2 * i] | static_cast<unsigned>(from[2 * i + 1]) << 16;
    __stwb(reinterpret_cast<uint4*>(to), make_uint4(words[0], words[1], words[2], words[3]));
  } else {
#pragma unroll
    for (int i = 0; i < 8; ++i) to[i] = from[i];
  }
}

// The sum of one value a lane; the result is in lane 0.
__device__ __forceinline__ double warp_sum(double value) {
#pragma unroll
  for (unsigned half = kWarp / 2; half > 0; half /= 2) value += __shfl_down_sync(0xffffffffu, value, half);
  return value;
}

// The sum of one value a thread over the block; the result is in thread 0. Once a kernel: nothing waits for the last read.
__device__ __forceinline__ double block_sum(double value) {
  __shared__ double sums[kWarps];
  value = warp_sum(value);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = value;
  __syncthreads();
  if (threadIdx.x >= kWarp) return 0;
  return warp_sum(threadIdx.x < kWarps ? sums[threadIdx.x] : 0.0);
}

// A stretch of a tensor for each block: where it begins in 64 bits, so that what is within needs but 32.
struct Stretch {
  std::int64_t offset;
  unsigned length;
  __device__ __forceinline__ Stretch(std::int64_t block, std::int64_t total, unsigned most) : offset(block * most) {
    const std::int64_t rest = total - offset;
    length = rest < most ? static_cast<unsigned>(rest) : most;
  }
};

}  // namespace hudd::cuda
