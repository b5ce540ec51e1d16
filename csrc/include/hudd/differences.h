// The arithmetic of squared distances, shared by CPU and CUDA.
#pragma once

#include "hudd/kernels.h"

namespace hudd {

// In double, so that close rows keep their digits and no square overflows or vanishes.
template <typename Element>
HUDD_HOST_DEVICE double squared_difference(Element a, Element b) {
  const double difference = static_cast<double>(a) - static_cast<double>(b);
  return difference * difference;
}

// The two rows of a pair.
template <typename Element>
struct RowPair {
  const Element *a, *b;
  HUDD_HOST_DEVICE RowPair(const Differences& d, std::int64_t pair)
      : a(static_cast<const Element*>(d.left) + d.pairs[2 * pair] * d.features),
        b(static_cast<const Element*>(d.right) + d.pairs[2 * pair + 1] * d.features) {}
  HUDD_HOST_DEVICE double operator()(std::int64_t feature) const { return squared_difference(a[feature], b[feature]); }
};

HUDD_HOST_DEVICE bool in_range(const Differences& d, std::int64_t pair) {
  const std::int64_t i = d.pairs[2 * pair], j = d.pairs[2 * pair + 1];
  return 0 <= i && i < d.lefts && 0 <= j && j < d.rights;
}

}  // namespace hudd
