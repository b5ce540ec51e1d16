// Division by a number that is known before the loop: a multiplication and a shift in place of some tens of instructions.
//
// Granlund and Montgomery 1994, "Division by invariant integers using multiplication", section 4.
#pragma once

#include <cstdint>

#include "hudd/macros.h"

namespace hudd {

constexpr std::int64_t kDivisorLimit = std::int64_t{1} << 31;  // dividends and divisors lie below

class Divisor {
 public:
  Divisor() = default;
  explicit Divisor(std::int64_t divisor) : divisor_(static_cast<std::uint32_t>(divisor)) {
    while ((std::uint64_t{1} << shift_) < divisor_) ++shift_;
    const std::uint64_t above = (std::uint64_t{1} << shift_) - divisor_;
    multiplier_ = static_cast<std::uint32_t>((above << 32) / divisor_ + 1);
  }

  HUDD_HOST_DEVICE std::uint32_t operator()(std::uint32_t dividend) const {
    const auto high = static_cast<std::uint32_t>((static_cast<std::uint64_t>(dividend) * multiplier_) >> 32);
    return (high + dividend) >> shift_;
  }

  // The quotient; `dividend` becomes the remainder.
  HUDD_HOST_DEVICE std::uint32_t take(std::uint32_t& dividend) const {
    const std::uint32_t quotient = (*this)(dividend);
    dividend -= quotient * divisor_;
    return quotient;
  }

 private:
  std::uint32_t divisor_ = 1, multiplier_ = 1, shift_ = 0;
};

}  // namespace hudd
