// Softmax over the last axis:   y = eˣ / Σ eˣ,    ∂L/∂x = y (g − Σ g y).       x, y, g (rows, columns)
//
// One warp a row, four rows in a block (32, 4), as in layer_norm.cu.
#include "common.cuh"

extern "C" __global__ void softmax_forward(const float* x, float* y, int rows, int columns) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    x += (size_t)row * columns;
    y += (size_t)row * columns;

    float top = LOWEST;
    for (int i = threadIdx.x; i < columns; i += 32) top = fmaxf(top, x[i]);
    top = warp_max(top);  // e^(x − top) never overflows, and the factor e^(−top) cancels

    float sum = 0;
    for (int i = threadIdx.x; i < columns; i += 32) {
        y[i] = expf(x[i] - top);
        sum += y[i];
    }
    sum = warp_sum(sum);
    for (int i = threadIdx.x; i < columns; i += 32) y[i] /= sum;  // each lane meets only what it wrote itself
}

extern "C" __global__ void softmax_backward(const float* g, const float* y, float* gx, int rows, int columns) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    g += (size_t)row * columns;
    y += (size_t)row * columns;
    gx += (size_t)row * columns;

    float inner = 0;
    for (int i = threadIdx.x; i < columns; i += 32) inner += g[i] * y[i];
    inner = warp_sum(inner);
    for (int i = threadIdx.x; i < columns; i += 32) gx[i] = y[i] * (g[i] - inner);
}
