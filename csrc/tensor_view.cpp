#include "hudd/tensor_view.h"

#include <algorithm>
#include <numeric>
#include <sstream>

namespace hudd {
namespace {

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::float32: return "float32";
    case DType::float16: return "float16";
    case DType::bfloat16: return "bfloat16";
    case DType::float64: return "float64";
    case DType::int64: return "int64";
    case DType::uint8: return "uint8";
    case DType::uint64: return "uint64";
  }
  return "unknown";
}

template <typename Range>
std::string tuple_of(const Range& values) {
  std::ostringstream text;
  text << "(";
  for (std::size_t i = 0; i < values.size(); ++i) text << (i ? ", " : "") << values[i];
  text << (values.size() == 1 ? ",)" : ")");
  return text.str();
}

DType dtype_of(const DLDataType& dtype, const std::string& name) {
  if (dtype.lanes == 1) {
    if (dtype.code == kDLFloat && dtype.bits == 32) return DType::float32;
    if (dtype.code == kDLFloat && dtype.bits == 16) return DType::float16;
    if (dtype.code == kDLFloat && dtype.bits == 64) return DType::float64;
    if (dtype.code == kDLBfloat && dtype.bits == 16) return DType::bfloat16;
    if (dtype.code == kDLInt && dtype.bits == 64) return DType::int64;
    if (dtype.code == kDLUInt && dtype.bits == 8) return DType::uint8;
    if (dtype.code == kDLUInt && dtype.bits == 64) return DType::uint64;
  }
  throw std::invalid_argument("The tensor '" + name + "' has a dtype that hudd does not compute on (DLPack code " +
                              std::to_string(dtype.code) + ", " + std::to_string(dtype.bits) +
                              " bits); use float32, float16, bfloat16, float64 or int64.");
}

// Axes with more than one element, slowest first.
std::vector<std::size_t> axes_by_stride(const TensorView& tensor) {
  std::vector<std::size_t> axes;
  for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis)
    if (tensor.shape[axis] > 1) axes.push_back(axis);
  std::stable_sort(axes.begin(), axes.end(),
                   [&](std::size_t a, std::size_t b) { return tensor.strides[a] > tensor.strides[b]; });
  return axes;
}

bool dense(const TensorView& tensor) {
  if (tensor.numel() == 0) return true;
  const auto axes = axes_by_stride(tensor);
  std::int64_t expected = 1;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    if (tensor.strides[*axis] != expected) return false;
    expected *= tensor.shape[*axis];
  }
  return tensor.shape.empty() || tensor.shape[0] <= 1 || axes.empty() || axes.front() == 0;
}

}  // namespace

std::string TensorView::describe() const {
  return std::string(dtype_name(dtype)) + " of shape " + tuple_of(shape) + " and strides " + tuple_of(strides) + " on " +
         (cuda ? "cuda:" + std::to_string(device_id) : std::string("cpu"));
}

TensorView view_of(const DLTensor& tensor, const std::string& name) {
  TensorView view;
  view.dtype = dtype_of(tensor.dtype, name);
  if (tensor.device.device_type != kDLCPU && tensor.device.device_type != kDLCUDA &&
      tensor.device.device_type != kDLCUDAHost)
    throw std::invalid_argument("The tensor '" + name + "' is on a device that hudd has no kernels for (DLPack device type " +
                                std::to_string(tensor.device.device_type) + "); move it to the CPU or to a CUDA device.");
  if (tensor.ndim < 0)
    throw std::invalid_argument("The tensor '" + name + "' says that it has " + std::to_string(tensor.ndim) +
                                " axes; it comes from a broken exporter.");
  view.cuda = tensor.device.device_type == kDLCUDA;
  view.device_id = tensor.device.device_id;
  view.data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  view.shape.assign(tensor.shape, tensor.shape + tensor.ndim);
  if (tensor.strides != nullptr) {
    view.strides.assign(tensor.strides, tensor.strides + tensor.ndim);
  } else {
    view.strides.assign(tensor.ndim, 1);
    for (int axis = tensor.ndim - 2; axis >= 0; --axis) view.strides[axis] = view.strides[axis + 1] * view.shape[axis + 1];
  }
  return view;
}

void require_dtype(const TensorView& tensor, const std::string& name, DType dtype) {
  if (tensor.dtype != dtype)
    throw std::invalid_argument("The tensor '" + name + "' must be " + dtype_name(dtype) + ", but it is " +
                                tensor.describe() + ".");
}

void require_rank_at_least(const TensorView& tensor, const std::string& name, std::size_t rank) {
  if (tensor.shape.size() < rank)
    throw std::invalid_argument("The tensor '" + name + "' must have at least " + std::to_string(rank) +
                                " axes, but it is " + tensor.describe() + ".");
}

void require_shape(const TensorView& tensor, const std::string& name, const std::vector<std::int64_t>& shape) {
  if (tensor.shape != shape)
    throw std::invalid_argument("The tensor '" + name + "' must have shape " + tuple_of(shape) + ", but it is " +
                                tensor.describe() + ".");
}

void require_same_device(const TensorView& tensor, const std::string& name, const TensorView& other,
                         const std::string& other_name) {
  if (tensor.cuda != other.cuda || (tensor.cuda && tensor.device_id != other.device_id))
    throw std::invalid_argument("The tensors '" + name + "' and '" + other_name + "' must be on one device, but they are " +
                                tensor.describe() + " and " + other.describe() + ".");
}

void require_same_layout(const TensorView& tensor, const std::string& name, const TensorView& other,
                         const std::string& other_name) {
  bool same = tensor.shape == other.shape;
  for (std::size_t axis = 0; same && axis < tensor.shape.size(); ++axis)
    same = tensor.shape[axis] <= 1 || tensor.strides[axis] == other.strides[axis];
  if (!same)
    throw std::invalid_argument("The tensors '" + name + "' and '" + other_name +
                                "' must have one shape and one memory layout, but they are " + tensor.describe() + " and " +
                                other.describe() + ".");
}

void require_dense(const TensorView& tensor, const std::string& name) {
  if (!dense(tensor))
    throw std::invalid_argument("The tensor '" + name +
                                "' must be stored without gaps and sample after sample, but it is " + tensor.describe() +
                                "; call .contiguous() on it first.");
}

bool is_row_major(const TensorView& tensor) {
  if (tensor.numel() == 0) return true;
  std::int64_t expected = 1;
  for (std::size_t axis = tensor.shape.size(); axis-- > 0;) {
    if (tensor.shape[axis] > 1 && tensor.strides[axis] != expected) return false;
    expected *= tensor.shape[axis];
  }
  return true;
}

bool is_channels_last(const TensorView& tensor) {
  if (tensor.shape.size() < 3) return false;
  TensorView moved = tensor;
  for (auto* extents : {&moved.shape, &moved.strides}) std::rotate(extents->begin() + 1, extents->begin() + 2, extents->end());
  return is_row_major(moved);
}

void require_row_major(const TensorView& tensor, const std::string& name) {
  if (!is_row_major(tensor))
    throw std::invalid_argument("The tensor '" + name + "' must be row-major, but it is " + tensor.describe() +
                                "; call .contiguous() on it first.");
}

}  // namespace hudd
