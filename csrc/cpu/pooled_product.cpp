// Relevance summed over space (one number per channel) or over channels (a map), in the pass that forms it.
#include "loops.h"

namespace hudd::cpu::HUDD_ISA {
namespace {

constexpr std::int64_t kBlock = 256;  // running sums that stay in the first-level cache

float relevance_at(const PooledProduct& p, std::int64_t i) {
  return p.factor ? p.message[i] * p.factor[i] : p.message[i];
}

// One channel of one sample: the sum over outer and inner positions.
void sum_over_space(const PooledProduct& p, std::int64_t sample, std::int64_t channel) {
  double sum = 0;
  for (std::int64_t outer = 0; outer < p.outer; ++outer) {
    const std::int64_t start = ((sample * p.outer + outer) * p.channels + channel) * p.inner;
    sum += ordered_sum(p.inner, [&](std::int64_t i) { return relevance_at(p, start + i); });
  }
  p.out[sample * p.channels + channel] = static_cast<float>(sum);
}

// Up to kBlock channels of one sample where they come last.
void sum_over_positions(const PooledProduct& p, std::int64_t sample, std::int64_t first) {
  const std::int64_t length = p.channels - first < kBlock ? p.channels - first : kBlock;
  double sums[kBlock] = {};
  for (std::int64_t outer = 0; outer < p.outer; ++outer) {
    const std::int64_t start = (sample * p.outer + outer) * p.channels + first;
    for (std::int64_t i = 0; i < length; ++i) sums[i] += static_cast<double>(relevance_at(p, start + i));
  }
  for (std::int64_t i = 0; i < length; ++i) p.out[sample * p.channels + first + i] = static_cast<float>(sums[i]);
}

// One outer position of one sample: the sum over channels at every inner position.
void sum_over_channels(const PooledProduct& p, std::int64_t sample, std::int64_t outer) {
  const std::int64_t row = sample * p.outer + outer;
  if (p.inner == 1) {
    p.out[row] = static_cast<float>(
        ordered_sum(p.channels, [&](std::int64_t i) { return relevance_at(p, row * p.channels + i); }));
    return;
  }
  for (std::int64_t first = 0; first < p.inner; first += kBlock) {
    const std::int64_t length = p.inner - first < kBlock ? p.inner - first : kBlock;
    double sums[kBlock] = {};
    for (std::int64_t channel = 0; channel < p.channels; ++channel) {
      const std::int64_t start = (row * p.channels + channel) * p.inner + first;
      for (std::int64_t i = 0; i < length; ++i) sums[i] += static_cast<double>(relevance_at(p, start + i));
    }
    for (std::int64_t i = 0; i < length; ++i) p.out[row * p.inner + first + i] = static_cast<float>(sums[i]);
  }
}

}  // namespace

void pooled_product(const PooledProduct& p, int threads) {
  const bool channels_last = p.over_space && p.inner == 1;
  const std::int64_t blocks = (p.channels + kBlock - 1) / kBlock;
  const std::int64_t parts = channels_last ? blocks : p.over_space ? p.channels : p.outer;
  for_ranges(p.samples * parts, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      if (channels_last) {
        sum_over_positions(p, item / parts, item % parts * kBlock);
      } else if (p.over_space) {
        sum_over_space(p, item / parts, item % parts);
      } else {
        sum_over_channels(p, item / parts, item % parts);
      }
    }
  });
}

}  // namespace hudd::cpu::HUDD_ISA
