// Loops that the CPU kernels share. Included once an instruction set, inside that set's namespace, and free of
// library templates: see HUDD_HOST_DEVICE in macros.h.
#pragma once

#include "hudd/kernels.h"
#include "hudd/parallel.h"

namespace hudd::cpu::HUDD_ISA {
namespace {

template <typename Body>
void call_range(void* body, std::int64_t begin, std::int64_t end) {
  (*static_cast<Body*>(body))(begin, end);
}

// body(begin, end) over [0, count).
template <typename Body>
void for_ranges(std::int64_t count, int threads, Body body) {
  parallel_for(count, threads, &call_range<Body>, &body);
}

// body(offset, length, chunk) over the chunks of every sample; `chunk` numbers them through all samples.
template <typename Body>
void for_chunks(std::int64_t samples, std::int64_t per_sample, int threads, Body body) {
  const std::int64_t chunks = chunks_of(per_sample);
  // A small tensor is not worth waking threads for.
  const int useful = samples * per_sample < 2 * kChunk ? 1 : threads;
  for_ranges(samples * chunks, useful, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      const std::int64_t start = (chunk % chunks) * kChunk;
      const std::int64_t length = per_sample - start < kChunk ? per_sample - start : kChunk;
      body((chunk / chunks) * per_sample + start, length, chunk);
    }
  });
}

constexpr int kLanes = 8;  // of every running sum, so that the order of addition does not depend on the vector width

// Adds value(i) over [0, length) in double, always in the same order.
template <typename Value>
double ordered_sum(std::int64_t length, Value value) {
  double lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= length; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += static_cast<double>(value(i + lane));
  for (; i < length; ++i) lanes[i % kLanes] += static_cast<double>(value(i));
  double sum = 0;
  for (int lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
  return sum;
}

}  // namespace
}  // namespace hudd::cpu::HUDD_ISA
