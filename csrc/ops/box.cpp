#include "checks.h"
#include "run.h"

namespace hudd {

void box(const TensorView& input, const TensorView& message, const TensorView& message_plus,
         const TensorView& message_minus, const TensorView& low, const TensorView& high, const TensorView& out,
         const Execution& execution) {
  require_message(message);
  Box b{};
  b.message = message.as<const float>();
  b.input = operand(input, "input", message);
  b.message_plus = operand(message_plus, "message_plus", message);
  b.message_minus = operand(message_minus, "message_minus", message);
  b.low = operand(low, "low", message);
  b.high = operand(high, "high", message);
  b.out = result(out, "out", message);
  b.samples = samples_of(message);
  b.per_sample = per_sample_of(message);
  run(cpu::active().box, HUDD_CUDA_KERNEL(box), b, message, execution);
}

}  // namespace hudd
