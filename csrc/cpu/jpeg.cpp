#include "hudd/jpeg.h"

#include <cstring>

namespace hudd {
namespace {

bool is_alone(int marker) { return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8); }  // without a segment

bool is_frame(int marker) { return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC; }

bool begins(const std::uint8_t* content, std::size_t left, const char* with) {
  const std::size_t length = std::strlen(with);
  return left >= length && std::memcmp(content, with, length) == 0;
}

}  // namespace

std::optional<JpegFrame> jpeg_frame(const std::uint8_t* content, std::size_t size) {
  if (!begins(content, size, "\xff\xd8\xff")) return std::nullopt;
  bool exif = false;
  int transform = 1;
  for (std::size_t at = 2; at + 4 <= size;) {
    if (content[at] != 0xFF) return std::nullopt;
    const int marker = content[at + 1];
    if (marker == 0xFF || is_alone(marker)) {  // 0xFF: padding
      at += marker == 0xFF ? 1 : 2;
      continue;
    }
    const int length = content[at + 2] << 8 | content[at + 3];
    const std::uint8_t* const inside = content + at + 4;
    const std::size_t left = size - at - 4;
    if (is_frame(marker)) {
      if (length < 8 || left < 6) return std::nullopt;
      const int height = inside[1] << 8 | inside[2], width = inside[3] << 8 | inside[4];
      const bool exact = marker <= 0xC2 && inside[0] == 8 && (inside[5] == 1 || inside[5] == 3) && transform == 1;
      return JpegFrame{width, height, exact && width > 0 && height > 0, exif};
    }
    if (marker == 0xE1 && begins(inside, left, "Exif"))
      exif = true;
    else if (marker == 0xEE && begins(inside, left, "Adobe"))
      transform = length >= 14 && left > 11 ? inside[11] : 0;
    else if (marker == 0xD9 || marker == 0xDA)  // image data, or the end, before a frame
      return std::nullopt;
    at += 2 + static_cast<std::size_t>(length);
  }
  return std::nullopt;
}

}  // namespace hudd
