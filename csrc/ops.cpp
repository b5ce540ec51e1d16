#include "hudd/ops.h"

#include <algorithm>
#include <memory>

#include "hudd/differences.h"
#include "hudd/kernels.h"
#include "hudd/winograd.h"

namespace hudd {
namespace {

std::int64_t samples_of(const TensorView& tensor) { return tensor.shape.empty() ? 1 : tensor.shape[0]; }

std::int64_t per_sample_of(const TensorView& tensor) {
  const std::int64_t samples = samples_of(tensor);
  return samples == 0 ? 0 : tensor.numel() / samples;
}

// An operand that is walked in step with `message`.
const float* operand(const TensorView& tensor, const char* name, const TensorView& message) {
  require_dtype(tensor, name, DType::float32);
  require_same_device(tensor, name, message, "message");
  require_same_layout(tensor, name, message, "message");
  return tensor.as<const float>();
}

const float* operand(const MaybeTensor& tensor, const char* name, const TensorView& message) {
  return tensor ? operand(*tensor, name, message) : nullptr;
}

float* result(const TensorView& tensor, const char* name, const TensorView& message) {
  return const_cast<float*>(operand(tensor, name, message));
}

double* sums_of(const MaybeTensor& sums, const TensorView& message) {
  if (!sums) return nullptr;
  require_dtype(*sums, "sums", DType::float64);
  require_same_device(*sums, "sums", message, "message");
  require_row_major(*sums, "sums");
  require_shape(*sums, "sums", {samples_of(message), partial_sums(message)});
  return sums->as<double>();
}

void require_message(const TensorView& message) {
  require_dtype(message, "message", DType::float32);
  require_rank_at_least(message, "message", 1);
  require_dense(message, "message");
}

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

Storage storage_of(const TensorView& out) {
  if (out.dtype == DType::float32) return Storage::float32;
  if (out.dtype == DType::float16) return Storage::float16;
  if (out.dtype == DType::bfloat16) return Storage::bfloat16;
  throw std::invalid_argument("The tensor 'out' must be float32, float16 or bfloat16, but it is " + out.describe() + ".");
}

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

}  // namespace

std::int64_t partial_sums(const TensorView& tensor) { return chunks_of(per_sample_of(tensor)); }

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

void product(const TensorView& message, const MaybeTensor& factor, const MaybeTensor& out, const MaybeTensor& sums,
             const Execution& execution) {
  require_message(message);
  Product p{};
  p.message = message.as<const float>();
  p.factor = operand(factor, "factor", message);
  if (out) {
    p.storage = storage_of(*out);
    require_same_device(*out, "out", message, "message");
    const bool reordered = is_channels_last(message) && !is_row_major(message) && is_row_major(*out);
    if (reordered) {
      require_shape(*out, "out", message.shape);
    } else {
      require_same_layout(*out, "out", message, "message");
    }
    p.channels = reordered ? message.shape[1] : 1;
    p.out = out->data;
  }
  p.sums = sums_of(sums, message);
  p.samples = samples_of(message);
  p.per_sample = per_sample_of(message);
  run(cpu::active().product, HUDD_CUDA_KERNEL(product), p, message, execution);
}

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

namespace {

// Rows of an input whose parts lie one after the other along `axis`.
SignedParts signed_parts(const TensorView& input, const TensorView& parts, int axis) {
  for (const auto* tensor : {&input, &parts}) require_dtype(*tensor, tensor == &input ? "input" : "parts", DType::float32);
  require_same_device(parts, "parts", input, "input");
  const int rank = static_cast<int>(input.shape.size());
  if (axis < 1 || axis >= rank)
    throw std::invalid_argument("The axis must lie between 1 and " + std::to_string(rank - 1) + " for a tensor of " +
                                std::to_string(rank) + " axes, but it is " + std::to_string(axis) + ".");
  auto doubled = input.shape;
  doubled[axis] *= 2;
  require_shape(parts, "parts", doubled);
  SignedParts s{};
  s.input = input.as<const float>();
  s.parts = parts.as<const float>();
  s.run = 1;
  if (is_row_major(input) && is_row_major(parts)) {
    for (int i = axis; i < rank; ++i) s.run *= input.shape[i];
  } else if (axis == 1 && is_channels_last(input) && is_channels_last(parts)) {
    s.run = input.shape[1];
  } else {
    throw std::invalid_argument("The tensors 'input' and 'parts' must both be row-major, or both channels-last with axis 1, "
                                "but they are " + input.describe() + " and " + parts.describe() + ".");
  }
  s.rows = s.run == 0 ? 0 : input.numel() / s.run;
  return s;
}

}  // namespace

void split(const TensorView& input, const TensorView& parts, int axis, const Execution& execution) {
  SignedParts s = signed_parts(input, parts, axis);
  s.out = parts.as<float>();
  run(cpu::active().split, HUDD_CUDA_KERNEL(split), s, input, execution);
}

void by_sign(const TensorView& input, const TensorView& parts, const TensorView& out, int axis, const Execution& execution) {
  SignedParts s = signed_parts(input, parts, axis);
  s.out = result(out, "out", input);
  run(cpu::active().by_sign, HUDD_CUDA_KERNEL(by_sign), s, input, execution);
}

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

void add_differences(const TensorView& left, const TensorView& right, const TensorView& pairs, const TensorView& sums,
                     const Execution& execution) {
  if (left.dtype != DType::float32 && left.dtype != DType::float64)
    throw std::invalid_argument("The tensor 'left' must be float32 or float64, but it is " + left.describe() + ".");
  require_dtype(right, "right", left.dtype);
  require_dtype(pairs, "pairs", DType::int64);
  require_dtype(sums, "sums", DType::float64);
  if (left.shape.size() != 2)
    throw std::invalid_argument("The tensor 'left' must be (rows, features), but it is " + left.describe() + ".");
  require_shape(right, "right", {samples_of(right), left.shape[1]});
  require_shape(pairs, "pairs", {samples_of(pairs), 2});
  require_shape(sums, "sums", {pairs.shape[0]});
  require_row_major(left, "left");
  require_row_major(right, "right");
  require_row_major(pairs, "pairs");
  require_row_major(sums, "sums");
  require_same_device(right, "right", left, "left");
  require_same_device(pairs, "pairs", left, "left");
  require_same_device(sums, "sums", left, "left");
  Differences d{};
  d.left = left.data;
  d.right = right.data;
  d.pairs = pairs.as<const std::int64_t>();
  d.sums = sums.as<double>();
  d.lefts = left.shape[0];
  d.rights = right.shape[0];
  d.features = left.shape[1];
  d.count = pairs.shape[0];
  d.wide = left.dtype == DType::float64;
  for (std::int64_t pair = 0; !left.cuda && pair < d.count; ++pair)
    if (!in_range(d, pair))
      throw std::invalid_argument("Pair " + std::to_string(pair) + " is (" + std::to_string(d.pairs[2 * pair]) + ", " +
                                  std::to_string(d.pairs[2 * pair + 1]) + "), but 'left' has " + std::to_string(d.lefts) +
                                  " rows and 'right' has " + std::to_string(d.rights) + ".");
  run(cpu::active().add_differences, HUDD_CUDA_KERNEL(add_differences), d, sums, execution);
}

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
