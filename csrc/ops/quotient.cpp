#include "checks.h"
#include "run.h"

namespace hudd {
namespace {

Stabilizer stabilizer_named(const std::string& name) {
  if (name == "none") return Stabilizer::none;
  if (name == "sign") return Stabilizer::sign;
  if (name == "positive") return Stabilizer::positive;
  throw std::invalid_argument("The stabilizer '" + name + "' is unknown; choose one of: none, sign, positive.");
}

Gate gate_named(const std::string& name) {
  if (name == "open") return Gate::open;
  if (name == "positive") return Gate::positive;
  if (name == "negative") return Gate::negative;
  throw std::invalid_argument("The gate '" + name + "' is unknown; choose one of: open, positive, negative.");
}

}  // namespace

void quotient(const TensorView& message, const MaybeTensor& factor, const TensorView& z, const MaybeTensor& gate,
              const TensorView& out, float scale, float epsilon, const std::string& stabilizer, const std::string& passes,
              const Execution& execution) {
  require_message(message);
  Quotient q{};
  q.message = message.as<const float>();
  q.factor = operand(factor, "factor", message);
  q.z = operand(z, "z", message);
  q.gate = operand(gate, "gate", message);
  q.out = result(out, "out", message);
  q.samples = samples_of(message);
  q.per_sample = per_sample_of(message);
  q.scale = scale;
  q.epsilon = epsilon;
  q.stabilizer = stabilizer_named(stabilizer);
  q.passes = gate_named(passes);
  run(cpu::active().quotient, HUDD_CUDA_KERNEL(quotient), q, message, execution);
}

}  // namespace hudd
