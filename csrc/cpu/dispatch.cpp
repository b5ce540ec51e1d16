// Chooses the instruction set at run time.
#include <cstring>
#include <stdexcept>
#include <string>

#include "hudd/kernels.h"

namespace hudd::cpu {
namespace {

struct Candidate {
  const char* name;
  const Kernels* kernels;
  bool supported;
};

#if defined(HUDD_X86)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#endif

// Best first.
const Candidate* candidates(int& count) {
  static const Candidate list[] = {
#if defined(HUDD_X86)
      {"avx512", &avx512::kernels, has_avx512()},
      {"avx2", &avx2::kernels, has_avx2()},
#endif
      {"generic", &generic::kernels, true},
  };
  count = sizeof list / sizeof list[0];
  return list;
}

const Candidate*& chosen() {
  static const Candidate* current = [] {
    int count = 0;
    const Candidate* list = candidates(count);
    int best = 0;
    while (!list[best].supported) ++best;
    return &list[best];
  }();
  return current;
}

}  // namespace

const Kernels& active() { return *chosen()->kernels; }

const char* active_name() { return chosen()->name; }

void select(const char* instruction_set) {
  int count = 0;
  const Candidate* list = candidates(count);
  std::string available;
  for (int i = 0; i < count; ++i) {
    if (!list[i].supported) continue;
    if (std::strcmp(list[i].name, instruction_set) == 0) {
      chosen() = &list[i];
      return;
    }
    available += (available.empty() ? "" : ", ") + std::string(list[i].name);
  }
  throw std::invalid_argument("The instruction set '" + std::string(instruction_set) +
                              "' is not available on this machine; choose one of: " + available + ".");
}

}  // namespace hudd::cpu
