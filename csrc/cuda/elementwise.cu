// Quotient, box, and the parts of an input by its sign: one pass over memory each.
#include "access.cuh"

namespace hudd::cuda {
namespace {

constexpr unsigned kPieces = 2;                       // of 16 bytes a thread and operand, loaded before any is used
constexpr unsigned kStretch = kThreads * 4 * kPieces;  // elements a block

// Where piece `u` of this thread lies in its block's stretch.
__device__ __forceinline__ unsigned piece_at(unsigned u) { return (u * kThreads + threadIdx.x) * 4; }

// `out` may be `message`: a thread reads what it writes over.
template <bool kFactor, bool kGate, bool kWide>
__global__ void __launch_bounds__(kThreads) quotient_kernel(const Quotient q) {
  const Stretch stretch(blockIdx.x, q.samples * q.per_sample, kStretch);
  const float* message = q.message + stretch.offset;
  const float* factor = kFactor ? q.factor + stretch.offset : nullptr;
  const float* z = q.z + stretch.offset;
  const float* gate = kGate ? q.gate + stretch.offset : nullptr;
  float* out = q.out + stretch.offset;
  const auto one = [&](float m, float f, float denominator, float g) {
    const float value = quotient(m, f, denominator, q.scale, q.epsilon, q.stabilizer);
    return kGate && !passes(q.passes, g) ? 0.0f : value;
  };
  if (stretch.length < kStretch) {
    for (unsigned i = threadIdx.x; i < stretch.length; i += kThreads)
      out[i] = one(message[i], kFactor ? factor[i] : 1.0f, z[i], kGate ? gate[i] : 0.0f);
    return;
  }
  float m[kPieces][4], f[kPieces][4], d[kPieces][4], g[kPieces][4];
#pragma unroll
  for (unsigned u = 0; u < kPieces; ++u) {
    load<kWide>(m[u], message + piece_at(u));
    if constexpr (kFactor) load<kWide>(f[u], factor + piece_at(u));
    load<kWide>(d[u], z + piece_at(u));
    if constexpr (kGate) load<kWide>(g[u], gate + piece_at(u));
  }
#pragma unroll
  for (unsigned u = 0; u < kPieces; ++u) {
#pragma unroll
    for (int i = 0; i < 4; ++i) m[u][i] = one(m[u][i], kFactor ? f[u][i] : 1.0f, d[u][i], kGate ? g[u][i] : 0.0f);
    store<kWide>(out + piece_at(u), m[u]);
  }
}

template <bool kWide>
__global__ void __launch_bounds__(kThreads) box_kernel(const Box b) {
  const Stretch stretch(blockIdx.x, b.samples * b.per_sample, kThreads * 4);
  const float* const operands[6] = {b.input + stretch.offset,         b.message + stretch.offset,
                                    b.message_plus + stretch.offset,  b.message_minus + stretch.offset,
                                    b.low + stretch.offset,           b.high + stretch.offset};
  float* out = b.out + stretch.offset;
  if (stretch.length < kThreads * 4) {
    for (unsigned i = threadIdx.x; i < stretch.length; i += kThreads)
      out[i] = hudd::box(operands[0][i], operands[1][i], operands[2][i], operands[3][i], operands[4][i], operands[5][i]);
    return;
  }
  float values[6][4], results[4];
#pragma unroll
  for (int operand = 0; operand < 6; ++operand) load<kWide>(values[operand], operands[operand] + piece_at(0));
#pragma unroll
  for (int i = 0; i < 4; ++i)
    results[i] = hudd::box(values[0][i], values[1][i], values[2][i], values[3][i], values[4][i], values[5][i]);
  store<kWide>(out + piece_at(0), results);
}

// Some rows of an input and of its parts, or a piece of a row too long for 32 bits, counted in `kWide ? 4 : 1` elements.
struct Runs {
  const float* input;
  const float* parts;
  float* out;
  std::int64_t stride;  // elements from a row of the input to the next
  unsigned count;       // of all rows
  unsigned run;         // of a row
  Divisor by_run;
};

// Calls body(at, beside): where a unit lies in the input, and where in the positive parts, in elements.
template <bool kWide, typename Body>
__device__ __forceinline__ void for_units(const Runs& r, Body body) {
#pragma unroll
  for (unsigned u = 0; u < kPieces; ++u) {
    unsigned within = (blockIdx.x * kPieces + u) * kThreads + threadIdx.x;
    if (within >= r.count) return;
    const std::int64_t row = r.by_run.take(within);
    const std::int64_t at = row * r.stride + (kWide ? 4 * static_cast<std::int64_t>(within) : within);
    body(at, at + row * r.stride);
  }
}

template <bool kWide>
__global__ void __launch_bounds__(kThreads) split_kernel(const Runs r) {
  for_units<kWide>(r, [&](std::int64_t at, std::int64_t beside) {
    if constexpr (kWide) {
      float x[4], positive[4], negative[4];
      load<true>(x, r.input + at);
#pragma unroll
      for (int i = 0; i < 4; ++i) positive[i] = positive_part(x[i]), negative[i] = negative_part(x[i]);
      store<true>(r.out + beside, positive);
      store<true>(r.out + beside + r.stride, negative);
    } else {
      const float x = r.input[at];
      r.out[beside] = positive_part(x);
      r.out[beside + r.stride] = negative_part(x);
    }
  });
}

template <bool kWide>
__global__ void __launch_bounds__(kThreads) by_sign_kernel(const Runs r) {
  for_units<kWide>(r, [&](std::int64_t at, std::int64_t beside) {
    if constexpr (kWide) {
      float x[4], positive[4], negative[4];
      load<true>(x, r.input + at);
      load<true>(positive, r.parts + beside);
      load<true>(negative, r.parts + beside + r.stride);
#pragma unroll
      for (int i = 0; i < 4; ++i) x[i] = hudd::by_sign(x[i], positive[i], negative[i]);
      store<true>(r.out + at, x);
    } else {
      r.out[at] = hudd::by_sign(r.input[at], r.parts[beside], r.parts[beside + r.stride]);
    }
  });
}

constexpr std::int64_t kMost = std::int64_t{1} << 30;  // units a launch: their numbers stay below kDivisorLimit

// Launches over the rows in as many pieces as 32-bit numbers need, one as a rule.
void launch_runs(const char* name, void (*wide)(Runs), void (*narrow)(Runs), const SignedParts& s, int device, void* stream,
                 std::int64_t out_rows) {
  const DeviceGuard guard(device);
  const bool in_pieces = s.run % 4 == 0 && aligned(s.input) && aligned(s.out) && (!s.parts || aligned(s.parts));
  const std::int64_t unit = in_pieces ? 4 : 1, most = kMost * unit;
  const std::int64_t rows = s.run < most ? most / s.run : 1;
  for (std::int64_t row = 0; row < s.rows; row += rows) {
    for (std::int64_t begin = 0; begin < s.run; begin += most) {
      const std::int64_t run = (s.run - begin < most ? s.run - begin : most) / unit;
      const std::int64_t count = (s.rows - row < rows ? s.rows - row : rows) * run;
      const std::int64_t at = row * s.run + begin, beside = 2 * row * s.run + begin;
      Runs r{};
      r.input = s.input + at;
      r.parts = s.parts ? s.parts + beside : nullptr;
      r.out = s.out + (out_rows == 2 ? beside : at);
      r.stride = s.run;
      r.count = static_cast<unsigned>(count);
      r.run = static_cast<unsigned>(run);
      r.by_run = Divisor(run);
      launch(name, in_pieces ? wide : narrow, ceil_div(count, kPieces * kThreads), stream, r);
    }
  }
}

}  // namespace

void quotient(const Quotient& q, int device, void* stream) {
  const DeviceGuard guard(device);
  const bool wide = aligned(q.message) && aligned(q.factor) && aligned(q.z) && aligned(q.gate) && aligned(q.out);
  const std::int64_t blocks = ceil_div(q.samples * q.per_sample, kStretch);
  choose(q.factor != nullptr, [&](auto factor) {
    choose(q.gate != nullptr, [&](auto gate) {
      choose(wide, [&](auto in_pieces) {
        launch("quotient", quotient_kernel<factor.value, gate.value, in_pieces.value>, blocks, stream, q);
      });
    });
  });
}

void box(const Box& b, int device, void* stream) {
  const DeviceGuard guard(device);
  bool wide = aligned(b.out);
  for (const float* operand : {b.input, b.message, b.message_plus, b.message_minus, b.low, b.high})
    wide = wide && aligned(operand);
  launch("box", wide ? box_kernel<true> : box_kernel<false>, ceil_div(b.samples * b.per_sample, kThreads * 4), stream, b);
}

void split(const SignedParts& s, int device, void* stream) {
  launch_runs("split", split_kernel<true>, split_kernel<false>, s, device, stream, 2);
}

void by_sign(const SignedParts& s, int device, void* stream) {
  launch_runs("by-sign", by_sign_kernel<true>, by_sign_kernel<false>, s, device, stream, 1);
}

}  // namespace hudd::cuda
