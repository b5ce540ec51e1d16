// Launching on the caller's stream.
//
// No launch syntax of its own: cudaLaunchKernelEx is C++, so that the same files compile for the host in the tests.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "hudd/divisor.h"
#include "hudd/kernels.h"

namespace hudd::cuda {

constexpr unsigned kThreads = 256, kWarp = 32, kWarps = kThreads / kWarp;

inline void check(cudaError_t status, const std::string& doing) {
  if (status != cudaSuccess)
    throw std::runtime_error("CUDA failed while " + doing + ": " + cudaGetErrorString(status) + ".");
}

// Makes `device` current for a scope; where it is so already, nothing is set and nothing put back.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    check(cudaGetDevice(&previous_), "finding the current device");
    changed_ = device != previous_;
    if (changed_) check(cudaSetDevice(device), "changing to the tensors' device");
  }
  ~DeviceGuard() {
    if (changed_) cudaSetDevice(previous_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int previous_ = 0;
  bool changed_ = false;
};

inline std::int64_t ceil_div(std::int64_t count, std::int64_t step) { return (count + step - 1) / step; }

// Runs `blocks` blocks of kThreads threads; none where there are none.
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), std::int64_t blocks, void* stream, const Arguments&... arguments) {
  if (blocks == 0) return;
  const std::string doing = std::string("launching the ") + name + " kernel";
  if (blocks >= kDivisorLimit) throw std::runtime_error("CUDA failed while " + doing + ": the tensors are too large.");
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(kThreads);
  config.stream = static_cast<cudaStream_t>(stream);
  check(cudaLaunchKernelEx(&config, kernel, arguments...), doing);
}

// Calls use(constant) with the run-time choice as a compile-time one.
template <bool kValue>
struct Constant {
  static constexpr bool value = kValue;
};

template <typename Use>
void choose(bool value, Use use) {
  value ? use(Constant<true>()) : use(Constant<false>());
}

}  // namespace hudd::cuda
