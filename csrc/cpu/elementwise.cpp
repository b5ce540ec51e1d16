// Quotient, product, parts by sign and box: one pass over memory each.
#include <cstring>

#include "loops.h"

namespace hudd::cpu::HUDD_ISA {
namespace {

// A compile-time constant for a run-time choice, so that the inner loops stay free of branches.
template <Stabilizer kStabilizer, bool kFactor, bool kGate>
void quotient_chunk(const Quotient& q, std::int64_t offset, std::int64_t length) {
  const float* __restrict message = q.message + offset;
  const float* factor = kFactor ? q.factor + offset : nullptr;
  const float* z = q.z + offset;
  const float* gate = kGate ? q.gate + offset : nullptr;
  float* out = q.out + offset;
  const float scale = q.scale, epsilon = q.epsilon;
  const Gate passing = q.passes;
#pragma GCC ivdep
  for (std::int64_t i = 0; i < length; ++i) {
    const float value = quotient(message[i], kFactor ? factor[i] : 1.0f, z[i], scale, epsilon, kStabilizer);
    out[i] = kGate && !passes(passing, gate[i]) ? 0.0f : value;
  }
}

using ChunkFunction = void (*)(const Quotient&, std::int64_t, std::int64_t);

template <Stabilizer kStabilizer>
ChunkFunction quotient_for(bool factor, bool gate) {
  if (factor) return gate ? quotient_chunk<kStabilizer, true, true> : quotient_chunk<kStabilizer, true, false>;
  return gate ? quotient_chunk<kStabilizer, false, true> : quotient_chunk<kStabilizer, false, false>;
}

ChunkFunction quotient_for(const Quotient& q) {
  const bool factor = q.factor != nullptr, gate = q.gate != nullptr;
  switch (q.stabilizer) {
    case Stabilizer::none: return quotient_for<Stabilizer::none>(factor, gate);
    case Stabilizer::sign: return quotient_for<Stabilizer::sign>(factor, gate);
    default: return quotient_for<Stabilizer::positive>(factor, gate);
  }
}

double sum_of(const float* message, const float* factor, std::int64_t length) {
  if (factor == nullptr) return ordered_sum(length, [=](std::int64_t i) { return message[i]; });
  return ordered_sum(length, [=](std::int64_t i) { return message[i] * factor[i]; });
}

constexpr std::int64_t kTileChannels = 16, kTilePositions = 64;

// Channels-last to row-major: positions [begin, end) of some channels, transposed in a tile that stays near.
template <typename Element, typename Convert>
void write_tile(const Product& p, const float* message, const float* factor, Element* out, std::int64_t channels,
                std::int64_t begin, std::int64_t end, Convert convert) {
  Element tile[kTileChannels * kTilePositions];
  for (std::int64_t i = begin; i < end; ++i) {
    const float* m = message + i * p.channels;
    Element* column = tile + i - begin;
    if (factor == nullptr) {
      for (std::int64_t c = 0; c < channels; ++c) column[c * kTilePositions] = convert(m[c]);
    } else {
      const float* f = factor + i * p.channels;
      for (std::int64_t c = 0; c < channels; ++c) column[c * kTilePositions] = convert(m[c] * f[c]);
    }
  }
  const std::int64_t positions = p.per_sample / p.channels;
  for (std::int64_t c = 0; c < channels; ++c)
    memcpy(out + c * positions + begin, tile + c * kTilePositions, static_cast<std::size_t>(end - begin) * sizeof(Element));
}

// The positions that begin within the chunk; the last one may end in the next.
template <typename Element, typename Convert>
void write_reordered(const Product& p, std::int64_t offset, std::int64_t length, Convert convert) {
  const std::int64_t sample = offset / p.per_sample * p.per_sample, first = offset - sample, last = first + length;
  const float* message = p.message + sample;
  const float* factor = p.factor ? p.factor + sample : nullptr;
  Element* out = static_cast<Element*>(p.out) + sample;
  const std::int64_t begin = (first + p.channels - 1) / p.channels, end = (last + p.channels - 1) / p.channels;
  for (std::int64_t i = begin; i < end; i += kTilePositions)
    for (std::int64_t c = 0; c < p.channels; c += kTileChannels)
      write_tile(p, message + c, factor ? factor + c : nullptr, out + c * (p.per_sample / p.channels),
                 p.channels - c < kTileChannels ? p.channels - c : kTileChannels, i,
                 end - i < kTilePositions ? end : i + kTilePositions, convert);
}

template <typename Element, typename Convert>
void write_product(const Product& p, std::int64_t offset, std::int64_t length, Convert convert) {
  if (p.channels > 1) return write_reordered<Element>(p, offset, length, convert);
  const float* message = p.message + offset;
  Element* out = static_cast<Element*>(p.out) + offset;
  if (p.factor == nullptr) {
    for (std::int64_t i = 0; i < length; ++i) out[i] = convert(message[i]);
    return;
  }
  const float* factor = p.factor + offset;
#pragma GCC ivdep
  for (std::int64_t i = 0; i < length; ++i) out[i] = convert(message[i] * factor[i]);
}

void write_product(const Product& p, std::int64_t offset, std::int64_t length) {
  switch (p.storage) {
    case Storage::float32: return write_product<float>(p, offset, length, [](float r) { return r; });
    case Storage::float16: return write_product<std::uint16_t>(p, offset, length, [](float r) { return half_bits(r); });
    case Storage::bfloat16: return write_product<std::uint16_t>(p, offset, length, [](float r) { return bfloat16_bits(r); });
  }
}

// body(at, beside, length) over stretches of the input and where the same stretch of its positive part lies.
template <typename Body>
void for_runs(const SignedParts& s, int threads, Body body) {
  const std::int64_t count = s.rows * s.run;
  for_ranges(count, count < 2 * kChunk ? 1 : threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin / s.run; row * s.run < end; ++row) {
      const std::int64_t first = row * s.run < begin ? begin : row * s.run;
      const std::int64_t last = (row + 1) * s.run < end ? (row + 1) * s.run : end;
      body(first, first + row * s.run, last - first);
    }
  });
}

}  // namespace

void quotient(const Quotient& q, int threads) {
  const ChunkFunction chunk_function = quotient_for(q);
  for_chunks(q.samples, q.per_sample, threads, [&](std::int64_t offset, std::int64_t length, std::int64_t) {
    chunk_function(q, offset, length);
  });
}

void product(const Product& p, int threads) {
  for_chunks(p.samples, p.per_sample, threads, [&](std::int64_t offset, std::int64_t length, std::int64_t chunk) {
    if (p.sums) p.sums[chunk] = sum_of(p.message + offset, p.factor ? p.factor + offset : nullptr, length);
    if (p.out) write_product(p, offset, length);
  });
}

void split(const SignedParts& s, int threads) {
  for_runs(s, threads, [&](std::int64_t at, std::int64_t beside, std::int64_t length) {
    const float* input = s.input + at;
    float *positive = s.out + beside, *negative = positive + s.run;
#pragma GCC ivdep
    for (std::int64_t i = 0; i < length; ++i) {
      positive[i] = positive_part(input[i]);
      negative[i] = negative_part(input[i]);
    }
  });
}

void by_sign(const SignedParts& s, int threads) {
  for_runs(s, threads, [&](std::int64_t at, std::int64_t beside, std::int64_t length) {
    const float *input = s.input + at, *positive = s.parts + beside, *negative = positive + s.run;
    float* out = s.out + at;
#pragma GCC ivdep
    for (std::int64_t i = 0; i < length; ++i) out[i] = hudd::by_sign(input[i], positive[i], negative[i]);
  });
}

void box(const Box& b, int threads) {
  for_chunks(b.samples, b.per_sample, threads, [&](std::int64_t offset, std::int64_t length, std::int64_t) {
    const float *input = b.input + offset, *message = b.message + offset;
    const float *plus = b.message_plus + offset, *minus = b.message_minus + offset;
    const float *low = b.low + offset, *high = b.high + offset;
    float* out = b.out + offset;
#pragma GCC ivdep
    for (std::int64_t i = 0; i < length; ++i)
      out[i] = hudd::box(input[i], message[i], plus[i], minus[i], low[i], high[i]);
  });
}

}  // namespace hudd::cpu::HUDD_ISA
