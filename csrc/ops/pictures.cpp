#include "hudd/pictures.h"

#include <vector>

#include "checks.h"

namespace hudd {
namespace {

void require_picture(const TensorView& tensor, const char* name, std::size_t rank, std::int64_t least) {
  require_dtype(tensor, name, DType::float32);
  require_row_major(tensor, name);
  const auto side = [&](std::size_t axis) { return tensor.shape[axis] >= least && tensor.shape[axis] <= kPictureSide; };
  if (tensor.cuda || tensor.shape.size() != rank || !side(1) || !side(2) || (rank == 4 && tensor.shape[3] != 3))
    throw std::invalid_argument(std::string("The tensor '") + name + "' must be (count, height, width" +
                                (rank == 4 ? ", 3)" : ")") + " on the CPU, of " + std::to_string(least) + " to " +
                                std::to_string(kPictureSide) + " pixels a side, but it is " + tensor.describe() + ".");
}

void measure(void (*kernel)(const Pictures&), const TensorView* colour, const TensorView& grey, const TensorView& out,
             std::int64_t numbers, std::int64_t around) {
  const std::int64_t count = grey.shape[0], height = grey.shape[1], width = grey.shape[2];
  require_dtype(out, "out", DType::float32);
  require_same_device(out, "out", grey, "grey");
  require_row_major(out, "out");
  require_shape(out, "out", {count, numbers});
  std::vector<float> scratch(static_cast<std::size_t>(kPictureScratch * height * width + 4 * kPictureSide));
  kernel({colour ? colour->as<const float>() : nullptr, grey.as<const float>(), out.as<float>(), scratch.data(), count,
          height, width, around});
}

}  // namespace

void picture_luma(const TensorView& colour, const TensorView& out) {
  require_dtype(colour, "colour", DType::float32);
  require_row_major(colour, "colour");
  if (colour.cuda || colour.shape.size() != 4 || colour.shape[3] != 3)
    throw std::invalid_argument("The tensor 'colour' must be (count, height, width, 3) on the CPU, but it is " +
                                colour.describe() + ".");
  const std::int64_t count = colour.shape[0], height = colour.shape[1], width = colour.shape[2];
  require_dtype(out, "out", DType::float32);
  require_same_device(out, "out", colour, "colour");
  require_row_major(out, "out");
  require_shape(out, "out", {count, height, width});
  cpu::active().picture_luma({colour.as<const float>(), nullptr, out.as<float>(), nullptr, count, height, width, 0});
}

void picture_light(const TensorView& colour, const TensorView& grey, std::int64_t around, const TensorView& out) {
  require_picture(colour, "colour", 4, 1);
  require_picture(grey, "grey", 3, 1);
  require_shape(grey, "grey", {colour.shape[0], colour.shape[1], colour.shape[2]});
  if (around < 1 || around > kPictureSide)
    throw std::invalid_argument("'around' must be 1 to " + std::to_string(kPictureSide) + ", but it is " +
                                std::to_string(around) + ".");
  measure(cpu::active().picture_light, &colour, grey, out, kLightNumbers, around);
}

void picture_frame(const TensorView& grey, const TensorView& out) {
  require_picture(grey, "grey", 3, 1);
  measure(cpu::active().picture_frame, nullptr, grey, out, kFrameNumbers, 0);
}

void picture_detail(const TensorView& grey, const TensorView& out) {
  require_picture(grey, "grey", 3, 3);
  measure(cpu::active().picture_detail, nullptr, grey, out, kDetailNumbers, 0);
}

}  // namespace hudd
