// Minimal filtering F(2x2, 3x3) (Winograd 1980; Lavin & Gray 2016, arXiv 1509.09308): four neighbouring outputs of a 3x3
// convolution from 16 products a channel in place of 36. Sums are shorter too, so the result is nearer the exact one.
#pragma once

#include "hudd/kernels.h"

namespace hudd {

constexpr std::int64_t kWinogradPanel = 32;   // outputs whose weights lie side by side
constexpr std::int64_t kWinogradBlock = 128;  // outputs between two steps at a time
constexpr std::int64_t kWinogradTiles = 48;   // tiles between two steps at a time

HUDD_HOST_DEVICE std::int64_t winograd_panels(std::int64_t features) {
  return (features + kWinogradPanel - 1) / kWinogradPanel;
}

// Numbers from one tile's channels to the next's; not a multiple of a power of two that would share cache sets.
HUDD_HOST_DEVICE std::int64_t winograd_depth(std::int64_t channels) { return (channels + 15) / 16 * 16 + 16; }

HUDD_HOST_DEVICE std::int64_t winograd_tiles(const Winograd& w) {
  return w.samples * ((w.size[0] + 1) / 2) * ((w.size[1] + 1) / 2);
}

// Numbers that one worker keeps between the steps.
HUDD_HOST_DEVICE std::int64_t winograd_scratch(const Winograd& w) {
  const std::int64_t depth = winograd_depth(w.channels);
  return 16 * kWinogradTiles * (depth + kWinogradBlock) + depth + kWinogradBlock;
}

// One axis of the input's transform, Bᵀd.
template <typename Value>
HUDD_HOST_DEVICE void spread_four(const Value (&d)[4], Value (&sent)[4]) {
  sent[0] = d[0] - d[2];
  sent[1] = d[1] + d[2];
  sent[2] = d[2] - d[1];
  sent[3] = d[1] - d[3];
}

// One axis of the output's transform, Aᵀm.
template <typename Value>
HUDD_HOST_DEVICE void gather_four(const Value (&m)[4], Value (&summed)[2]) {
  summed[0] = m[0] + m[1] + m[2];
  summed[1] = m[1] - m[2] - m[3];
}

}  // namespace hudd
