#include "hudd/images.h"

#include <string>

#include "checks.h"

namespace hudd {
namespace {

// Images, (count, height, width, 3), none of them empty.
void require_images(const TensorView& images) {
  require_dtype(images, "images", DType::uint8);
  require_row_major(images, "images");
  if (images.cuda || images.shape.size() != 4 || images.shape[3] != 3 || images.shape[1] < 1 || images.shape[2] < 1)
    throw std::invalid_argument("The tensor 'images' must be (count, height, width, 3) on the CPU, but it is " +
                                images.describe() + ".");
}

void require_result(const TensorView& tensor, const char* name, DType dtype, const TensorView& images,
                    const std::vector<std::int64_t>& shape) {
  require_dtype(tensor, name, dtype);
  require_same_device(tensor, name, images, "images");
  require_row_major(tensor, name);
  require_shape(tensor, name, shape);
}

}  // namespace

void image_prints(const TensorView& images, const TensorView& pixels, const TensorView& thumbnails) {
  require_images(images);
  const std::int64_t count = images.shape[0];
  require_result(pixels, "pixels", DType::uint64, images, {count, 2});
  require_result(thumbnails, "thumbnails", DType::uint8, images, {count, kThumbnailRows, kThumbnailColumns});
  const std::string shape = std::to_string(images.shape[1]) + "x" + std::to_string(images.shape[2]);
  cpu::active().image_prints({images.as<const std::uint8_t>(), pixels.as<std::uint64_t>(), thumbnails.as<std::uint8_t>(),
                              shape.data(), static_cast<std::int64_t>(shape.size()), count, images.shape[1],
                              images.shape[2]});
}

void image_planes(const TensorView& images, const TensorView& out, float scale, const std::array<float, 3>& mean,
                  const std::array<float, 3>& deviation) {
  require_images(images);
  require_result(out, "out", DType::float32, images, {images.shape[0], 3, images.shape[1], images.shape[2]});
  cpu::active().image_planes({images.as<const std::uint8_t>(), out.as<float>(), images.shape[0], images.shape[1],
                              images.shape[2], scale, mean.data(), deviation.data()});
}

}  // namespace hudd
