// The arithmetic of the LRP rules, one element at a time: the only place where it is written.
//
// A relevance is carried as R = message * factor. For every rule of the epsilon family the factor is the
// activation itself and the message the quantity that a gradient would be, so that R / z never has to be formed
// from a relevance that has underflowed.
#pragma once

#include <cstdint>
#include <cstring>

#include "hudd/macros.h"

namespace hudd {

// What keeps a denominator away from zero.
enum class Stabilizer : std::int32_t {
  none = 0,      // LRP-0
  sign = 1,      // z + eps * sign(z), sign(0) = 1
  positive = 2,  // z + eps, as in the authors' 2021 code
};

// Which sign of the gate lets a quotient through (generalised gamma rule).
enum class Gate : std::int32_t { open = 0, positive = 1, negative = 2 };

HUDD_HOST_DEVICE std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

HUDD_HOST_DEVICE float float_of(std::uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// A denominator of zero receives no relevance.
HUDD_HOST_DEVICE float stabilized_ratio(float numerator, float z, float epsilon, Stabilizer stabilizer) {
  const float shift = (stabilizer == Stabilizer::sign && z < 0.0f) ? -epsilon : epsilon;
  const float denominator = stabilizer == Stabilizer::none ? z : z + shift;
  return denominator == 0.0f ? 0.0f : numerator / denominator;
}

HUDD_HOST_DEVICE bool passes(Gate gate, float z) {
  return gate == Gate::open || (gate == Gate::positive ? z > 0.0f : z < 0.0f);
}

// scale * R / (z + eps), with R = message * factor; the ratio is taken first, so that it stays near 1.
HUDD_HOST_DEVICE float quotient(float message, float factor, float z, float scale, float epsilon,
                                Stabilizer stabilizer) {
  return message * (scale * stabilized_ratio(factor, z, epsilon, stabilizer));
}

// The parts of an input that is split by sign; each keeps a NaN.
HUDD_HOST_DEVICE float positive_part(float input) { return input < 0.0f ? 0.0f : input; }
HUDD_HOST_DEVICE float negative_part(float input) { return input > 0.0f ? 0.0f : input; }

// The message of an input that is split by sign: its positive part through one set of weights, its negative part
// through the other.
HUDD_HOST_DEVICE float by_sign(float input, float positive, float negative) {
  return input > 0.0f ? positive : negative;
}

// z^B rule, Montavon et al. 2017: x * m - low * m_plus - high * m_minus.
HUDD_HOST_DEVICE float box(float input, float message, float message_plus, float message_minus, float low, float high) {
  return input * message - low * message_plus - high * message_minus;
}

// Max pooling: a later element wins only if it is greater, or the first NaN. So ties go to the first in row-major order.
HUDD_HOST_DEVICE bool wins(float candidate, float best) { return !(candidate <= best) & (best == best); }

// float32 to float16 bits, round to nearest even, overflow to infinity, NaN kept.
HUDD_HOST_DEVICE std::uint16_t half_bits(float value) {
  std::uint32_t bits = bits_of(value);
  const std::uint32_t sign = bits & 0x80000000u;
  bits ^= sign;
  std::uint32_t half;
  if (bits >= 0x47800000u) {
    half = bits > 0x7f800000u ? 0x7e00u : 0x7c00u;
  } else if (bits < 0x38800000u) {  // a half denormal: let the float unit do the rounding
    half = bits_of(float_of(bits) + 0.5f) - 0x3f000000u;
  } else {
    half = (bits + 0xc8000fffu + ((bits >> 13) & 1u)) >> 13;
  }
  return static_cast<std::uint16_t>(half | (sign >> 16));
}

// float32 to bfloat16 bits, round to nearest even, NaN kept.
HUDD_HOST_DEVICE std::uint16_t bfloat16_bits(float value) {
  const std::uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace hudd
