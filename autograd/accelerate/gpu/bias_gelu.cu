// y = gelu(x + b):   gelu z = z Φ(z),   Φ(z) = ½ (1 + t),   t = erf z/√2,   or nearly so
//                                                           t = tanh √(2/π)(z + 0.044715 z³)
//
// x, y (rows, columns), b (columns), or null for 0. Grid (columns/32 · rows/rows_per_block), block (32, 8): a block takes
// 32 columns of a chunk of rows; its 8 warps walk down the rows, each lane in its own column. A thread meets one column
// only, so it reads b once, and in the backward it can sum that column's gradient as it goes. The grid is a row, because
// it may have 2³¹ blocks along its first axis, and 65,535 along the others.
#include "common.cuh"

constexpr float ROOT_HALF = 0.70710678118654752f;    // √½
constexpr float TANH_SCALE = 0.79788456080286536f;   // √(2/π)
constexpr float TANH_CUBIC = 0.044715f;

// Beyond ±100 Φ is 0 or 1, and no square overflows. fminf and fmaxf would lose a NaN.
__device__ float within(float z) { return z > 100 ? 100 : z < -100 ? -100 : z; }

__device__ float gelu_t(float z, bool tanh_form) {
    return tanh_form ? tanhf(z * (TANH_SCALE + TANH_SCALE * TANH_CUBIC * z * z)) : erff(z * ROOT_HALF);
}

// d gelu/dz = ½ (1 + t + z t′);   t′ = √(2/π) e^(−z²/2),   or √(2/π)(1 + 3 · 0.044715 z²)(1 − t²)
__device__ float gelu_slope(float z, bool tanh_form) {
    z = within(z);
    float t = gelu_t(z, tanh_form);
    float dt = tanh_form ? TANH_SCALE * (1 + 3 * TANH_CUBIC * z * z) * (1 - t * t) : TANH_SCALE * expf(-0.5f * z * z);
    return 0.5f * (1 + t + z * dt);
}

// `tanh_form` is the same for all threads: the branch costs a test, and no lane waits for another.
extern "C" __global__ void bias_gelu_forward(const float* x, const float* bias, float* y, int rows, int columns,
                                             int rows_per_block, int tanh_form) {
    int across = (columns + 31) / 32, column = blockIdx.x % across * 32 + threadIdx.x, chunk = blockIdx.x / across;
    if (column >= columns) return;
    int first = chunk * rows_per_block, end = min(rows, first + rows_per_block);
    float b = bias ? bias[column] : 0;
    for (int row = first + threadIdx.y; row < end; row += 8) {
        size_t i = (size_t)row * columns + column;
        float z = x[i] + b;
        y[i] = 0.5f * (z < -100 ? -100 : z) * (1 + gelu_t(within(z), tanh_form));
    }
}

// z is computed again from x: cheaper than to write it in the forward and read it here.
// gbias (rows/rows_per_block, columns), if wanted, holds one sum for each chunk of rows; column_sums adds them up.
extern "C" __global__ void bias_gelu_backward(const float* g, const float* x, const float* bias, float* gx,
                                              float* gbias, int rows, int columns, int rows_per_block, int tanh_form) {
    int across = (columns + 31) / 32, column = blockIdx.x % across * 32 + threadIdx.x, chunk = blockIdx.x / across;
    int first = chunk * rows_per_block, end = min(rows, first + rows_per_block);
    float sum = 0;
    if (column < columns) {
        float b = bias ? bias[column] : 0;
        for (int row = first + threadIdx.y; row < end; row += 8) {
            size_t i = (size_t)row * columns + column;
            gx[i] = g[i] * gelu_slope(x[i] + b, tanh_form);
            sum += gx[i];
        }
    }
    sum = column_sum(sum);
    if (gbias && threadIdx.y == 0 && column < columns) gbias[(size_t)chunk * columns + column] = sum;
}
