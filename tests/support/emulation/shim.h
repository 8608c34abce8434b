// CUDA's words for a C++ compiler, so that the very text of a kernel runs on the CPU: see emulator.py.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

using std::max;
using std::min;

struct emu_index { unsigned int x, y, z; };

extern "C" {  // in runtime.cpp
emu_index emu_thread_index();
emu_index emu_block_index();
emu_index emu_block_size();
emu_index emu_grid_size();
void* emu_dynamic_shared();
void emu_block_barrier(const char* file, int line);
void emu_warp_barrier(const char* file, int line);
unsigned int emu_shuffle_xor(unsigned int mask, unsigned int bits, int distance, const char* file, int line);
}

#define threadIdx emu_thread_index()
#define blockIdx emu_block_index()
#define blockDim emu_block_size()
#define gridDim emu_grid_size()

#define __global__
#define __device__ inline
#define __shared__ static __attribute__((section("emu_shared")))

#define __syncthreads() emu_block_barrier(__FILE__, __LINE__)
#define __syncwarp() emu_warp_barrier(__FILE__, __LINE__)
#define __shfl_xor_sync(mask, value, distance) emu_shuffle_float(mask, value, distance, __FILE__, __LINE__)

static inline float emu_shuffle_float(unsigned int mask, float value, int distance, const char* file, int line) {
    unsigned int bits = emu_shuffle_xor(mask, __builtin_bit_cast(unsigned int, value), distance, file, line);
    return __builtin_bit_cast(float, bits);
}

struct uint2 { unsigned int x, y; };
struct uint4 { unsigned int x, y, z, w; };
struct alignas(16) float4 { float x, y, z, w; };
static inline uint2 make_uint2(unsigned int x, unsigned int y) { return {x, y}; }
static inline uint4 make_uint4(unsigned int x, unsigned int y, unsigned int z, unsigned int w) { return {x, y, z, w}; }

static inline unsigned int __umulhi(unsigned int a, unsigned int b) { return (unsigned int)(((uint64_t)a * b) >> 32); }
static inline float __fmul_rn(float a, float b) { return a * b; }  // compiled with -ffp-contract=off
static inline float __fadd_rn(float a, float b) { return a + b; }
