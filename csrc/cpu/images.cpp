// What is made of decoded images, one after the other in the caller's thread: their prints, and the input of a DNN.
#include "hudd/images.h"

#include <cmath>
#include <cstring>

#include "loops.h"

namespace hudd::cpu::HUDD_ISA {
namespace {

// BLAKE2b (RFC 7693) of as many images at once as a register has 64-bit lanes; all are of one length.
#if defined(__AVX512F__)
constexpr int kImages = 8;
#elif defined(__AVX2__)
constexpr int kImages = 4;
#else
constexpr int kImages = 2;
#endif
typedef std::uint64_t Words __attribute__((vector_size(8 * kImages)));

constexpr std::int64_t kBlock = 128;  // bytes
constexpr std::uint64_t kStart[8] = {0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
                                     0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u};
constexpr std::uint8_t kOrder[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

template <int bits>
HUDD_HOST_DEVICE void turn(Words& words) {
  words = (words >> bits) | (words << (64 - bits));
}

HUDD_HOST_DEVICE void mix(Words& a, Words& b, Words& c, Words& d, const Words& x, const Words& y) {
  a += b + x;
  d ^= a;
  turn<32>(d);
  c += d;
  b ^= c;
  turn<24>(b);
  a += b + y;
  d ^= a;
  turn<16>(d);
  c += d;
  b ^= c;
  turn<63>(b);
}

void compress(Words (&state)[8], const std::uint8_t* const (&blocks)[kImages], std::uint64_t bytes, bool last) {
  alignas(sizeof(Words)) std::uint64_t loaded[16][kImages];
  for (int image = 0; image < kImages; ++image)
    for (int word = 0; word < 16; ++word) std::memcpy(&loaded[word][image], blocks[image] + 8 * word, 8);
  Words m[16], v[16];
  std::memcpy(m, loaded, sizeof m);
  for (int i = 0; i < 8; ++i) {
    v[i] = state[i];
    v[i + 8] = Words{} + kStart[i];
  }
  v[12] ^= bytes;
  if (last) v[14] = ~v[14];
  for (int round = 0; round < 12; ++round) {
    const std::uint8_t(&o)[16] = kOrder[round % 10];
    mix(v[0], v[4], v[8], v[12], m[o[0]], m[o[1]]);
    mix(v[1], v[5], v[9], v[13], m[o[2]], m[o[3]]);
    mix(v[2], v[6], v[10], v[14], m[o[4]], m[o[5]]);
    mix(v[3], v[7], v[11], v[15], m[o[6]], m[o[7]]);
    mix(v[0], v[5], v[10], v[15], m[o[8]], m[o[9]]);
    mix(v[1], v[6], v[11], v[12], m[o[10]], m[o[11]]);
    mix(v[2], v[7], v[8], v[13], m[o[12]], m[o[13]]);
    mix(v[3], v[4], v[9], v[14], m[o[14]], m[o[15]]);
  }
  for (int i = 0; i < 8; ++i) state[i] ^= v[i] ^ v[i + 8];
}

// The first 128 bits of the hash of the pixels and of what follows them, as two big-endian numbers an image.
void hash(const ImagePrints& p, std::int64_t first) {
  const std::int64_t size = p.height * p.width * 3, whole = size / kBlock, rest = size - whole * kBlock;
  Words state[8];
  for (int i = 0; i < 8; ++i) state[i] = Words{} + kStart[i];
  state[0] ^= 0x01010010u;  // no key, a digest of 16 bytes
  const std::uint8_t* blocks[kImages];
  const std::uint8_t* images[kImages];
  for (int image = 0; image < kImages; ++image)
    images[image] = p.images + (first + image < p.count ? first + image : p.count - 1) * size;
  for (std::int64_t block = 0; block < whole; ++block) {
    for (int image = 0; image < kImages; ++image) blocks[image] = images[image] + block * kBlock;
    compress(state, blocks, (block + 1) * kBlock, false);
  }
  std::uint8_t tails[kImages][2 * kBlock] = {};
  for (int image = 0; image < kImages; ++image) {
    std::memcpy(tails[image], images[image] + whole * kBlock, rest);
    std::memcpy(tails[image] + rest, p.shape, p.shape_bytes);
  }
  const std::int64_t total = size + p.shape_bytes;
  for (std::int64_t at = 0; at < rest + p.shape_bytes; at += kBlock) {
    const bool last = at + kBlock >= rest + p.shape_bytes;
    for (int image = 0; image < kImages; ++image) blocks[image] = tails[image] + at;
    compress(state, blocks, last ? total : whole * kBlock + at + kBlock, last);
  }
  for (int image = 0; image < kImages && first + image < p.count; ++image)
    for (int half = 0; half < 2; ++half) p.pixels[2 * (first + image) + half] = __builtin_bswap64(state[half][image]);
}

// Adds rows of numbers in the order in which NumPy's add.reduceat does: the first one, and the sum of the others, of
// which eight are added by pairs.
void add_rows(const float* rows, std::int64_t count, std::int64_t stride, std::int64_t width, float* out) {
  const auto row = [&](std::int64_t number) { return rows + number * stride; };
  if (count == 1) {
    for (std::int64_t x = 0; x < width; ++x) out[x] = rows[x];
    return;
  }
  std::int64_t done = 1;
  if (count > 8) {
    const float *a = row(1), *b = row(2), *c = row(3), *d = row(4), *e = row(5), *f = row(6), *g = row(7), *h = row(8);
    for (std::int64_t x = 0; x < width; ++x)
      out[x] = ((a[x] + b[x]) + (c[x] + d[x])) + ((e[x] + f[x]) + (g[x] + h[x]));
    done = 9;
  } else {
    for (std::int64_t x = 0; x < width; ++x) out[x] = row(1)[x];
    done = 2;
  }
  for (; done < count; ++done) {
    const float* const next = row(done);
    for (std::int64_t x = 0; x < width; ++x) out[x] += next[x];
  }
  for (std::int64_t x = 0; x < width; ++x) out[x] = rows[x] + out[x];
}

struct Field {
  std::int64_t start, count;
};

// A field of no pixel takes the one at its edge.
HUDD_HOST_DEVICE Field field(std::int64_t number, std::int64_t fields, std::int64_t length) {
  const std::int64_t start = number * length / fields, count = (number + 1) * length / fields - start;
  return {start, count > 1 ? count : 1};
}

void thumbnail(const ImagePrints& p, const std::uint8_t* image, std::uint8_t* out) {
  constexpr std::int64_t kSide = kSampledSide;
  const std::int64_t down = (p.height + kSide - 1) / kSide, across = (p.width + kSide - 1) / kSide;
  const std::int64_t height = (p.height + down - 1) / down, width = (p.width + across - 1) / across;
  float grey[kSide * kSide], rows[kThumbnailRows * kSide], turned[kSide * kThumbnailRows];
  for (std::int64_t y = 0; y < height; ++y) {
    const std::uint8_t* const line = image + 3 * y * down * p.width;
    float* const into = grey + y * width;
    if (across == 1)
      for (std::int64_t x = 0; x < width; ++x)
        into[x] = static_cast<float>(line[3 * x] + line[3 * x + 1] + line[3 * x + 2]) / 3.0f;
    else
      for (std::int64_t x = 0; x < width; ++x) {
        const std::uint8_t* const pixel = line + 3 * x * across;
        into[x] = static_cast<float>(pixel[0] + pixel[1] + pixel[2]) / 3.0f;
      }
  }
  for (std::int64_t number = 0; number < kThumbnailRows; ++number) {
    const Field f = field(number, kThumbnailRows, height);
    float* const into = rows + number * width;
    add_rows(grey + f.start * width, f.count, width, width, into);
    for (std::int64_t x = 0; x < width; ++x) turned[x * kThumbnailRows + number] = into[x] / static_cast<float>(f.count);
  }
  for (std::int64_t number = 0; number < kThumbnailColumns; ++number) {
    const Field f = field(number, kThumbnailColumns, width);
    float sums[kThumbnailRows];
    add_rows(turned + f.start * kThumbnailRows, f.count, kThumbnailRows, kThumbnailRows, sums);
    for (std::int64_t y = 0; y < kThumbnailRows; ++y)
      out[y * kThumbnailColumns + number] = static_cast<std::uint8_t>(std::rint(sums[y] / static_cast<float>(f.count)));
  }
}

template <bool subtract, bool divide>
void plane(const ImagePlanes& p, const std::uint8_t* image, float* out) {
  const std::int64_t size = p.height * p.width;
  float *const red = out, *const green = out + size, *const blue = out + 2 * size;
  const auto made = [&](std::uint8_t value, int channel) {
    float number = static_cast<float>(value) * p.scale;
    if (subtract) number -= p.mean[channel];
    if (divide) number /= p.deviation[channel];
    return number;
  };
#pragma GCC ivdep
  for (std::int64_t i = 0; i < size; ++i) {
    red[i] = made(image[3 * i], 0);
    green[i] = made(image[3 * i + 1], 1);
    blue[i] = made(image[3 * i + 2], 2);
  }
}

}  // namespace

void image_prints(const ImagePrints& p) {
  for (std::int64_t first = 0; first < p.count; first += kImages) hash(p, first);
  for (std::int64_t image = 0; image < p.count; ++image)
    thumbnail(p, p.images + image * p.height * p.width * 3, p.thumbnails + image * kThumbnailRows * kThumbnailColumns);
}

void image_planes(const ImagePlanes& p) {
  bool subtract = false, divide = false;
  for (int channel = 0; channel < 3; ++channel) {
    subtract |= p.mean[channel] != 0;
    divide |= p.deviation[channel] != 1;
  }
  const std::int64_t size = p.height * p.width * 3;
  for (std::int64_t image = 0; image < p.count; ++image) {
    const std::uint8_t* const from = p.images + image * size;
    float* const to = p.out + image * size;
    if (subtract)
      divide ? plane<true, true>(p, from, to) : plane<true, false>(p, from, to);
    else
      divide ? plane<false, true>(p, from, to) : plane<false, false>(p, from, to);
  }
}

}  // namespace hudd::cpu::HUDD_ISA
