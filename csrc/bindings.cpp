// Python's door to the core. No arithmetic here: unwrap the DLPack capsules, let the GIL go, call the operation.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "hudd/blocks.h"
#include "hudd/jpeg.h"
#include "hudd/kernels.h"
#include "hudd/ops.h"
#include "hudd/parallel.h"
#include "hudd/winograd.h"

namespace py = pybind11;

namespace {

// Borrows the tensor inside a capsule; the capsule keeps owning it.
hudd::TensorView unwrap(const py::capsule& capsule, const char* name) {
  if (std::string(capsule.name() ? capsule.name() : "") != "dltensor")
    throw std::invalid_argument(std::string("The tensor '") + name +
                                "' must come as an unused DLPack capsule named 'dltensor' (torch.utils.dlpack.to_dlpack).");
  return hudd::view_of(capsule.get_pointer<DLManagedTensor>()->dl_tensor, name);
}

hudd::MaybeTensor unwrap(const std::optional<py::capsule>& capsule, const char* name) {
  if (!capsule) return std::nullopt;
  return unwrap(*capsule, name);
}

hudd::Execution execution(int threads, std::uintptr_t stream) { return {threads, reinterpret_cast<void*>(stream)}; }

using Maybe = std::optional<py::capsule>;

void quotient(const py::capsule& message, const Maybe& factor, const py::capsule& z, const Maybe& gate,
              const py::capsule& out, float scale, float epsilon, const std::string& stabilizer, const std::string& passes,
              int threads, std::uintptr_t stream) {
  const auto m = unwrap(message, "message"), d = unwrap(z, "z"), o = unwrap(out, "out");
  const auto f = unwrap(factor, "factor"), g = unwrap(gate, "gate");
  const py::gil_scoped_release release;
  hudd::quotient(m, f, d, g, o, scale, epsilon, stabilizer, passes, execution(threads, stream));
}

void product(const py::capsule& message, const Maybe& factor, const Maybe& out, const Maybe& sums, int threads,
             std::uintptr_t stream) {
  const auto m = unwrap(message, "message");
  const auto f = unwrap(factor, "factor"), o = unwrap(out, "out"), s = unwrap(sums, "sums");
  const py::gil_scoped_release release;
  hudd::product(m, f, o, s, execution(threads, stream));
}

void pooled_product(const py::capsule& message, const Maybe& factor, const py::capsule& out, int channel_axis,
                    const std::string& over, int threads, std::uintptr_t stream) {
  const auto m = unwrap(message, "message"), o = unwrap(out, "out");
  const auto f = unwrap(factor, "factor");
  const py::gil_scoped_release release;
  hudd::pooled_product(m, f, o, channel_axis, over, execution(threads, stream));
}

void split(const py::capsule& input, const py::capsule& parts, int axis, int threads, std::uintptr_t stream) {
  const auto i = unwrap(input, "input"), p = unwrap(parts, "parts");
  const py::gil_scoped_release release;
  hudd::split(i, p, axis, execution(threads, stream));
}

void by_sign(const py::capsule& input, const py::capsule& parts, const py::capsule& out, int axis, int threads,
             std::uintptr_t stream) {
  const auto i = unwrap(input, "input"), p = unwrap(parts, "parts"), o = unwrap(out, "out");
  const py::gil_scoped_release release;
  hudd::by_sign(i, p, o, axis, execution(threads, stream));
}

void box(const py::capsule& input, const py::capsule& message, const py::capsule& message_plus,
         const py::capsule& message_minus, const py::capsule& low, const py::capsule& high, const py::capsule& out,
         int threads, std::uintptr_t stream) {
  const auto i = unwrap(input, "input"), m = unwrap(message, "message"), p = unwrap(message_plus, "message_plus"),
             n = unwrap(message_minus, "message_minus"), l = unwrap(low, "low"), h = unwrap(high, "high"),
             o = unwrap(out, "out");
  const py::gil_scoped_release release;
  hudd::box(i, m, p, n, l, h, o, execution(threads, stream));
}

void max_pool(const py::capsule& input, const py::capsule& message, const py::capsule& out, const hudd::Extents& window,
              const hudd::Extents& stride, const hudd::Extents& padding, const hudd::Extents& dilation, bool last_wins,
              int threads, std::uintptr_t stream) {
  const auto i = unwrap(input, "input"), m = unwrap(message, "message"), o = unwrap(out, "out");
  const py::gil_scoped_release release;
  hudd::max_pool(i, m, o, window, stride, padding, dilation, last_wins, execution(threads, stream));
}

void add_differences(const py::capsule& left, const py::capsule& right, const py::capsule& pairs, const py::capsule& sums,
                     int threads, std::uintptr_t stream) {
  const auto l = unwrap(left, "left"), r = unwrap(right, "right"), p = unwrap(pairs, "pairs"), s = unwrap(sums, "sums");
  const py::gil_scoped_release release;
  hudd::add_differences(l, r, p, s, execution(threads, stream));
}

void winograd(const py::capsule& input, const py::capsule& weights, const py::capsule& out,
              const std::array<std::int64_t, 2>& padding, int threads) {
  const auto i = unwrap(input, "input"), w = unwrap(weights, "weights"), o = unwrap(out, "out");
  const py::gil_scoped_release release;
  hudd::winograd(i, w, o, padding, execution(threads, 0));
}

void image_prints(const py::capsule& images, const py::capsule& pixels, const py::capsule& thumbnails) {
  const auto i = unwrap(images, "images"), p = unwrap(pixels, "pixels"), t = unwrap(thumbnails, "thumbnails");
  const py::gil_scoped_release release;
  hudd::image_prints(i, p, t);
}

void image_planes(const py::capsule& images, const py::capsule& out, float scale, const std::array<float, 3>& mean,
                  const std::array<float, 3>& deviation) {
  const auto i = unwrap(images, "images"), o = unwrap(out, "out");
  const py::gil_scoped_release release;
  hudd::image_planes(i, o, scale, mean, deviation);
}

void picture_luma(const py::capsule& colour, const py::capsule& out) {
  const auto c = unwrap(colour, "colour"), o = unwrap(out, "out");
  const py::gil_scoped_release release;
  hudd::picture_luma(c, o);
}

void picture_light(const py::capsule& colour, const py::capsule& grey, std::int64_t around, const py::capsule& out) {
  const auto c = unwrap(colour, "colour"), g = unwrap(grey, "grey"), o = unwrap(out, "out");
  const py::gil_scoped_release release;
  hudd::picture_light(c, g, around, o);
}

void picture_frame(const py::capsule& grey, const py::capsule& out) {
  const auto g = unwrap(grey, "grey"), o = unwrap(out, "out");
  const py::gil_scoped_release release;
  hudd::picture_frame(g, o);
}

void picture_detail(const py::capsule& grey, const py::capsule& out) {
  const auto g = unwrap(grey, "grey"), o = unwrap(out, "out");
  const py::gil_scoped_release release;
  hudd::picture_detail(g, o);
}

// Some hundred bytes: to let the GIL go and take it again would last longer than to read them.
py::object jpeg_frame(const py::bytes& content) {
  char* bytes = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(content.ptr(), &bytes, &size)) throw py::error_already_set();
  const auto found = hudd::jpeg_frame(reinterpret_cast<const std::uint8_t*>(bytes), static_cast<std::size_t>(size));
  if (!found) return py::none();
  return py::make_tuple(found->width, found->height, found->exact, found->exif);
}

// Its owner is whoever takes it out of the capsule; else it goes with the capsule.
py::capsule large_block(std::int64_t elements) {
  return py::capsule(hudd::large_block(elements), "dltensor", [](PyObject* capsule) {
    if (!PyCapsule_IsValid(capsule, "dltensor")) return;
    auto* const tensor = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule, "dltensor"));
    tensor->deleter(tensor);
  });
}

py::dict build_info() {
  py::dict info;
  info["compiler"] = HUDD_COMPILER;
  info["instruction_sets"] = py::str(HUDD_INSTRUCTION_SETS).attr("split")(" ");
  info["active_instruction_set"] = hudd::cpu::active_name();
  info["cuda"] = std::string(HUDD_CUDA_VERSION).empty() ? py::object(py::none()) : py::str(HUDD_CUDA_VERSION);
  info["cuda_architectures"] = py::str(HUDD_CUDA_ARCHITECTURES).attr("split")();
  info["parallel_runtime"] = hudd::parallel_runtime();
  return info;
}

}  // namespace

PYBIND11_MODULE(_core, module, py::multiple_interpreters::not_supported()) {
  module.doc() = "Compiled kernels of hudd: fused relevance steps and distances of pairs on DLPack tensors, CPU and CUDA.";
  constexpr int kThreads = 1;
  constexpr std::uintptr_t kStream = 0;
  module.attr("CHUNK") = hudd::kChunk;
  module.attr("WINOGRAD_PANEL") = hudd::kWinogradPanel;
  module.def("quotient", &quotient, py::arg("message"), py::arg("factor"), py::arg("z"), py::arg("gate"), py::arg("out"),
             py::arg("scale") = 1.0f, py::arg("epsilon") = 0.0f, py::arg("stabilizer") = "sign",
             py::arg("passes") = "open", py::arg("threads") = kThreads, py::arg("stream") = kStream);
  module.def("product", &product, py::arg("message"), py::arg("factor"), py::arg("out"), py::arg("sums"),
             py::arg("threads") = kThreads, py::arg("stream") = kStream);
  module.def("pooled_product", &pooled_product, py::arg("message"), py::arg("factor"), py::arg("out"),
             py::arg("channel_axis"), py::arg("over"), py::arg("threads") = kThreads, py::arg("stream") = kStream);
  module.def("split", &split, py::arg("input"), py::arg("parts"), py::arg("axis"), py::arg("threads") = kThreads,
             py::arg("stream") = kStream);
  module.def("by_sign", &by_sign, py::arg("input"), py::arg("parts"), py::arg("out"), py::arg("axis"),
             py::arg("threads") = kThreads, py::arg("stream") = kStream);
  module.def("box", &box, py::arg("input"), py::arg("message"), py::arg("message_plus"), py::arg("message_minus"),
             py::arg("low"), py::arg("high"), py::arg("out"), py::arg("threads") = kThreads, py::arg("stream") = kStream);
  module.def("max_pool", &max_pool, py::arg("input"), py::arg("message"), py::arg("out"), py::arg("window"),
             py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("last_wins") = false,
             py::arg("threads") = kThreads, py::arg("stream") = kStream);
  module.def("add_differences", &add_differences, py::arg("left"), py::arg("right"), py::arg("pairs"), py::arg("sums"),
             py::arg("threads") = kThreads, py::arg("stream") = kStream);
  module.def("winograd", &winograd, py::arg("input"), py::arg("weights"), py::arg("out"), py::arg("padding"),
             py::arg("threads") = kThreads);
  module.def("image_prints", &image_prints, py::arg("images"), py::arg("pixels"), py::arg("thumbnails"));
  module.def("image_planes", &image_planes, py::arg("images"), py::arg("out"), py::arg("scale"), py::arg("mean"),
             py::arg("deviation"));
  module.def("picture_luma", &picture_luma, py::arg("colour"), py::arg("out"));
  module.def("picture_light", &picture_light, py::arg("colour"), py::arg("grey"), py::arg("around"), py::arg("out"));
  module.def("picture_frame", &picture_frame, py::arg("grey"), py::arg("out"));
  module.def("picture_detail", &picture_detail, py::arg("grey"), py::arg("out"));
  module.def("jpeg_frame", &jpeg_frame, py::arg("content"));
  module.attr("LARGE_BLOCK") = hudd::kLargeBlock;
  module.def("large_block", &large_block, py::arg("elements"));
  module.def("expect_large_blocks", &hudd::expect_large_blocks);
  module.def("expect_no_large_blocks", &hudd::expect_no_large_blocks);
  module.def("select_instruction_set", [](const std::string& name) { hudd::cpu::select(name.c_str()); }, py::arg("name"));
  module.def("build_info", &build_info);
}
