// What `split` and `by_sign` share: an input next to its positive and its negative part.
#pragma once

#include "checks.h"
#include "hudd/kernels.h"

namespace hudd {

// Rows of an input whose parts lie one after the other along `axis`.
inline SignedParts signed_parts(const TensorView& input, const TensorView& parts, int axis) {
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

}  // namespace hudd
