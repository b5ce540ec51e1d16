// Blocks one after the other, the threads of each as fibers.
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "cuda_runtime.h"

#if defined(__SANITIZE_ADDRESS__)
extern "C" {
void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, std::size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom, std::size_t* size);
}
#endif

dim3 threadIdx, blockIdx;

namespace cuda_on_host {
namespace {

constexpr std::size_t kStack = std::size_t{1} << 17;
constexpr unsigned kMost = 1024, kWarp = 32;

enum class State { ready, at_shuffle, at_barrier, ended };

struct Fiber {
  ucontext_t context;
  State state = State::ended;
  unsigned shuffles = 0;
  std::uint64_t given[2] = {};  // by turns, as others may still read what was given last
  void* fake_stack = nullptr;
};

struct Scheduler {
  std::vector<Fiber> fibers{kMost};
  char* stacks;
  ucontext_t home;
  void* home_fake = nullptr;
  const void* home_bottom = nullptr;
  std::size_t home_size = 0;
  unsigned current = 0;
  const std::function<void()>* kernel = nullptr;
  bool backwards = false;

  Scheduler() {
    void* memory = mmap(nullptr, kStack * kMost, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("No memory for the threads of a block.");
    stacks = static_cast<char*>(memory);
  }
};

Scheduler& scheduler() {
  static Scheduler one;
  return one;
}

void enter([[maybe_unused]] unsigned index) {
  Scheduler& s = scheduler();
  s.current = index;
  threadIdx = dim3(index);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&s.home_fake, s.stacks + index * kStack, kStack);
#endif
  swapcontext(&s.home, &s.fibers[index].context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(s.home_fake, nullptr, nullptr);
#endif
}

// Back to the scheduler; comes back when it is this thread's turn again, never after its end.
void leave(State state) {
  Scheduler& s = scheduler();
  Fiber& fiber = s.fibers[s.current];
  fiber.state = state;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(state == State::ended ? nullptr : &fiber.fake_stack, s.home_bottom, s.home_size);
#endif
  swapcontext(&fiber.context, &s.home);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fiber.fake_stack, &s.home_bottom, &s.home_size);
#endif
}

void body() {
  Scheduler& s = scheduler();
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &s.home_bottom, &s.home_size);
#endif
  (*s.kernel)();
  leave(State::ended);
}

// Lets every thread that may go on do so; whether any did.
bool pass(unsigned count) {
  Scheduler& s = scheduler();
  bool moved = false;
  for (unsigned turn = 0; turn < count; ++turn) {
    const unsigned index = s.backwards ? count - 1 - turn : turn;
    if (s.fibers[index].state != State::ready) continue;
    enter(index);
    moved = true;
  }
  return moved;
}

bool all(State state, unsigned begin, unsigned end) {
  for (unsigned i = begin; i < end; ++i)
    if (scheduler().fibers[i].state != state) return false;
  return true;
}

void release(unsigned begin, unsigned end) {
  for (unsigned i = begin; i < end; ++i) scheduler().fibers[i].state = State::ready;
}

bool run_block(unsigned count) {
  Scheduler& s = scheduler();
  for (unsigned i = 0; i < count; ++i) {
    Fiber& fiber = s.fibers[i];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = s.stacks + i * kStack;
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, body, 0);
    fiber.state = State::ready;
    fiber.shuffles = 0;
  }
  while (!all(State::ended, 0, count)) {
    if (pass(count)) continue;
    bool released = false;
    for (unsigned warp = 0; warp < count; warp += kWarp) {
      if (!all(State::at_shuffle, warp, warp + kWarp)) continue;
      release(warp, warp + kWarp);
      released = true;
    }
    if (!released && all(State::at_barrier, 0, count)) {
      release(0, count);
      released = true;
    }
    if (!released) return false;
  }
  return true;
}

// Of a very large grid only the first and the last few blocks, if the environment says so.
bool left_out(std::uint64_t index, std::uint64_t count, std::uint64_t edge) {
  return edge != 0 && index >= edge && index + edge < count;
}

}  // namespace

void wait_for_block() { leave(State::at_barrier); }

std::uint64_t exchange(std::uint64_t bits, unsigned from) {
  Scheduler& s = scheduler();
  const unsigned index = s.current;
  Fiber& fiber = s.fibers[index];
  const unsigned turn = fiber.shuffles++ % 2;
  fiber.given[turn] = bits;
  leave(State::at_shuffle);
  return s.fibers[index / kWarp * kWarp + from].given[turn];
}

cudaError_t run(dim3 grid, dim3 size, const std::function<void()>& kernel) {
  if (grid.x == 0 || grid.x > 0x7fffffffu || size.x == 0 || size.x > kMost || size.x % kWarp != 0)
    return cudaErrorInvalidConfiguration;
  Scheduler& s = scheduler();
  s.kernel = &kernel;
  s.backwards = !s.backwards;
  const char* edge = std::getenv("CUDA_ON_HOST_EDGE");
  const std::uint64_t edges = edge ? std::strtoull(edge, nullptr, 10) : 0;
  for (std::uint64_t index = 0; index < grid.x; ++index) {
    if (left_out(index, grid.x, edges)) {
      index = grid.x - edges - 1;
      continue;
    }
    blockIdx = dim3(static_cast<unsigned>(index));
    if (!run_block(size.x)) return cudaErrorLaunchFailure;
  }
  return cudaSuccess;
}

}  // namespace cuda_on_host
