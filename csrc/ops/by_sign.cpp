#include "run.h"
#include "signed_parts.h"

namespace hudd {

void by_sign(const TensorView& input, const TensorView& parts, const TensorView& out, int axis, const Execution& execution) {
  SignedParts s = signed_parts(input, parts, axis);
  s.out = result(out, "out", input);
  run(cpu::active().by_sign, HUDD_CUDA_KERNEL(by_sign), s, input, execution);
}

}  // namespace hudd
