// What is measured of the light, the colour and the flat areas of images; see hudd/attributes/light.py and frame.py.
#include "hudd/pictures.h"

#include "statistics.h"

namespace hudd::cpu::HUDD_ISA {
namespace {

HUDD_HOST_DEVICE float greater(float a, float b) { return a > b ? a : b; }
HUDD_HOST_DEVICE float smaller(float a, float b) { return a < b ? a : b; }

// out[i] = the least of `side` numbers along rows, or down columns; beyond the edges they are mirrored.
void least_down(const float* in, std::int64_t height, std::int64_t width, std::int64_t side, float* out) {
  for (std::int64_t y = 0; y < height; ++y) {
    float* const into = out + y * width;
    std::memcpy(into, in + mirrored(y - side / 2, height) * width, width * sizeof(float));
    for (std::int64_t k = 1; k < side; ++k) {
      const float* const row = in + mirrored(y - side / 2 + k, height) * width;
      for (std::int64_t x = 0; x < width; ++x) into[x] = smaller(into[x], row[x]);
    }
  }
}

void least_across(const float* in, std::int64_t height, std::int64_t width, std::int64_t side, float* out) {
  float around[2 * kPictureSide];
  const std::int64_t before = side / 2;
  for (std::int64_t y = 0; y < height; ++y) {
    const float* const row = in + y * width;
    float* const into = out + y * width;
    std::memcpy(around + before, row, width * sizeof(float));
    for (std::int64_t x = 0; x < before; ++x) around[x] = row[mirrored(x - before, width)];
    for (std::int64_t x = width; x < width + side - 1 - before; ++x) around[x + before] = row[mirrored(x, width)];
    std::memcpy(into, around, width * sizeof(float));
    for (std::int64_t k = 1; k < side; ++k)
      for (std::int64_t x = 0; x < width; ++x) into[x] = smaller(into[x], around[x + k]);
  }
}

// The largest less the smallest of each pixel and its eight neighbours.
void differences_around(const float* grey, std::int64_t height, std::int64_t width, float* most, float* least) {
  for (std::int64_t y = 0; y < height; ++y) {
    const float* const row = grey + y * width;
    const float *const up = y ? row - width : row, *const down = y + 1 < height ? row + width : row;
    float high[kPictureSide], low[kPictureSide];
    for (std::int64_t x = 0; x < width; ++x) {
      high[x] = greater(row[x], greater(up[x], down[x]));
      low[x] = smaller(row[x], smaller(up[x], down[x]));
    }
    for (std::int64_t x = 0; x < width; ++x) {
      const std::int64_t left = x ? x - 1 : x, right = x + 1 < width ? x + 1 : x;
      most[y * width + x] = greater(high[x], greater(high[left], high[right]));
      least[y * width + x] = smaller(low[x], smaller(low[left], low[right]));
    }
  }
}

// Pixels of the largest piece that is marked, neighbours along rows and columns; the marks go.
std::int64_t largest_piece(std::uint8_t* marked, std::int64_t height, std::int64_t width, std::uint32_t* waiting) {
  std::int64_t largest = 0;
  for (std::int64_t start = 0; start < height * width; ++start) {
    if (!marked[start]) continue;
    std::int64_t size = 0, left = 0;
    const auto take = [&](std::int64_t at) {
      if (marked[at]) waiting[left++] = static_cast<std::uint32_t>(at);
      marked[at] = 0;
    };
    for (take(start); left; ++size) {
      const std::int64_t at = waiting[--left], x = at % width;
      if (x) take(at - 1);
      if (x + 1 < width) take(at + 1);
      if (at >= width) take(at - width);
      if (at + width < height * width) take(at + width);
    }
    largest = size > largest ? size : largest;
  }
  return largest;
}

void light(const Pictures& p, const float* colour, const float* grey, float* out) {
  const std::int64_t size = p.height * p.width;
  float *const planes = p.scratch, *const most = planes + 3 * size, *const least = most + size, *const spread = least + size;
  std::uint32_t* const left = reinterpret_cast<std::uint32_t*>(planes);  // once their means are taken
  std::int32_t glare = 0;
#pragma GCC ivdep
  for (std::int64_t i = 0; i < size; ++i) {
    const float red = colour[3 * i], green = colour[3 * i + 1], blue = colour[3 * i + 2];
    planes[i] = red;
    planes[size + i] = green;
    planes[2 * size + i] = blue;
    most[i] = greater(greater(red, green), blue);
    least[i] = smaller(smaller(red, green), blue);
    spread[i] = most[i] - least[i];
    glare += grey[i] >= 0.98f;
  }
  const float mean = mean_of(grey, size);
  out[0] = mean;
  out[2] = mean_of(spread, size);
  out[3] = mean_of(most, size);
  for (int channel = 0; channel < 3; ++channel) out[4 + channel] = mean_of(planes + channel * size, size);
  for (std::int64_t i = 0; i < size; ++i) spread[i] = (grey[i] - mean) * (grey[i] - mean);
  out[1] = std::sqrt(mean_of(spread, size));
  out[7] = at_place(grey, size, static_cast<std::int64_t>(0.99 * static_cast<double>(size - 1)), left);
  out[8] = static_cast<float>(glare);
  least_down(least, p.height, p.width, p.around, most);
  least_across(most, p.height, p.width, p.around, spread);
  out[9] = at_place(spread, size, static_cast<std::int64_t>(0.05 * static_cast<double>(size - 1)), left);
}

void frame(const Pictures& p, const float* grey, float* out) {
  const std::int64_t size = p.height * p.width;
  float *const most = p.scratch, *const least = most + size, *const edge = least + size;
  std::uint32_t* const left = reinterpret_cast<std::uint32_t*>(edge + 4 * kPictureSide);
  std::uint8_t* const marked = reinterpret_cast<std::uint8_t*>(edge + 4 * kPictureSide + size);
  differences_around(grey, p.height, p.width, most, least);
  std::int64_t edges = 0;
  for (std::int64_t x = 0; x < p.width; ++x) {
    edge[edges++] = grey[x];
    edge[edges++] = grey[size - p.width + x];
  }
  for (std::int64_t y = 0; y < p.height; ++y) {
    edge[edges++] = grey[y * p.width];
    edge[edges++] = grey[y * p.width + p.width - 1];
  }
  const float middle = median_of(edge, edges, left);
  std::int32_t flat = 0, inside = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    const bool even = most[i] - least[i] <= static_cast<float>(1.5 / 255);
    marked[i] = even && std::fabs(grey[i] - middle) > 0.05f;
    flat += even;
    inside += marked[i];
  }
  out[0] = static_cast<float>(flat);
  out[1] = inside > 0 ? static_cast<float>(largest_piece(marked, p.height, p.width, left)) : 0.0f;
}

}  // namespace

void picture_luma(const Pictures& p) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < p.count * p.height * p.width; ++i)
    p.out[i] = (0.299f * p.colour[3 * i] + 0.587f * p.colour[3 * i + 1]) + 0.114f * p.colour[3 * i + 2];
}

void picture_light(const Pictures& p) {
  const std::int64_t size = p.height * p.width;
  for (std::int64_t image = 0; image < p.count; ++image)
    light(p, p.colour + 3 * image * size, p.grey + image * size, p.out + image * kLightNumbers);
}

void picture_frame(const Pictures& p) {
  const std::int64_t size = p.height * p.width;
  for (std::int64_t image = 0; image < p.count; ++image) frame(p, p.grey + image * size, p.out + image * kFrameNumbers);
}

}  // namespace hudd::cpu::HUDD_ISA
