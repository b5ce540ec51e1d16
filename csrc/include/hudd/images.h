// Extents of what is made of decoded images.
#pragma once

#include "hudd/kernels.h"

namespace hudd {

constexpr std::int64_t kThumbnailRows = 8, kThumbnailColumns = 9;
constexpr std::int64_t kSampledSide = 96;  // pixels a side that a thumbnail is made of, at most

}  // namespace hudd
