#include "checks.h"
#include "run.h"

namespace hudd {

void max_pool(const TensorView& input, const TensorView& message, const TensorView& out, const Extents& window,
              const Extents& stride, const Extents& padding, const Extents& dilation, bool last_wins,
              const Execution& execution) {
  require_message(message);
  require_rank_at_least(message, "message", 5);
  const bool channels_last = is_channels_last(input) && !is_row_major(input);
  for (const auto* tensor : {&message, &input, &out}) {
    const char* name = tensor == &message ? "message" : tensor == &input ? "input" : "out";
    require_dtype(*tensor, name, DType::float32);
    require_same_device(*tensor, name, message, "message");
    if (channels_last ? !is_channels_last(*tensor) : !is_row_major(*tensor))
      throw std::invalid_argument(std::string("The tensors 'input', 'message' and 'out' must all be row-major or all be "
                                              "channels-last, but '") + name + "' is " + tensor->describe() + ".");
  }
  require_shape(out, "out", input.shape);
  if (input.shape.size() != 5 || input.shape[0] != message.shape[0] || input.shape[1] != message.shape[1])
    throw std::invalid_argument("The tensors 'input' and 'message' must be (batch, channels, depth, height, width) with one "
                                "batch size and channel count, but they are " +
                                input.describe() + " and " + message.describe() + ".");
  MaxPool pool{};
  pool.input = input.as<const float>();
  pool.message = message.as<const float>();
  pool.out = out.as<float>();
  pool.interleaved = channels_last ? input.shape[1] : 1;
  pool.planes = channels_last ? input.shape[0] : input.shape[0] * input.shape[1];
  for (int axis = 0; axis < 3; ++axis) {
    if (window[axis] < 1 || stride[axis] < 1 || dilation[axis] < 1 || padding[axis] < 0)
      throw std::invalid_argument("A pooling window, stride and dilation must be at least 1 and a padding at least 0.");
    pool.in[axis] = input.shape[2 + axis];
    pool.size[axis] = message.shape[2 + axis];
    pool.window[axis] = window[axis];
    pool.stride[axis] = stride[axis];
    pool.padding[axis] = padding[axis];
    pool.dilation[axis] = dilation[axis];
  }
  pool.last_wins = last_wins;
  run(cpu::active().max_pool, HUDD_CUDA_KERNEL(max_pool), pool, input, execution);
}

}  // namespace hudd
