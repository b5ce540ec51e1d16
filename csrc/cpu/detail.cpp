// What is measured of the detail of images, pixel by pixel; see hudd/attributes/detail.py. Filters add in double and
// round to float, as SciPy's do.
#include "hudd/pictures.h"

#include "statistics.h"

namespace hudd::cpu::HUDD_ISA {
namespace {

constexpr std::int64_t kSmoothing = 5, kBlockSide = 8;

// out = middle * in + side * (before + after), or (before - after), of three neighbours.
template <bool odd>
HUDD_HOST_DEVICE float weighted(float before, float at, float after, double middle, double side) {
  const double one = before, other = after;
  return static_cast<float>(static_cast<double>(at) * middle + (odd ? one - other : one + other) * side);
}

template <bool odd>
void three_down(const float* in, std::int64_t height, std::int64_t width, double middle, double side, float* out) {
  for (std::int64_t y = 0; y < height; ++y) {
    const float* const row = in + y * width;
    const float *const up = y ? row - width : row, *const down = y + 1 < height ? row + width : row;
    float* const into = out + y * width;
#pragma GCC ivdep
    for (std::int64_t x = 0; x < width; ++x) into[x] = weighted<odd>(up[x], row[x], down[x], middle, side);
  }
}

template <bool odd>
void three_across(const float* in, std::int64_t height, std::int64_t width, double middle, double side, float* out) {
  for (std::int64_t y = 0; y < height; ++y) {
    const float* const row = in + y * width;
    float* const into = out + y * width;
    const std::int64_t last = width - 1;
    into[0] = weighted<odd>(row[0], row[0], row[1], middle, side);
#pragma GCC ivdep
    for (std::int64_t x = 1; x < last; ++x) into[x] = weighted<odd>(row[x - 1], row[x], row[x + 1], middle, side);
    into[last] = weighted<odd>(row[last - 1], row[last], row[last], middle, side);
  }
}

// Running means of five, each sum from the one before.
void smooth_down(const float* in, std::int64_t height, std::int64_t width, float* out) {
  const auto row = [&](std::int64_t y) { return in + mirrored(y, height) * width; };
  double sums[kPictureSide] = {};
  for (std::int64_t k = -2; k <= 2; ++k)
    for (std::int64_t x = 0; x < width; ++x) sums[x] += static_cast<double>(row(k)[x]);
  for (std::int64_t x = 0; x < width; ++x) out[x] = static_cast<float>(sums[x] / kSmoothing);
  for (std::int64_t y = 1; y < height; ++y) {
    const float *const next = row(y + 2), *const gone = row(y - 3);
    float* const into = out + y * width;
    for (std::int64_t x = 0; x < width; ++x) {
      sums[x] += static_cast<double>(next[x]) - static_cast<double>(gone[x]);
      into[x] = static_cast<float>(sums[x] / kSmoothing);
    }
  }
}

void transpose(const float* in, std::int64_t height, std::int64_t width, float* out) {
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) out[x * height + y] = in[y * width + x];
}

// Differences of neighbours down columns, (height - 1, width), and along rows, (height, width - 1), without signs.
void steps_down(const float* in, std::int64_t height, std::int64_t width, float* out) {
  for (std::int64_t i = 0; i < (height - 1) * width; ++i) out[i] = std::fabs(in[i + width] - in[i]);
}

void steps_across(const float* in, std::int64_t height, std::int64_t width, float* out) {
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x + 1 < width; ++x)
      out[y * (width - 1) + x] = std::fabs(in[y * width + x + 1] - in[y * width + x]);
}

// Means of the steps across the borders of blocks, and of those within; numbers are kept in their order.
void block_means(const float* steps, std::int64_t height, std::int64_t width, bool down, float* kept, float* out) {
  for (int part = 0; part < 2; ++part) {
    const bool wanted = part == 0;
    std::int64_t count = 0;
    for (std::int64_t y = 0; y < height; ++y) {
      if (down && (y % kBlockSide == kBlockSide - 1) != wanted) continue;
      const float* const row = steps + y * width;
      if (down) {
        std::memcpy(kept + count, row, width * sizeof(float));
        count += width;
      } else if (wanted) {
        for (std::int64_t x = kBlockSide - 1; x < width; x += kBlockSide) kept[count++] = row[x];
      } else {
        for (std::int64_t x = 0; x < width; ++x) {
          kept[count] = row[x];
          count += x % kBlockSide != kBlockSide - 1;
        }
      }
    }
    *out++ = mean_of(kept, count);
  }
}

// Sums of the structure tensor: energy, cosine and sine of twice the gradient's angle, and both of four times it.
void directions(const Pictures& p, const float* grey, float* out) {
  const std::int64_t size = p.height * p.width;
  float *const first = p.scratch, *const down = first + size, *const right = down + size, *const energy = right + size;
  float *const square = first, *const both = down, *const quarter = energy + size;  // two numbers a pixel
  three_down<true>(grey, p.height, p.width, 0, -1, first);
  three_across<false>(first, p.height, p.width, 2, 1, down);
  three_across<true>(grey, p.height, p.width, 0, -1, first);
  three_down<false>(first, p.height, p.width, 2, 1, right);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < size; ++i) {
    const float r = right[i], d = down[i];
    energy[i] = r * r + d * d;
    square[i] = r * r - d * d;
    both[i] = 2.0f * r * d;
  }
#pragma GCC ivdep
  for (std::int64_t i = 0; i < size; ++i) {
    const float s = square[i], b = both[i], inverse = 1.0f / energy[i];
    // NumPy multiplies complex numbers with one rounding less.
    quarter[2 * i] = energy[i] == 0.0f ? 0.0f : __builtin_fmaf(s, s, -(b * b)) * inverse;
    quarter[2 * i + 1] = energy[i] == 0.0f ? 0.0f : __builtin_fmaf(s, b, b * s) * inverse;
  }
  out[0] = sum_of(energy, size);
  out[1] = sum_of(square, size);
  out[2] = sum_of(both, size);
  const Pair fourfold = eight_sums(quarter, 2 * size, true);
  out[3] = 0.0f + fourfold.first;
  out[4] = 0.0f + fourfold.second;
}

void detail(const Pictures& p, const float* grey, float* out) {
  const std::int64_t height = p.height, width = p.width, size = height * width;
  float *const steps = p.scratch, *const smooth = steps + size, *const turned = smooth + size, *const kept = turned + size;
  std::uint32_t* const left = reinterpret_cast<std::uint32_t*>(kept);
  const bool blocks = height >= 3 * kBlockSide && width >= 3 * kBlockSide;

  steps_down(grey, height, width, steps);
  out[0] = sum_of(steps, size - width);
  if (blocks) block_means(steps, height - 1, width, true, kept, out + 5);
  smooth_down(grey, height, width, smooth);
  steps_down(smooth, height, width, steps);
  out[1] = sum_of(steps, size - width);

  steps_across(grey, height, width, steps);
  out[2] = sum_of(steps, size - height);
  if (blocks) block_means(steps, height, width - 1, false, kept, out + 7);
  transpose(grey, height, width, steps);
  smooth_down(steps, width, height, turned);
  transpose(turned, width, height, smooth);
  steps_across(smooth, height, width, steps);
  out[3] = sum_of(steps, size - height);

  three_down<false>(grey, height, width, -2, 1, smooth);
  three_across<false>(smooth, height, width, -2, 1, turned);
  std::int64_t inner = 0;
  for (std::int64_t y = 1; y < height - 1; ++y)
    for (std::int64_t x = 1; x < width - 1; ++x) steps[inner++] = std::fabs(turned[y * width + x]);
  out[4] = median_of(steps, inner, left);
  directions(p, grey, out + 9);
}

}  // namespace

void picture_detail(const Pictures& p) {
  const std::int64_t size = p.height * p.width;
  for (std::int64_t image = 0; image < p.count; ++image)
    detail(p, p.grey + image * size, p.out + image * kDetailNumbers);
}

}  // namespace hudd::cpu::HUDD_ISA
