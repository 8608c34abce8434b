// y = Σ over the rows of x.      x (rows, columns), y (columns)
//
// The second half of every gradient that sums over the batch: the first kernel sums over groups of rows in many blocks
// at once, this one adds the few sums that are left. Twice the launches of atomicAdd, and the same bits in every run.
#include "common.cuh"

// Grid (columns/32), block (32, 8): as layer_norm_backward_affine, whose comment says why.
extern "C" __global__ void column_sums(const float* x, float* y, int rows, int columns) {
    int column = blockIdx.x * 32 + threadIdx.x;
    float sum = 0;
    if (column < columns) {
        for (int row = threadIdx.y; row < rows; row += 8) sum += x[(size_t)row * columns + column];
    }
    sum = column_sum(sum);
    if (threadIdx.y == 0 && column < columns) y[column] = sum;
}
