// Statistics of an image's pixels, added up and rounded as NumPy does. Included once an instruction set, inside that
// set's namespace, and free of library templates: see HUDD_HOST_DEVICE in macros.h.
#pragma once

#include <cmath>
#include <cstring>

#include "hudd/kernels.h"

namespace hudd::cpu::HUDD_ISA {
namespace {

constexpr std::int64_t kSummed = 128;  // numbers that are added in eight running sums, without a split into halves

struct Pair {
  float first, second;
};

// Adds by pairs, as NumPy's add.reduce does along an axis whose elements lie next to each other. A sum of complex
// numbers, whose parts alternate, is two sums of four lanes each.
Pair eight_sums(const float* values, std::int64_t count, bool complex) {
  if (count < 8) {
    float sums[2] = {-0.0f, -0.0f};
    for (std::int64_t i = 0; i < count; ++i) sums[complex ? i % 2 : 0] += values[i];
    return {sums[0], sums[1]};
  }
  if (count > kSummed) {
    const std::int64_t half = count / 2 - count / 2 % 8;
    const Pair a = eight_sums(values, half, complex), b = eight_sums(values + half, count - half, complex);
    return {a.first + b.first, a.second + b.second};
  }
  float r[8];
  for (int lane = 0; lane < 8; ++lane) r[lane] = values[lane];
  std::int64_t i = 8;
  for (; i < count - count % 8; i += 8)
    for (int lane = 0; lane < 8; ++lane) r[lane] += values[i + lane];
  if (complex) {
    Pair sum = {(r[0] + r[2]) + (r[4] + r[6]), (r[1] + r[3]) + (r[5] + r[7])};
    for (; i < count; i += 2) sum = {sum.first + values[i], sum.second + values[i + 1]};
    return sum;
  }
  float sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  for (; i < count; ++i) sum += values[i];
  return {sum, 0.0f};
}

HUDD_HOST_DEVICE float sum_of(const float* values, std::int64_t count) {
  return 0.0f + eight_sums(values, count, false).first;
}

HUDD_HOST_DEVICE float mean_of(const float* values, std::int64_t count) {
  return sum_of(values, count) / static_cast<float>(count);
}

// The value at `place` of numbers that are none below zero, were they sorted: their bits sort as they do. `left` has
// room for all of them.
float at_place(const float* values, std::int64_t count, std::int64_t place, std::uint32_t* left) {
  constexpr int kShifts[3] = {20, 10, 0};
  std::uint32_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) std::memcpy(left + i, values + i, 4);
  for (const int shift : kShifts) {
    std::uint32_t counts[4096] = {};  // of twelve bits, the sign's among them
    for (std::int64_t i = 0; i < count; ++i) ++counts[(left[i] - found) >> shift];
    std::uint32_t digit = 0;
    while (place >= counts[digit]) place -= counts[digit++];
    found += digit << shift;
    std::int64_t kept = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint32_t bits = left[i];
      left[kept] = bits;
      kept += (bits - found) >> shift == 0;
    }
    count = kept;
  }
  float value;
  std::memcpy(&value, &found, 4);
  return value;
}

// As np.median: of an even number, the mean of the two in the middle.
float median_of(const float* values, std::int64_t count, std::uint32_t* left) {
  const float high = at_place(values, count, count / 2, left);
  if (count % 2) return high;
  std::int32_t below = 0, bits = 0, most;
  std::memcpy(&most, &high, 4);
  for (std::int64_t i = 0; i < count; ++i) {
    std::int32_t own;
    std::memcpy(&own, values + i, 4);
    below += own < most;
    own = own < most ? own : 0;
    bits = own > bits ? own : bits;
  }
  float low;
  std::memcpy(&low, &bits, 4);
  return ((below == count / 2 ? low : high) + high) / 2.0f;
}

// The row or column that stands for one beyond the edge: mirrored, the edge twice, as often as need be.
HUDD_HOST_DEVICE std::int64_t mirrored(std::int64_t at, std::int64_t length) {
  const std::int64_t place = ((at % (2 * length)) + 2 * length) % (2 * length);
  return place < length ? place : 2 * length - 1 - place;
}

}  // namespace
}  // namespace hudd::cpu::HUDD_ISA
