// The choice of the kernel: that of the device which the tensors are on.
#pragma once

#include "hudd/kernels.h"
#include "hudd/ops.h"

namespace hudd {

template <typename Arguments>
struct CudaKernel {
  using Type = void (*)(const Arguments&, int device, void* stream);
};

// Calls the kernel of the device that the tensors are on; a build without CUDA gives a null `cuda_kernel`.
template <typename Arguments>
void run(void (*cpu_kernel)(const Arguments&, int), typename CudaKernel<Arguments>::Type cuda_kernel,
         const Arguments& arguments, const TensorView& where, const Execution& execution) {
  if (where.numel() == 0) return;
  if (!where.cuda) return cpu_kernel(arguments, execution.threads);
  if (cuda_kernel == nullptr)
    throw std::invalid_argument("The tensors are on " + where.describe() +
                                ", but this build of hudd has no CUDA kernels; install nvcc and build again, or move the "
                                "model and its inputs to the CPU.");
  cuda_kernel(arguments, where.device_id, execution.stream);
}

#if defined(HUDD_CUDA)
#define HUDD_CUDA_KERNEL(name) cuda::name
#else
#define HUDD_CUDA_KERNEL(name) nullptr
#endif

}  // namespace hudd
