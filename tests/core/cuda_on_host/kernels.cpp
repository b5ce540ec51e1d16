// Has the operations of csrc/ops/ run the CUDA kernels on tensors of the CPU.
#include <stdexcept>

#include "hudd/kernels.h"

namespace hudd::cpu {
namespace {

template <typename Arguments, void (*kKernel)(const Arguments&, int, void*)>
void on_host(const Arguments& arguments, int) {
  kKernel(arguments, 0, nullptr);
}

template <typename... Arguments>
void none(Arguments...) {
  throw std::invalid_argument("There is no CUDA kernel of this.");
}

constexpr Kernels kKernels = {
    on_host<Quotient, cuda::quotient>,
    on_host<Product, cuda::product>,
    on_host<PooledProduct, cuda::pooled_product>,
    on_host<SignedParts, cuda::split>,
    on_host<SignedParts, cuda::by_sign>,
    on_host<Box, cuda::box>,
    on_host<MaxPool, cuda::max_pool>,
    on_host<Differences, cuda::add_differences>,
    none<const Winograd&, int>,
    none<const ImagePrints&>,
    none<const ImagePlanes&>,
    none<const Pictures&>,
    none<const Pictures&>,
    none<const Pictures&>,
    none<const Pictures&>,
};

}  // namespace

const Kernels& active() { return kKernels; }
const char* active_name() { return "cuda-on-host"; }
void select(const char*) { throw std::invalid_argument("There is one set of CUDA kernels."); }

}  // namespace hudd::cpu
