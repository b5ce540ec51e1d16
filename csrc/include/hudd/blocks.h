// Memory for large results, kept when they are gone.
//
// The C library hands blocks this large back to the system at once, and every page of the next one is cleared and mapped
// again on its first write: as slow as the arithmetic that fills it. A block here waits for the next batch instead, as long
// as somebody expects one; while it waits the system may take its pages, if it runs short.
#pragma once

#include <cstdint>

#include "hudd/dlpack.h"

namespace hudd {

constexpr std::int64_t kLargeBlock = std::int64_t{1} << 25;  // bytes from which glibc always asks the system

// A float32 vector of so many elements, not initialised, as an owned DLPack tensor; throws std::bad_alloc.
DLManagedTensor* large_block(std::int64_t elements);

// Somebody expects further batches, until they say so no longer. With the last one what waits goes back to the system, and
// what comes later goes at once; returns how many bytes waited.
void expect_large_blocks();
std::int64_t expect_no_large_blocks();

}  // namespace hudd
