// Runs a loop on the threads of the OpenMP runtime that torch has already loaded, so that two pools never fight for
// the cores; on plain threads where there is none.
#pragma once

#include <cstdint>

namespace hudd {

using LoopBody = void (*)(void* context, std::int64_t begin, std::int64_t end);

// Calls body on [0, count) cut into at most `threads` consecutive ranges.
void parallel_for(std::int64_t count, int threads, LoopBody body, void* context);

// "openmp" if the process has an OpenMP runtime with the GNU entry points, else "threads".
const char* parallel_runtime();

}  // namespace hudd
