// What a kernel is given: raw pointers and extents, already checked by csrc/ops.
//
// Tensors of one call share one dense layout with the batch axis outermost (row-major, channels-last, ...), so a sample
// is `per_sample` consecutive floats. Null means absent where a comment says so.
#pragma once

#include <cstdint>

#include "hudd/arithmetic.h"

namespace hudd {

// Per-sample sums are written as one double a chunk of this many elements; adding the chunks in order gives the same
// sum whatever the number of threads.
constexpr std::int64_t kChunk = 16384;

HUDD_HOST_DEVICE std::int64_t chunks_of(std::int64_t per_sample) { return (per_sample + kChunk - 1) / kChunk; }

enum class Storage : std::int32_t { float32, float16, bfloat16 };

// out = scale * message * factor / (z + eps), 0 where the gate is shut.
struct Quotient {
  const float* message;
  const float* factor;  // null: 1
  const float* z;
  const float* gate;  // null: open
  float* out;           // may be message
  std::int64_t samples, per_sample;
  float scale, epsilon;
  Stabilizer stabilizer;
  Gate passes;
};

// out = message * factor, the relevance itself.
struct Product {
  const float* message;
  const float* factor;  // null: 1
  void* out;            // null: only the sums
  Storage storage;
  double* sums;  // null: not wanted; else (samples, chunks)
  std::int64_t samples, per_sample;
  // Above 1: message and factor are (samples, positions, channels) and out is (samples, channels, positions).
  std::int64_t channels;
};

// Where element `at` of a channels-last sample lies in a row-major one.
HUDD_HOST_DEVICE std::int64_t row_major_place(const Product& p, std::int64_t at) {
  return at % p.channels * (p.per_sample / p.channels) + at / p.channels;
}

// The relevance summed over space or over channels; a sample is (outer, channels, inner), row-major.
struct PooledProduct {
  const float* message;
  const float* factor;  // null: 1
  float* out;           // (samples, channels) or (samples, outer * inner)
  std::int64_t samples, outer, channels, inner;
  bool over_space;  // else over channels
};

// An input with its positive and its negative part, which lie one after the other in each row.
struct SignedParts {
  const float* input;  // (rows, run)
  const float* parts;  // (rows, 2, run); what by_sign() chooses from
  float* out;          // split(): (rows, 2, run); by_sign(): (rows, run)
  std::int64_t rows, run;
};

// out = input * message - low * message_plus - high * message_minus.
struct Box {
  const float* input;
  const float* message;
  const float* message_plus;
  const float* message_minus;
  const float* low;
  const float* high;
  float* out;
  std::int64_t samples, per_sample;
};

// Sends each output's message to the element of its window that won; overlapping windows add.
struct MaxPool {
  const float* input;    // (planes, in[0], in[1], in[2], interleaved), row-major
  const float* message;  // (planes, size[0], size[1], size[2], interleaved), row-major
  float* out;            // like input
  std::int64_t planes;       // samples x channels, or samples where channels come last
  std::int64_t interleaved;  // 1, or channels where they come last
  std::int64_t in[3], size[3], window[3], stride[3], padding[3], dilation[3];
  bool last_wins;  // overlapping windows overwrite in row-major order, as in the authors' 2021 code
};

// sums += the squared distances of some pairs of rows.
struct Differences {
  const void* left;           // (lefts, features)
  const void* right;          // (rights, features)
  const std::int64_t* pairs;  // (count, 2): a row of left, a row of right
  double* sums;               // (count,)
  std::int64_t lefts, rights, features, count;
  bool wide;  // rows are double, else float
};

// A 3x3 convolution with stride 1, channels-last; see hudd/winograd.h.
struct Winograd {
  const float* input;    // (samples, in[0], in[1], channels)
  const float* weights;  // (16, panels, channels, kWinogradPanel), transformed
  float* out;            // (samples, size[0], size[1], features)
  float* scratch;        // (workers, winograd_scratch)
  std::int64_t samples, channels, features, workers;
  std::int64_t in[2], size[2], padding[2];
};

// Of each image the BLAKE2b hash of its pixels and its size, and mean grey levels; see hudd/data/prints.py.
struct ImagePrints {
  const std::uint8_t* images;  // (count, height, width, 3)
  std::uint64_t* pixels;       // (count, 2)
  std::uint8_t* thumbnails;    // (count, kThumbnailRows, kThumbnailColumns)
  const char* shape;           // what is hashed after the pixels
  std::int64_t shape_bytes, count, height, width;
};

// out = (images * scale - mean) / deviation, channel by channel.
struct ImagePlanes {
  const std::uint8_t* images;  // (count, height, width, 3)
  float* out;                  // (count, 3, height, width)
  std::int64_t count, height, width;
  float scale;
  const float* mean;       // (3,)
  const float* deviation;  // (3,)
};

// Of each image some statistics, which the attributes are made of; see hudd/attributes/. Levels are 0 to 1.
struct Pictures {
  const float* colour;  // (count, height, width, 3); null where it is not asked for
  const float* grey;    // (count, height, width)
  float* out;           // (count, numbers)
  float* scratch;       // of one image
  std::int64_t count, height, width;
  std::int64_t around;  // pixels a side of the field whose least level counts, for the light
};

struct Kernels {
  void (*quotient)(const Quotient&, int threads);
  void (*product)(const Product&, int threads);
  void (*pooled_product)(const PooledProduct&, int threads);
  void (*split)(const SignedParts&, int threads);
  void (*by_sign)(const SignedParts&, int threads);
  void (*box)(const Box&, int threads);
  void (*max_pool)(const MaxPool&, int threads);
  void (*add_differences)(const Differences&, int threads);
  void (*winograd)(const Winograd&, int threads);
  void (*image_prints)(const ImagePrints&);
  void (*image_planes)(const ImagePlanes&);
  void (*picture_luma)(const Pictures&);
  void (*picture_light)(const Pictures&);
  void (*picture_frame)(const Pictures&);
  void (*picture_detail)(const Pictures&);
};

namespace cpu {
namespace generic {
extern const Kernels kernels;
}
#if defined(HUDD_X86)
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
#endif

const Kernels& active();                // the best that this machine runs, or the one chosen by select()
const char* active_name();              // "generic", "avx2", "avx512"
void select(const char* instruction_set);  // throws std::invalid_argument if it is not built or not supported here
}  // namespace cpu

#if defined(HUDD_CUDA)
namespace cuda {  // each launches on the stream and returns; throws std::runtime_error if the launch fails
void quotient(const Quotient&, int device, void* stream);
void product(const Product&, int device, void* stream);
void pooled_product(const PooledProduct&, int device, void* stream);
void split(const SignedParts&, int device, void* stream);
void by_sign(const SignedParts&, int device, void* stream);
void box(const Box&, int device, void* stream);
void max_pool(const MaxPool&, int device, void* stream);
void add_differences(const Differences&, int device, void* stream);
}  // namespace cuda
#endif

}  // namespace hudd
