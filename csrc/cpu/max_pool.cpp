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
  for (std::int64_t w = 0; w < pool.size[2]; ++w) send(pool, out, winner(pool, input, d, h, w), message[w]);
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
        inside ? winner_inside<kSide>(input, top * pool.in[2] + left, pool.in[2]) : winner(pool, input, 0, h, w);
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

}  // namespace

void max_pool(const MaxPool& pool, int threads) {
  const std::int64_t in = pool.in[0] * pool.in[1] * pool.in[2];
  const std::int64_t out = pool.size[0] * pool.size[1] * pool.size[2];
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
