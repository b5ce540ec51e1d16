// Squared distances of listed pairs of rows; a pair is added by one thread, in one order.
#include "hudd/differences.h"

#include "loops.h"

namespace hudd::cpu::HUDD_ISA {
namespace {

template <typename Element>
void add_pairs(const Differences& d, int threads) {
  for_ranges(d.count, d.count * d.features < 2 * kChunk ? 1 : threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t pair = begin; pair < end; ++pair) d.sums[pair] += ordered_sum(d.features, RowPair<Element>(d, pair));
  });
}

}  // namespace

void add_differences(const Differences& d, int threads) {
  d.wide ? add_pairs<double>(d, threads) : add_pairs<float>(d, threads);
}

}  // namespace hudd::cpu::HUDD_ISA
