// What most kernels need: sums and maxima over the 32 threads of a warp, and over a whole block.
#pragma once

constexpr unsigned WHOLE_WARP = 0xffffffff;      // a shuffle names the lanes that take part: here always all 32
constexpr float LOWEST = -3.402823466e38f;       // where a maximum starts; a NaN still comes through the sums

// Many arrays and one number for each, passed to a kernel by value: their addresses need not be copied to the device
// first, and a captured graph keeps them. CUDA takes 4 KiB of arguments.
constexpr int MOST_ARRAYS = 64;
struct Arrays { float* at[MOST_ARRAYS]; };
struct Ints { int at[MOST_ARRAYS]; };

// A warp is 32 threads (lanes) that run together. __shfl_xor_sync hands each lane the value of the lane whose number
// differs in one bit. After five exchanges, over 16, 8, 4, 2 and 1, every lane has added all 32 values, two by two in
// the same order: all lanes hold the same bits, in every run. No shared memory and no barrier are needed.
__device__ float warp_sum(float value) {
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(WHOLE_WARP, value, distance);
    return value;
}

__device__ float warp_max(float value) {
    for (int distance = 16; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(WHOLE_WARP, value, distance));
    }
    return value;
}

// The sum over all threads of a block (32, warps): lanes within each warp, then the warps through shared memory.
// Every thread gets it. Between two calls there must be a barrier, or the second overwrites what the first still reads.
__device__ float block_sum(float value) {
    __shared__ float sums[32];
    value = warp_sum(value);
    if (threadIdx.x == 0) sums[threadIdx.y] = value;
    __syncthreads();
    float total = 0;
    for (int warp = 0; warp < blockDim.y; warp++) total += sums[warp];
    return total;
}

// In a block (32, 8): the sum over the 8 threads that stand below each other, for each of the 32 columns.
// Every thread gets the sum of its column. Lanes touch 32 neighbouring floats, one in each memory bank. The last
// barrier lets the next call write `values` again.
__device__ float column_sum(float value) {
    __shared__ float values[8][32];
    values[threadIdx.y][threadIdx.x] = value;
    __syncthreads();
    float total = 0;
    for (int y = 0; y < 8; y++) total += values[y][threadIdx.x];
    __syncthreads();
    return total;
}
