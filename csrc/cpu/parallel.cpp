#include "hudd/parallel.h"

#include <dlfcn.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace hudd {
namespace {

// GNU OpenMP's stable entry points; LLVM's and Intel's runtimes export them too.
using GompParallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
using ThreadNumber = int (*)();

struct Runtime {
  GompParallel parallel = nullptr;
  ThreadNumber thread_number = nullptr;
  ThreadNumber team_size = nullptr;
  Runtime() {
    parallel = reinterpret_cast<GompParallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    thread_number = reinterpret_cast<ThreadNumber>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
    team_size = reinterpret_cast<ThreadNumber>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
  }
  bool usable() const { return parallel && thread_number && team_size; }
};

const Runtime& runtime() {
  static const Runtime found;
  return found;
}

struct Loop {
  std::int64_t count;
  LoopBody body;
  void* context;
  void run(std::int64_t part, std::int64_t parts) const {
    const std::int64_t begin = count * part / parts, end = count * (part + 1) / parts;
    if (begin < end) body(context, begin, end);
  }
};

void run_share(void* loop) {
  const Runtime& openmp = runtime();
  static_cast<const Loop*>(loop)->run(openmp.thread_number(), openmp.team_size());
}

}  // namespace

void parallel_for(std::int64_t count, int threads, LoopBody body, void* context) {
  Loop loop{count, body, context};
  const auto parts = static_cast<unsigned>(std::max<std::int64_t>(1, std::min<std::int64_t>(threads, count)));
  if (parts == 1) {
    loop.run(0, 1);
  } else if (runtime().usable()) {
    runtime().parallel(run_share, &loop, parts, 0);
  } else {
    std::vector<std::thread> pool;
    for (unsigned part = 1; part < parts; ++part) pool.emplace_back([&loop, part, parts] { loop.run(part, parts); });
    loop.run(0, parts);
    for (auto& thread : pool) thread.join();
  }
}

// Looks afresh: the first loop comes with tensors, so with torch, but the question may come before.
const char* parallel_runtime() { return Runtime().usable() ? "openmp" : "threads"; }

}  // namespace hudd
