// y = sin ω(x + b), the layer of SIREN after its matrix product.      ∂L/∂x = g ω cos ω(x + b),   ∂L/∂b = Σ ∂L/∂x
//
// Shapes, grid and block as in bias_gelu.cu. sinf and cosf, not the fast __sinf and __cosf: with ω = 30 the angle
// leaves the range around 0 in which those are right.
#include "common.cuh"

extern "C" __global__ void bias_sine_forward(const float* x, const float* bias, float* y, int rows, int columns,
                                             int rows_per_block, float omega) {
    int across = (columns + 31) / 32, column = blockIdx.x % across * 32 + threadIdx.x, chunk = blockIdx.x / across;
    if (column >= columns) return;
    int first = chunk * rows_per_block, end = min(rows, first + rows_per_block);
    float b = bias[column];
    for (int row = first + threadIdx.y; row < end; row += 8) {
        size_t i = (size_t)row * columns + column;
        y[i] = sinf((x[i] + b) * omega);
    }
}

extern "C" __global__ void bias_sine_backward(const float* g, const float* x, const float* bias, float* gx,
                                              float* gbias, int rows, int columns, int rows_per_block, float omega) {
    int across = (columns + 31) / 32, column = blockIdx.x % across * 32 + threadIdx.x, chunk = blockIdx.x / across;
    int first = chunk * rows_per_block, end = min(rows, first + rows_per_block);
    float sum = 0;
    if (column < columns) {
        float b = bias[column];
        for (int row = first + threadIdx.y; row < end; row += 8) {
            size_t i = (size_t)row * columns + column;
            gx[i] = g[i] * omega * cosf((x[i] + b) * omega);
            sum += gx[i];
        }
    }
    sum = column_sum(sum);
    if (threadIdx.y == 0 && column < columns) gbias[(size_t)chunk * columns + column] = sum;
}
