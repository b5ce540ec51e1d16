// Launching on the caller's stream, and the loops that the CUDA kernels share.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "hudd/kernels.h"

namespace hudd::cuda {

constexpr int kThreads = 256;

// Makes `device` current for a scope.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    check(cudaGetDevice(&previous_), "finding the current device");
    if (device != previous_) check(cudaSetDevice(device), "changing to the tensors' device");
  }
  ~DeviceGuard() { cudaSetDevice(previous_); }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

  static void check(cudaError_t status, const char* doing) {
    if (status != cudaSuccess)
      throw std::runtime_error(std::string("CUDA failed while ") + doing + ": " + cudaGetErrorString(status) + ".");
  }

 private:
  int previous_ = 0;
};

inline void check_launch(const char* kernel) { DeviceGuard::check(cudaGetLastError(), kernel); }

inline cudaStream_t stream_of(void* stream) { return static_cast<cudaStream_t>(stream); }

inline unsigned blocks_for(std::int64_t count) {
  const std::int64_t blocks = (count + kThreads - 1) / kThreads;
  return static_cast<unsigned>(blocks < 0x7fffffff ? blocks : 0x7fffffff);
}

// The sum of one value a thread over the block, added in a fixed order; the result is in thread 0.
__device__ inline double block_sum(double value) {
  __shared__ double shared[kThreads];
  shared[threadIdx.x] = value;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  const double sum = shared[0];
  __syncthreads();
  return sum;
}

// Where the chunk of this block lies; the same chunks as on the CPU.
struct Chunk {
  std::int64_t offset, length;
  __device__ Chunk(std::int64_t per_sample) {
    const std::int64_t chunks = chunks_of(per_sample);
    const std::int64_t start = (blockIdx.x % chunks) * kChunk;
    offset = (blockIdx.x / chunks) * per_sample + start;
    length = per_sample - start < kChunk ? per_sample - start : kChunk;
  }
};

}  // namespace hudd::cuda
