// Max pooling's winner takes all, gathered: each input element asks the windows that hold it whether it won, in
// row-major order, so there are no atomics and one order of addition.
#include "access.cuh"
#include "hudd/pooling.h"

namespace hudd::cuda {
namespace {

// ---- Square 2-d windows of 2x2 or 3x3 neighbours: a block keeps who won each of its windows in shared memory.

// The inputs that are a block's: a rectangle of some planes, or of some channels of one plane where they come last.
struct Tiling {
  const float* input;
  const float* message;
  float* out;
  std::int64_t planes;                        // row-major; else samples
  unsigned interleaved;                       // channels where they come last, else 1
  unsigned height, width, out_height, out_width;
  unsigned stride[2], padding[2];
  unsigned lanes, rows, columns;              // of a block
  unsigned window_rows, window_columns;       // that a block may touch
  Divisor by_lanes, by_rows, by_columns, by_window_rows, by_window_columns;
  Divisor by_stride[2];
  Divisor by_down, by_across, by_groups;      // blocks along each axis of a plane, and groups of channels
  bool last_wins;
};

constexpr unsigned kWinners = 12288, kNone = 255;

// Outputs along one axis whose window may hold position `at`: [first, last).
template <unsigned kSide>
__device__ __forceinline__ unsigned first_window(unsigned at, unsigned padding, unsigned stride, const Divisor& by_stride) {
  return at + padding < kSide ? 0 : by_stride(at + padding - kSide + stride);
}

__device__ __forceinline__ unsigned last_window(unsigned at, unsigned padding, unsigned size, const Divisor& by_stride) {
  const unsigned last = by_stride(at + padding) + 1;
  return last < size ? last : size;
}

// Which of the window's elements wins, counted in row-major order; kNone if it holds none.
template <unsigned kSide>
__device__ __forceinline__ unsigned winner_of(const Tiling& t, const float* plane, unsigned h, unsigned w) {
  const int top = static_cast<int>(h * t.stride[0]) - static_cast<int>(t.padding[0]);
  const int left = static_cast<int>(w * t.stride[1]) - static_cast<int>(t.padding[1]);
  unsigned best = kNone;
  float best_value = 0.0f;
#pragma unroll
  for (unsigned j = 0; j < kSide; ++j) {
#pragma unroll
    for (unsigned k = 0; k < kSide; ++k) {
      const unsigned y = top + j, x = left + k;  // beyond the extents also where negative
      if (y >= t.height || x >= t.width) continue;
      const float value = plane[(y * t.width + x) * t.interleaved];
      if (best == kNone || wins(value, best_value)) best = j * kSide + k, best_value = value;
    }
  }
  return best;
}

// Splits a number within a block: channels run fastest where they come last, else columns do.
template <bool kInterleaved>
__device__ __forceinline__ void place(unsigned number, const Tiling& t, const Divisor& by_rows, const Divisor& by_columns,
                                      unsigned& lane, unsigned& row, unsigned& column) {
  if constexpr (kInterleaved) {
    unsigned rest = number;
    const unsigned position = t.by_lanes.take(rest);
    lane = rest;
    column = position;
    row = by_columns.take(column);
  } else {
    column = number;
    row = by_columns.take(column);
    lane = by_rows.take(row);
  }
}

template <unsigned kSide, bool kInterleaved>
__global__ void __launch_bounds__(kThreads) square_kernel(const Tiling t) {
  __shared__ unsigned char winners[kWinners];
  unsigned across = blockIdx.x;
  unsigned down = t.by_across.take(across);
  unsigned group = t.by_down.take(down);
  const unsigned plane = kInterleaved ? t.by_groups.take(group) : 0;
  const unsigned top = down * t.rows, left = across * t.columns;
  const std::int64_t first_lane = static_cast<std::int64_t>(group) * t.lanes;
  const std::int64_t lanes_left = (kInterleaved ? t.interleaved : t.planes) - first_lane;
  const std::int64_t in_size = static_cast<std::int64_t>(t.height) * t.width;
  const std::int64_t out_size = static_cast<std::int64_t>(t.out_height) * t.out_width;
  // From a lane to the next; and where the first begins.
  const std::int64_t in_step = kInterleaved ? 1 : in_size, out_step = kInterleaved ? 1 : out_size;
  const std::int64_t in_first = kInterleaved ? plane * in_size * t.interleaved + first_lane : first_lane * in_size;
  const std::int64_t out_first = kInterleaved ? plane * out_size * t.interleaved + first_lane : first_lane * out_size;
  const unsigned first_h = first_window<kSide>(top, t.padding[0], t.stride[0], t.by_stride[0]);
  const unsigned first_w = first_window<kSide>(left, t.padding[1], t.stride[1], t.by_stride[1]);

  unsigned lane, row, column;
  for (unsigned i = threadIdx.x; i < t.lanes * t.window_rows * t.window_columns; i += kThreads) {
    place<kInterleaved>(i, t, t.by_window_rows, t.by_window_columns, lane, row, column);
    const unsigned h = first_h + row, w = first_w + column;
    if (lane < lanes_left && h < t.out_height && w < t.out_width)
      winners[i] = static_cast<unsigned char>(winner_of<kSide>(t, t.input + in_first + lane * in_step, h, w));
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < t.lanes * t.rows * t.columns; i += kThreads) {
    place<kInterleaved>(i, t, t.by_rows, t.by_columns, lane, row, column);
    const unsigned y = top + row, x = left + column;
    if (lane >= lanes_left || y >= t.height || x >= t.width) continue;
    const float* message = t.message + out_first + lane * out_step;
    const unsigned last_h = last_window(y, t.padding[0], t.out_height, t.by_stride[0]);
    const unsigned last_w = last_window(x, t.padding[1], t.out_width, t.by_stride[1]);
    float received = 0.0f;
    for (unsigned h = first_window<kSide>(y, t.padding[0], t.stride[0], t.by_stride[0]); h < last_h; ++h) {
      for (unsigned w = first_window<kSide>(x, t.padding[1], t.stride[1], t.by_stride[1]); w < last_w; ++w) {
        const unsigned own = (y + t.padding[0] - h * t.stride[0]) * kSide + x + t.padding[1] - w * t.stride[1];
        const unsigned window = (h - first_h) * t.window_columns + w - first_w;
        const unsigned kept = kInterleaved ? window * t.lanes + lane : lane * t.window_rows * t.window_columns + window;
        if (winners[kept] != own) continue;
        const float sent = message[(h * t.out_width + w) * t.interleaved];
        received = t.last_wins ? sent : received + sent;
      }
    }
    t.out[in_first + lane * in_step + (y * t.width + x) * t.interleaved] = received;
  }
}

bool is_square(const MaxPool& pool) {
  const bool flat = pool.in[0] == 1 && pool.size[0] == 1 && pool.window[0] == 1 && pool.padding[0] == 0;
  const bool neighbours = pool.dilation[1] == 1 && pool.dilation[2] == 1 && pool.window[1] == pool.window[2];
  return flat && neighbours && (pool.window[1] == 2 || pool.window[1] == 3);
}

// Rows or columns of a block: at most so many, and whole strides, so that windows that do not overlap are a block's own.
std::int64_t extent_of_tile(std::int64_t extent, std::int64_t most, std::int64_t stride) {
  if (extent <= most) return extent;
  return most > stride ? most / stride * stride : most;
}

// Windows along one axis that so many neighbouring inputs may touch.
std::int64_t windows_touched(std::int64_t inputs, std::int64_t side, std::int64_t stride) {
  return (inputs + side - 2) / stride + 1;
}

void launch_square(const MaxPool& pool, void* stream) {
  const bool interleaved = pool.interleaved > 1;
  const std::int64_t side = pool.window[1];
  Tiling t{};
  t.input = pool.input;
  t.message = pool.message;
  t.out = pool.out;
  t.last_wins = pool.last_wins;
  t.planes = pool.planes;
  t.interleaved = static_cast<unsigned>(pool.interleaved);
  t.height = static_cast<unsigned>(pool.in[1]);
  t.width = static_cast<unsigned>(pool.in[2]);
  t.out_height = static_cast<unsigned>(pool.size[1]);
  t.out_width = static_cast<unsigned>(pool.size[2]);
  for (int axis = 0; axis < 2; ++axis) {
    t.stride[axis] = static_cast<unsigned>(pool.stride[axis + 1]);
    t.padding[axis] = static_cast<unsigned>(pool.padding[axis + 1]);
    t.by_stride[axis] = Divisor(pool.stride[axis + 1]);
  }
  const std::int64_t columns = extent_of_tile(pool.in[2], interleaved ? 16 : 64, pool.stride[2]);
  const std::int64_t rows = extent_of_tile(pool.in[1], interleaved ? 16 : 1024 / columns, pool.stride[1]);
  const std::int64_t all_lanes = interleaved ? pool.interleaved : pool.planes;
  const std::int64_t most_lanes = interleaved ? kWarp : ceil_div(1024, rows * columns);
  const std::int64_t lanes = all_lanes < most_lanes ? all_lanes : most_lanes;
  const std::int64_t window_rows = windows_touched(rows, side, pool.stride[1]);
  const std::int64_t window_columns = windows_touched(columns, side, pool.stride[2]);
  t.lanes = static_cast<unsigned>(lanes);
  t.rows = static_cast<unsigned>(rows);
  t.columns = static_cast<unsigned>(columns);
  t.window_rows = static_cast<unsigned>(window_rows);
  t.window_columns = static_cast<unsigned>(window_columns);
  t.by_lanes = Divisor(lanes);
  t.by_rows = Divisor(rows);
  t.by_columns = Divisor(columns);
  t.by_window_rows = Divisor(window_rows);
  t.by_window_columns = Divisor(window_columns);
  const std::int64_t across = ceil_div(pool.in[2], columns), down = ceil_div(pool.in[1], rows);
  const std::int64_t groups = ceil_div(all_lanes, lanes);
  t.by_across = Divisor(across);
  t.by_down = Divisor(down);
  t.by_groups = Divisor(groups);
  const std::int64_t blocks = across * down * groups * (interleaved ? pool.planes : 1);
  choose(side == 2, [&](auto two) {
    choose(interleaved, [&](auto last) {
      launch("max-pool", square_kernel<decltype(two)::value ? 2 : 3, decltype(last)::value>, blocks, stream, t);
    });
  });
}

// ---- Any window.

template <typename Index>
struct Extents {
  Index in[3], size[3], window[3], stride[3], padding[3], dilation[3], interleaved;
};

// Division by extents that do not fit into 32 bits.
class LongDivisor {
 public:
  LongDivisor() = default;
  explicit LongDivisor(std::int64_t divisor) : divisor_(divisor) {}
  HUDD_HOST_DEVICE std::int64_t operator()(std::int64_t dividend) const { return dividend / divisor_; }

 private:
  std::int64_t divisor_ = 1;
};

template <typename Index, typename By>
struct General {
  const float* input;
  const float* message;
  float* out;
  std::int64_t in_size, out_size;  // of a plane, channels and all
  bool last_wins;
  Extents<Index> pool;
  Divisor by_blocks;  // blocks a plane
  By by_interleaved, by_width, by_height, by_stride[3];
};

template <typename Index, typename By>
__device__ __forceinline__ void windows_of(const General<Index, By>& g, int axis, Index at, Index& first, Index& last) {
  const auto& pool = g.pool;
  const Index low = at + pool.padding[axis] - (pool.window[axis] - 1) * pool.dilation[axis];
  first = low <= 0 ? 0 : static_cast<Index>(g.by_stride[axis](low + pool.stride[axis] - 1));
  last = static_cast<Index>(g.by_stride[axis](at + pool.padding[axis]));
  if (last > pool.size[axis] - 1) last = pool.size[axis] - 1;
}

template <typename Index, typename By>
__global__ void __launch_bounds__(kThreads, 2) general_kernel(const General<Index, By> g) {
  unsigned block = blockIdx.x;
  const std::int64_t plane = g.by_blocks.take(block);
  const std::int64_t number = static_cast<std::int64_t>(block) * kThreads + threadIdx.x;
  if (number >= g.in_size) return;
  const auto& pool = g.pool;
  const Index at = static_cast<Index>(g.by_interleaved(static_cast<Index>(number)));
  const Index channel = static_cast<Index>(number) - at * pool.interleaved;
  const float* input = g.input + plane * g.in_size + channel;
  const float* message = g.message + plane * g.out_size + channel;
  const Index line = static_cast<Index>(g.by_width(at)), depth = static_cast<Index>(g.by_height(line));
  Index d0, d1, h0, h1, w0, w1;
  windows_of(g, 0, depth, d0, d1);
  windows_of(g, 1, line - depth * pool.in[1], h0, h1);
  windows_of(g, 2, at - line * pool.in[2], w0, w1);
  float received = 0.0f;
  for (Index d = d0; d <= d1; ++d)
    for (Index h = h0; h <= h1; ++h)
      for (Index w = w0; w <= w1; ++w)
        if (winner<Index>(pool, input, d, h, w) == at) {
          const float sent = message[static_cast<std::int64_t>((d * pool.size[1] + h) * pool.size[2] + w) * pool.interleaved];
          received = g.last_wins ? sent : received + sent;
        }
  g.out[plane * g.in_size + number] = received;
}

template <typename Index, typename By>
void launch_general(const MaxPool& pool, void* stream) {
  General<Index, By> g{};
  g.input = pool.input;
  g.message = pool.message;
  g.out = pool.out;
  g.last_wins = pool.last_wins;
  g.in_size = pool.in[0] * pool.in[1] * pool.in[2] * pool.interleaved;
  g.out_size = pool.size[0] * pool.size[1] * pool.size[2] * pool.interleaved;
  for (int axis = 0; axis < 3; ++axis) {
    g.pool.in[axis] = static_cast<Index>(pool.in[axis]);
    g.pool.size[axis] = static_cast<Index>(pool.size[axis]);
    g.pool.window[axis] = static_cast<Index>(pool.window[axis]);
    g.pool.stride[axis] = static_cast<Index>(pool.stride[axis]);
    g.pool.padding[axis] = static_cast<Index>(pool.padding[axis]);
    g.pool.dilation[axis] = static_cast<Index>(pool.dilation[axis]);
    g.by_stride[axis] = By(pool.stride[axis]);
  }
  g.pool.interleaved = static_cast<Index>(pool.interleaved);
  g.by_interleaved = By(pool.interleaved);
  g.by_width = By(pool.in[2]);
  g.by_height = By(pool.in[1]);
  const std::int64_t blocks = ceil_div(g.in_size, kThreads);
  g.by_blocks = Divisor(blocks);
  launch("max-pool", general_kernel<Index, By>, pool.planes * blocks, stream, g);
}

// Whether every number that the kernels form of the pooling's geometry fits into 32 bits.
bool is_short(const MaxPool& pool) {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  std::int64_t in = pool.interleaved, out = pool.interleaved;
  for (int axis = 0; axis < 3; ++axis) {
    in *= pool.in[axis];
    out *= pool.size[axis];
    for (const std::int64_t extent : {pool.window[axis], pool.stride[axis], pool.padding[axis], pool.dilation[axis]})
      if (extent > 32767) return false;
  }
  return in < kMost && out < kMost;
}

}  // namespace

void max_pool(const MaxPool& pool, int device, void* stream) {
  const DeviceGuard guard(device);
  if (!is_short(pool)) {
    launch_general<std::int64_t, LongDivisor>(pool, stream);
  } else if (is_square(pool)) {
    launch_square(pool, stream);
  } else {
    launch_general<std::int32_t, Divisor>(pool, stream);
  }
}

}  // namespace hudd::cuda
