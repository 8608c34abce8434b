// One power iteration for every weight matrix of a network in one launch:
//
//     v ← Wᵀu / ‖Wᵀu‖,   u ← W v / ‖W v‖           ‖x‖ = √(Σ x² + 1e−24)
//
// One block (32, 16) for each matrix: the matrices are small and there are many, so a launch for each would cost more
// than its arithmetic.
#include "common.cuh"

extern "C" __global__ void power_iteration(Arrays weights, Arrays us, Arrays vs, Ints heights, Ints widths) {
    __shared__ float partial[16][32];
    const float* w = weights.at[blockIdx.x];
    float* u = us.at[blockIdx.x];
    float* v = vs.at[blockIdx.x];
    int rows = heights.at[blockIdx.x], columns = widths.at[blockIdx.x];
    int lane = threadIdx.x, warp = threadIdx.y, warps = 16;

    // v = Wᵀu, 32 columns at a time. Each warp adds up every 16th row, a lane for each column; then the first warp adds
    // the 16 sums. All reads of W are of 32 neighbours.
    float squares = 0;
    for (int first = 0; first < columns; first += 32) {
        int column = first + lane;
        float sum = 0;
        if (column < columns) {
            for (int row = warp; row < rows; row += warps) sum += w[(size_t)row * columns + column] * u[row];
        }
        partial[warp][lane] = sum;
        __syncthreads();  // the 16 sums are there
        if (warp == 0 && column < columns) {
            float total = 0;
            for (int i = 0; i < warps; i++) total += partial[i][lane];
            v[column] = total;
            squares += total * total;
        }
        __syncthreads();  // they are read, the next columns may come
    }
    float length = sqrtf(block_sum(squares) + 1e-24f);
    for (int i = warp * 32 + lane; i < columns; i += 32 * warps) v[i] /= length;
    __syncthreads();  // all of v is of unit length

    // u = W v, a warp for each row.
    squares = 0;
    for (int row = warp; row < rows; row += warps) {
        float sum = 0;
        for (int column = lane; column < columns; column += 32) sum += w[(size_t)row * columns + column] * v[column];
        sum = warp_sum(sum);
        if (lane == 0) {
            u[row] = sum;
            squares += sum * sum;
        }
    }
    length = sqrtf(block_sum(squares) + 1e-24f);  // its barriers also make every u[row] visible to all
    for (int i = warp * 32 + lane; i < rows; i += 32 * warps) u[i] /= length;
}
