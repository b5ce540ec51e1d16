#include "checks.h"
#include "run.h"

namespace hudd {

void pooled_product(const TensorView& message, const MaybeTensor& factor, const TensorView& out, int channel_axis,
                    const std::string& over, const Execution& execution) {
  require_message(message);
  require_rank_at_least(message, "message", 2);
  require_row_major(message, "message");
  require_dtype(out, "out", DType::float32);
  require_same_device(out, "out", message, "message");
  require_row_major(out, "out");
  const int rank = static_cast<int>(message.shape.size());
  if (channel_axis < 1 || channel_axis >= rank)
    throw std::invalid_argument("The channel axis must lie between 1 and " + std::to_string(rank - 1) + " for a tensor of " +
                                std::to_string(rank) + " axes, but it is " + std::to_string(channel_axis) + ".");
  if (over != "space" && over != "channels")
    throw std::invalid_argument("Relevance can be summed over 'space' or 'channels', not over '" + over + "'.");
  PooledProduct p{};
  p.message = message.as<const float>();
  p.factor = operand(factor, "factor", message);
  p.out = out.as<float>();
  p.samples = message.shape[0];
  p.outer = p.inner = 1;
  for (int axis = 1; axis < channel_axis; ++axis) p.outer *= message.shape[axis];
  p.channels = message.shape[channel_axis];
  for (int axis = channel_axis + 1; axis < rank; ++axis) p.inner *= message.shape[axis];
  p.over_space = over == "space";
  const std::int64_t expected = p.samples * (p.over_space ? p.channels : p.outer * p.inner);
  if (out.numel() != expected)
    throw std::invalid_argument("The tensor 'out' must hold " + std::to_string(expected) + " numbers, but it is " +
                                out.describe() + ".");
  run(cpu::active().pooled_product, HUDD_CUDA_KERNEL(pooled_product), p, out, execution);  // a sum of nothing is 0
}

}  // namespace hudd
