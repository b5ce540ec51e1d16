// Marks arithmetic that the CPU kernels and the CUDA kernels share.
#pragma once

#if defined(__CUDACC__)
#define HUDD_HOST_DEVICE __host__ __device__ __forceinline__
#else
// Always inlined: the same header is compiled for several instruction sets, and a linker that kept one out-of-line
// copy for all could hand AVX-512 code to a machine without it.
#define HUDD_HOST_DEVICE inline __attribute__((always_inline))
#endif

// The CPU kernels are compiled once an instruction set, each time in a namespace of its own.
#ifndef HUDD_ISA
#define HUDD_ISA generic
#endif
