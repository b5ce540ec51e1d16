// Max pooling's winner takes all; planes are independent, so the result does not depend on the threads.
#include <cstring>

#include "hudd/pooling.h"
#include "loops.h"

namespace hudd::cpu::HUDD_ISA {
namespace {

void send(const MaxPool& pool, float* out, std::int64_t target, float message) {
  if (target >= 0) out[target] = pool.last_wins ? message : out[target] + message;
}

// One row of outputs of any pooling.
void route_row(const MaxPool& pool, const float* input, const float* message, float* out, std::int64_t d,
               std::int64_t h) {
  for (std::int64_t w = 0; w < pool.size[2]; ++w) send(pool, out, winner<std::int64_t>(pool, input, d, h, w), message[w]);
}

// One row of outputs of a square 2-d window of kSide neighbours, most of which lie inside the plane.
template <int kSide>
void route_square_row(const MaxPool& pool, const float* input, const float* message, float* out, std::int64_t,
                      std::int64_t h) {
  const std::int64_t top = h * pool.stride[1] - pool.padding[1];
  const bool rows_inside = top >= 0 && top + kSide <= pool.in[1];
  for (std::int64_t w = 0; w < pool.size[2]; ++w) {
    const std::int64_t left = w * pool.stride[2] - pool.padding[2];
    const bool inside = rows_inside && left >= 0 && left + kSide <= pool.in[2];
    const std::int64_t target =
        inside ? winner_inside<kSide>(input, top * pool.in[2] + left, pool.in[2]) : winner<std::int64_t>(pool, input, 0, h, w);
    send(pool, out, target, message[w]);
  }
}

using RouteRow = void (*)(const MaxPool&, const float*, const float*, float*, std::int64_t, std::int64_t);

RouteRow row_router(const MaxPool& pool) {
  const bool flat = pool.in[0] == 1 && pool.window[0] == 1 && pool.padding[0] == 0;
  const bool neighbours = pool.dilation[1] == 1 && pool.dilation[2] == 1 && pool.window[1] == pool.window[2];
  if (flat && neighbours && pool.window[1] == 2) return route_square_row<2>;
  if (flat && neighbours && pool.window[1] == 3) return route_square_row<3>;
  return route_row;
}

constexpr std::int64_t kBlock = 64;  // channels that are compared side by side where they come last

// Calls visit(number, position) for every element inside the window of output (d, h, w), in row-major order.
template <typename Visit>
void for_window(const MaxPool& pool, std::int64_t d, std::int64_t h, std::int64_t w, Visit visit) {
  std::int32_t number = 0;
  for (std::int64_t i = 0; i < pool.window[0]; ++i) {
    const std::int64_t z = d * pool.stride[0] - pool.padding[0] + i * pool.dilation[0];
    if (z < 0 || z >= pool.in[0]) continue;
    for (std::int64_t j = 0; j < pool.window[1]; ++j) {
      const std::int64_t y = h * pool.stride[1] - pool.padding[1] + j * pool.dilation[1];
      if (y < 0 || y >= pool.in[1]) continue;
      for (std::int64_t k = 0; k < pool.window[2]; ++k) {
        const std::int64_t x = w * pool.stride[2] - pool.padding[2] + k * pool.dilation[2];
        if (x >= 0 && x < pool.in[2]) visit(number++, (z * pool.in[1] + y) * pool.in[2] + x);
      }
    }
  }
}

// One window of up to kBlock channels that lie side by side; the pointers are at the first of them.
void route_block(const MaxPool& pool, const float* input, const float* message, float* out, std::int64_t channels,
                 std::int64_t d, std::int64_t h, std::int64_t w) {
  float best[kBlock];
  std::int32_t won[kBlock];
  for_window(pool, d, h, w, [&](std::int32_t number, std::int64_t position) {
    const float* value = input + position * pool.interleaved;
    for (std::int64_t c = 0; c < channels; ++c) {
      const bool better = number == 0 || wins(value[c], best[c]);
      best[c] = better ? value[c] : best[c];
      won[c] = better ? number : won[c];
    }
  });
  for_window(pool, d, h, w, [&](std::int32_t number, std::int64_t position) {
    float* target = out + position * pool.interleaved;
    for (std::int64_t c = 0; c < channels; ++c) {
      const float received = pool.last_wins ? message[c] : target[c] + message[c];
      target[c] = won[c] == number ? received : target[c];
    }
  });
}

void route_interleaved(const MaxPool& pool, std::int64_t plane, std::int64_t first) {
  const std::int64_t in = pool.in[0] * pool.in[1] * pool.in[2], out = pool.size[0] * pool.size[1] * pool.size[2];
  const std::int64_t channels = pool.interleaved - first < kBlock ? pool.interleaved - first : kBlock;
  const std::int64_t offset = plane * in * pool.interleaved + first;
  for (std::int64_t i = 0; i < in; ++i)
    memset(pool.out + offset + i * pool.interleaved, 0, static_cast<std::size_t>(channels) * sizeof(float));
  for (std::int64_t i = 0; i < out; ++i)
    route_block(pool, pool.input + offset, pool.message + (plane * out + i) * pool.interleaved + first, pool.out + offset,
                channels, i / (pool.size[1] * pool.size[2]), i / pool.size[2] % pool.size[1], i % pool.size[2]);
}

}  // namespace

void max_pool(const MaxPool& pool, int threads) {
  const std::int64_t in = pool.in[0] * pool.in[1] * pool.in[2];
  const std::int64_t out = pool.size[0] * pool.size[1] * pool.size[2];
  if (pool.interleaved > 1) {
    const std::int64_t blocks = (pool.interleaved + kBlock - 1) / kBlock;
    for_ranges(pool.planes * blocks, pool.planes * in * pool.interleaved < kChunk ? 1 : threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t item = begin; item < end; ++item)
                   route_interleaved(pool, item / blocks, item % blocks * kBlock);
               });
    return;
  }
  const RouteRow route = row_router(pool);
  for_ranges(pool.planes, pool.planes * in < kChunk ? 1 : threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      float* target = pool.out + plane * in;
      memset(target, 0, static_cast<std::size_t>(in) * sizeof(float));
      for (std::int64_t row = 0; row < pool.size[0] * pool.size[1]; ++row) {
        route(pool, pool.input + plane * in, pool.message + plane * out + row * pool.size[2], target,
              row / pool.size[1], row % pool.size[1]);
      }
    }
  });
}

}  // namespace hudd::cpu::HUDD_ISA
