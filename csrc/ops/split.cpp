#include "run.h"
#include "signed_parts.h"

namespace hudd {

void split(const TensorView& input, const TensorView& parts, int axis, const Execution& execution) {
  SignedParts s = signed_parts(input, parts, axis);
  s.out = parts.as<float>();
  run(cpu::active().split, HUDD_CUDA_KERNEL(split), s, input, execution);
}

}  // namespace hudd
