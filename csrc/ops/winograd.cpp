#include <algorithm>
#include <memory>

#include "checks.h"
#include "hudd/kernels.h"
#include "hudd/winograd.h"

namespace hudd {

void winograd(const TensorView& input, const TensorView& weights, const TensorView& out,
              const std::array<std::int64_t, 2>& padding, const Execution& execution) {
  for (const auto* tensor : {&input, &out}) {
    const char* name = tensor == &input ? "input" : "out";
    require_dtype(*tensor, name, DType::float32);
    if (tensor->cuda || tensor->shape.size() != 4 || !is_channels_last(*tensor))
      throw std::invalid_argument(std::string("The tensor '") + name +
                                  "' must be (batch, channels, height, width), stored channels-last on the CPU, but it is " +
                                  tensor->describe() + ".");
  }
  Winograd w{};
  w.samples = input.shape[0];
  w.channels = input.shape[1];
  w.features = out.shape[1];
  for (int axis = 0; axis < 2; ++axis) {
    if (padding[axis] < 0 || padding[axis] > 2)
      throw std::invalid_argument("A padding of a 3x3 convolution must be 0, 1 or 2, but it is " +
                                  std::to_string(padding[axis]) + ".");
    w.in[axis] = input.shape[2 + axis];
    w.size[axis] = w.in[axis] + 2 * padding[axis] - 2;
    w.padding[axis] = padding[axis];
  }
  require_shape(out, "out", {w.samples, w.features, w.size[0], w.size[1]});
  require_dtype(weights, "weights", DType::float32);
  require_same_device(weights, "weights", input, "input");
  require_row_major(weights, "weights");
  require_shape(weights, "weights", {16, winograd_panels(w.features), w.channels, kWinogradPanel});
  if (out.numel() == 0) return;
  const std::int64_t stretches = (winograd_tiles(w) + kWinogradTiles - 1) / kWinogradTiles;
  w.workers = std::max<std::int64_t>(1, std::min<std::int64_t>(execution.threads, stretches));
  const std::unique_ptr<float[]> scratch(new float[w.workers * winograd_scratch(w)]);
  w.input = input.as<const float>();
  w.weights = weights.as<const float>();
  w.out = out.as<float>();
  w.scratch = scratch.get();
  cpu::active().winograd(w, execution.threads);
}

}  // namespace hudd
