#include "checks.h"
#include "hudd/kernels.h"
#include "run.h"

namespace hudd {
namespace {

double* sums_of(const MaybeTensor& sums, const TensorView& message) {
  if (!sums) return nullptr;
  require_dtype(*sums, "sums", DType::float64);
  require_same_device(*sums, "sums", message, "message");
  require_row_major(*sums, "sums");
  require_shape(*sums, "sums", {samples_of(message), partial_sums(message)});
  return sums->as<double>();
}

Storage storage_of(const TensorView& out) {
  if (out.dtype == DType::float32) return Storage::float32;
  if (out.dtype == DType::float16) return Storage::float16;
  if (out.dtype == DType::bfloat16) return Storage::bfloat16;
  throw std::invalid_argument("The tensor 'out' must be float32, float16 or bfloat16, but it is " + out.describe() + ".");
}

}  // namespace

std::int64_t partial_sums(const TensorView& tensor) { return chunks_of(per_sample_of(tensor)); }

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

}  // namespace hudd
