// Extents of what is measured of pictures.
#pragma once

#include "hudd/kernels.h"

namespace hudd {

constexpr std::int64_t kPictureSide = 192;     // pixels a side, at most
constexpr std::int64_t kLightNumbers = 10, kFrameNumbers = 2, kDetailNumbers = 14;
constexpr std::int64_t kPictureScratch = 7;    // floats a pixel, and four sides more

}  // namespace hudd
