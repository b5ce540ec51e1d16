// As much of CUDA's runtime as csrc/cuda needs, on the host: a block's threads take turns on one thread of the machine.
//
// Each runs until it waits for others (a barrier, a shuffle) or ends. Forwards in one launch and backwards in the next, so
// that what depends on their order shows; where some wait for others that never come, the launch fails.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static
#define __restrict__ __restrict

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct alignas(16) float4 {
  float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

template <typename Value>
void __stwb(Value* to, Value value) {
  *to = value;
}

extern dim3 threadIdx, blockIdx;

using cudaStream_t = struct CUstream_st*;
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidConfiguration = 9, cudaErrorLaunchFailure = 719 };

inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorLaunchFailure ? "threads wait for others that never come" : "no such configuration";
}
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }

namespace cuda_on_host {

void wait_for_block();
// Gives `bits` to the other lanes of the warp, waits for theirs, and returns what lane `from` gave.
std::uint64_t exchange(std::uint64_t bits, unsigned from);
cudaError_t run(dim3 grid, dim3 size, const std::function<void()>& kernel);

}  // namespace cuda_on_host

inline void __syncthreads() { cuda_on_host::wait_for_block(); }

template <typename Value>
Value __shfl_down_sync(unsigned, Value value, unsigned by) {
  static_assert(sizeof(Value) <= 8, "a number");
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  const unsigned lane = threadIdx.x % 32;
  bits = cuda_on_host::exchange(bits, lane + by < 32 ? lane + by : lane);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  return cuda_on_host::run(config->gridDim, config->blockDim, [&] { kernel(Parameters(arguments)...); });
}
