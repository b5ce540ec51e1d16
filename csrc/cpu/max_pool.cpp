// Max pooling's winner takes all; planes are independent, so the result does not depend on the threads.
#include <cstring>

#include "hudd/pooling.h"
#include "loops.h"

namespace hudd::cpu::HUDD_ISA {

void max_pool(const MaxPool& pool, int threads) {
  const std::int64_t in = pool.in[0] * pool.in[1] * pool.in[2];
  const std::int64_t out = pool.size[0] * pool.size[1] * pool.size[2];
  for_ranges(pool.planes, pool.planes * in < kChunk ? 1 : threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      memset(pool.out + plane * in, 0, static_cast<std::size_t>(in) * sizeof(float));
      route_plane(pool, pool.input + plane * in, pool.message + plane * out, pool.out + plane * in);
    }
  });
}

}  // namespace hudd::cpu::HUDD_ISA
