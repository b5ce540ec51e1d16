// Quotient, product, parts by sign and box: one pass over memory each, one block a chunk.
#include "launch.cuh"

namespace hudd::cuda {
namespace {

// Four consecutive floats at once where every pointer allows it.
__device__ bool aligned(const void* pointer) { return (reinterpret_cast<std::uintptr_t>(pointer) & 15u) == 0; }

template <typename Element>
__device__ float4 load4(const Element* pointer) {
  return *reinterpret_cast<const float4*>(pointer);
}

__global__ void __launch_bounds__(kThreads) quotient_kernel(const Quotient q) {
  const Chunk chunk(q.per_sample);
  const float* message = q.message + chunk.offset;
  const float* factor = q.factor ? q.factor + chunk.offset : nullptr;
  const float* z = q.z + chunk.offset;
  const float* gate = q.gate ? q.gate + chunk.offset : nullptr;
  float* out = q.out + chunk.offset;
  const auto one = [&](float m, float f, float denominator, float g) {
    const float value = quotient(m, f, denominator, q.scale, q.epsilon, q.stabilizer);
    return gate && !passes(q.passes, g) ? 0.0f : value;
  };
  const bool wide = aligned(message) && aligned(z) && aligned(out) && (!factor || aligned(factor)) &&
                    (!gate || aligned(gate));
  const std::int64_t body = wide ? chunk.length / 4 * 4 : 0;
  for (std::int64_t i = 4 * threadIdx.x; i < body; i += 4 * kThreads) {
    const float4 ones = make_float4(1.0f, 1.0f, 1.0f, 1.0f);
    const float4 m = load4(message + i), f = factor ? load4(factor + i) : ones, d = load4(z + i);
    const float4 g = gate ? load4(gate + i) : ones;
    *reinterpret_cast<float4*>(out + i) =
        make_float4(one(m.x, f.x, d.x, g.x), one(m.y, f.y, d.y, g.y), one(m.z, f.z, d.z, g.z), one(m.w, f.w, d.w, g.w));
  }
  for (std::int64_t i = body + threadIdx.x; i < chunk.length; i += kThreads)
    out[i] = one(message[i], factor ? factor[i] : 1.0f, z[i], gate ? gate[i] : 0.0f);
}

__global__ void __launch_bounds__(kThreads) product_kernel(const Product p) {
  const Chunk chunk(p.per_sample);
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < chunk.length; i += kThreads) {
    const std::int64_t at = chunk.offset + i;
    const float relevance = p.factor ? p.message[at] * p.factor[at] : p.message[at];
    sum += static_cast<double>(relevance);
    if (!p.out) continue;
    const std::int64_t sample = at / p.per_sample * p.per_sample;
    const std::int64_t to = p.channels > 1 ? sample + row_major_place(p, at - sample) : at;
    if (p.storage == Storage::float32) static_cast<float*>(p.out)[to] = relevance;
    if (p.storage == Storage::float16) static_cast<std::uint16_t*>(p.out)[to] = half_bits(relevance);
    if (p.storage == Storage::bfloat16) static_cast<std::uint16_t*>(p.out)[to] = bfloat16_bits(relevance);
  }
  if (p.sums) {
    sum = block_sum(sum);
    if (threadIdx.x == 0) p.sums[blockIdx.x] = sum;
  }
}

template <typename One>
__device__ void for_runs(const SignedParts& s, One one) {
  const std::int64_t count = s.rows * s.run, step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; at < count; at += step)
    one(at, at + at / s.run * s.run);
}

__global__ void __launch_bounds__(kThreads) split_kernel(const SignedParts s) {
  for_runs(s, [&](std::int64_t at, std::int64_t beside) {
    s.out[beside] = positive_part(s.input[at]);
    s.out[beside + s.run] = negative_part(s.input[at]);
  });
}

__global__ void __launch_bounds__(kThreads) by_sign_kernel(const SignedParts s) {
  for_runs(s, [&](std::int64_t at, std::int64_t beside) {
    s.out[at] = hudd::by_sign(s.input[at], s.parts[beside], s.parts[beside + s.run]);
  });
}

__global__ void __launch_bounds__(kThreads) box_kernel(const Box b) {
  const Chunk chunk(b.per_sample);
  for (std::int64_t i = threadIdx.x; i < chunk.length; i += kThreads) {
    const std::int64_t at = chunk.offset + i;
    b.out[at] = hudd::box(b.input[at], b.message[at], b.message_plus[at], b.message_minus[at], b.low[at],
                          b.high[at]);
  }
}

template <typename Arguments>
void launch(void (*kernel)(Arguments), const Arguments& arguments, int device, void* stream, const char* doing) {
  const std::int64_t blocks = arguments.samples * chunks_of(arguments.per_sample);
  if (blocks == 0) return;
  const DeviceGuard guard(device);
  kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream_of(stream)>>>(arguments);
  check_launch(doing);
}

void launch_runs(void (*kernel)(SignedParts), const SignedParts& s, int device, void* stream, const char* doing) {
  if (s.rows * s.run == 0) return;
  const DeviceGuard guard(device);
  kernel<<<blocks_for(s.rows * s.run), kThreads, 0, stream_of(stream)>>>(s);
  check_launch(doing);
}

}  // namespace

void quotient(const Quotient& q, int device, void* stream) {
  launch(quotient_kernel, q, device, stream, "launching the quotient kernel");
}

void product(const Product& p, int device, void* stream) {
  launch(product_kernel, p, device, stream, "launching the product kernel");
}

void split(const SignedParts& s, int device, void* stream) {
  launch_runs(split_kernel, s, device, stream, "launching the split kernel");
}

void by_sign(const SignedParts& s, int device, void* stream) {
  launch_runs(by_sign_kernel, s, device, stream, "launching the by-sign kernel");
}

void box(const Box& b, int device, void* stream) { launch(box_kernel, b, device, stream, "launching the box kernel"); }

}  // namespace hudd::cuda
