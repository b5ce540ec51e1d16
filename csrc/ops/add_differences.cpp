#include "checks.h"
#include "hudd/differences.h"
#include "run.h"

namespace hudd {

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

}  // namespace hudd
