// What a JPEG file says of itself, read without a decoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace hudd {

struct JpegFrame {
  int width, height;
  bool exact;  // 8 bits, grey or YCbCr, of Huffman codes: all decoders built on libjpeg-turbo make the same pixels
  bool exif;
};

// The frame header; none where the bytes are no JPEG file, or damaged before it.
std::optional<JpegFrame> jpeg_frame(const std::uint8_t* content, std::size_t size);

}  // namespace hudd
