// 3x3 convolution with stride 1, channels-last, by minimal filtering, F(2x2, 3x3).
//
// The products along channels are matrix products in registers. Each element's order of addition depends on neither the
// batch nor the threads.
#include <cstring>

#include "hudd/winograd.h"
#include "loops.h"

namespace hudd::cpu::HUDD_ISA {
namespace {

// A register tile is kRows positions by two vectors of outputs: as much as the registers hold.
#if defined(__AVX512F__)
constexpr int kLength = 16, kRows = 12;
#elif defined(__AVX2__)
constexpr int kLength = 8, kRows = 6;
#else
constexpr int kLength = 4, kRows = 6;
#endif
using Vector = float __attribute__((vector_size(kLength * sizeof(float))));
static_assert(kWinogradPanel % (2 * kLength) == 0, "a panel is whole register tiles");

template <typename Value>
Value load(const float* from) {
  Value value;
  memcpy(&value, from, sizeof value);
  return value;
}

template <typename Value>
void store(float* to, Value value) {
  memcpy(to, &value, sizeof value);
}

// body(Vector{}, c) for whole vectors of [0, count), then body(float{}, c) for the rest.
template <typename Body>
void for_vectors(std::int64_t count, Body body) {
  std::int64_t c = 0;
  for (; c + kLength <= count; c += kLength) body(Vector{}, c);
  for (; c < count; ++c) body(0.0f, c);
}

// products = spreads * panel for `rows` positions, of which each has `channels` numbers; rows lie `from`, `to` apart.
struct PanelProduct {
  const float* spreads;
  const float* panel;  // (channels, kWinogradPanel)
  float* products;
  std::int64_t rows, channels, from, to;
};

template <int kCount>
void multiply_rows(const PanelProduct& p, std::int64_t row) {
  const float* spreads = p.spreads + row * p.from;
  for (int first = 0; first < kWinogradPanel; first += 2 * kLength) {
    Vector sums[kCount][2] = {};
    const float* weights = p.panel + first;
    for (std::int64_t channel = 0; channel < p.channels; ++channel, weights += kWinogradPanel) {
      const auto left = load<Vector>(weights), right = load<Vector>(weights + kLength);
#pragma GCC unroll 16
      for (int i = 0; i < kCount; ++i) {
        const float value = spreads[i * p.from + channel];
        sums[i][0] += value * left;
        sums[i][1] += value * right;
      }
    }
    float* products = p.products + row * p.to + first;
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) {
      store(products + i * p.to, sums[i][0]);
      store(products + i * p.to + kLength, sums[i][1]);
    }
  }
}

// The last rows, fewer than kCount + 1.
template <int kCount>
void multiply_rest(const PanelProduct& p, std::int64_t row) {
  if constexpr (kCount > 0) {
    if (p.rows - row == kCount) return multiply_rows<kCount>(p, row);
    multiply_rest<kCount - 1>(p, row);
  }
}

void multiply(const PanelProduct& p) {
  std::int64_t row = 0;
  for (; row + kRows <= p.rows; row += kRows) multiply_rows<kRows>(p, row);
  multiply_rest<kRows - 1>(p, row);
}

// Where a tile lies: its sample and its first pixel of the output.
struct Tile {
  std::int64_t sample, y, x;
  Tile(const Winograd& w, std::int64_t index) {
    const std::int64_t columns = (w.size[1] + 1) / 2, per_sample = (w.size[0] + 1) / 2 * columns;
    sample = index / per_sample;
    y = index % per_sample / columns * 2;
    x = index % columns * 2;
  }
};

// The 16 pixels under a tile, as 16 planes; pixels outside the input are `nothing`.
void spread(const Winograd& w, const Tile& tile, const float* nothing, float* out, std::int64_t plane) {
  const float* pixels[4][4];
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const std::int64_t y = tile.y + i - w.padding[0], x = tile.x + j - w.padding[1];
      const bool inside = 0 <= y && y < w.in[0] && 0 <= x && x < w.in[1];
      pixels[i][j] = inside ? w.input + ((tile.sample * w.in[0] + y) * w.in[1] + x) * w.channels : nothing;
    }
  }
  for_vectors(w.channels, [&](auto zero, std::int64_t c) {
    using Value = decltype(zero);
    Value columns[4][4];
    for (int j = 0; j < 4; ++j) {
      Value column[4], sent[4];
      for (int i = 0; i < 4; ++i) column[i] = load<Value>(pixels[i][j] + c);
      spread_four(column, sent);
      for (int i = 0; i < 4; ++i) columns[i][j] = sent[i];
    }
    for (int i = 0; i < 4; ++i) {
      Value sent[4];
      spread_four(columns[i], sent);
      for (int j = 0; j < 4; ++j) store(out + (4 * i + j) * plane + c, sent[j]);
    }
  });
}

// `count` outputs from `first` on at the four pixels of a tile, from 16 planes; pixels outside the output go to `nowhere`.
void gather(const Winograd& w, const Tile& tile, const float* products, std::int64_t plane, std::int64_t first,
            std::int64_t count, float* nowhere) {
  float* pixels[2][2];
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {
      const std::int64_t y = tile.y + i, x = tile.x + j;
      const bool inside = y < w.size[0] && x < w.size[1];
      pixels[i][j] =
          inside ? w.out + ((tile.sample * w.size[0] + y) * w.size[1] + x) * w.features + first : nowhere;
    }
  }
  for_vectors(count, [&](auto zero, std::int64_t c) {
    using Value = decltype(zero);
    Value columns[2][4];
    for (int j = 0; j < 4; ++j) {
      Value column[4], summed[2];
      for (int i = 0; i < 4; ++i) column[i] = load<Value>(products + (4 * i + j) * plane + c);
      gather_four(column, summed);
      for (int i = 0; i < 2; ++i) columns[i][j] = summed[i];
    }
    for (int i = 0; i < 2; ++i) {
      Value summed[2];
      gather_four(columns[i], summed);
      for (int j = 0; j < 2; ++j) store(pixels[i][j] + c, summed[j]);
    }
  });
}

// The tiles [begin, end), some at a time, so that what lies between the steps stays near.
void convolve(const Winograd& w, std::int64_t begin, std::int64_t end, float* scratch) {
  const std::int64_t depth = winograd_depth(w.channels), panels = winograd_panels(w.features);
  const std::int64_t spread_plane = kWinogradTiles * depth, product_plane = kWinogradTiles * kWinogradBlock;
  float* const spreads = scratch;
  float* const products = spreads + 16 * spread_plane;
  float* const nothing = products + 16 * product_plane;
  float* const nowhere = nothing + depth;
  memset(nothing, 0, static_cast<std::size_t>(depth) * sizeof(float));
  for (std::int64_t first = begin; first < end; first += kWinogradTiles) {
    const std::int64_t tiles = end - first < kWinogradTiles ? end - first : kWinogradTiles;
    for (std::int64_t t = 0; t < tiles; ++t) spread(w, Tile(w, first + t), nothing, spreads + t * depth, spread_plane);
    for (std::int64_t feature = 0; feature < w.features; feature += kWinogradBlock) {
      const std::int64_t left = w.features - feature, count = left < kWinogradBlock ? left : kWinogradBlock;
      for (std::int64_t plane = 0; plane < 16; ++plane) {
        for (std::int64_t at = 0; at < winograd_panels(count); ++at) {
          const std::int64_t panel = plane * panels + feature / kWinogradPanel + at;
          multiply({spreads + plane * spread_plane, w.weights + panel * w.channels * kWinogradPanel,
                    products + plane * product_plane + at * kWinogradPanel, tiles, w.channels, depth, kWinogradBlock});
        }
      }
      for (std::int64_t t = 0; t < tiles; ++t)
        gather(w, Tile(w, first + t), products + t * kWinogradBlock, product_plane, feature, count, nowhere);
    }
  }
}

}  // namespace

void winograd(const Winograd& w, int threads) {
  const std::int64_t tiles = winograd_tiles(w), scratch = winograd_scratch(w);
  for_ranges(w.workers, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t worker = begin; worker < end; ++worker)
      convolve(w, tiles * worker / w.workers, tiles * (worker + 1) / w.workers, w.scratch + worker * scratch);
  });
}

}  // namespace hudd::cpu::HUDD_ISA
