// Layer norm, and SLN, the self-modulated layer norm of ViTGAN:
//
//     y = γ x̂ + β,   x̂ = (x − μ) r,   r = 1/√(v + ε),   μ, v = mean and variance of a row
//
// x (rows, D): a row is one token.  γ, β (rows/rows_per_group, D): row i takes γ and β of its group i/rows_per_group.
// One group for everything is layer norm; one group per sample, its tokens, is SLN.
#include "common.cuh"

// One warp a row, four rows in a block (32, 4). Lane l takes the features l, l + 32, l + 64, …, so that the 32 lanes
// read 128 neighbouring bytes at a time, the most that memory hands out at once. The row is read three times, but only
// the first time from far away: afterwards it lies in the cache. The mean comes first and the variance second, because
// E x² − (E x)² would lose the digits of rows whose mean is large.
extern "C" __global__ void layer_norm_forward(const float* x, const float* gamma, const float* beta, float* y,
                                              float* mean, float* rstd, int rows, int features, int rows_per_group,
                                              float eps) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;  // a whole warp leaves or stays, so the shuffles below still see 32 lanes
    int lane = threadIdx.x;
    x += (size_t)row * features;
    y += (size_t)row * features;
    gamma += (size_t)(row / rows_per_group) * features;
    beta += (size_t)(row / rows_per_group) * features;

    float sum = 0;
    for (int i = lane; i < features; i += 32) sum += x[i];
    float mu = warp_sum(sum) / features;

    float squares = 0;
    for (int i = lane; i < features; i += 32) squares += (x[i] - mu) * (x[i] - mu);
    float r = 1 / sqrtf(warp_sum(squares) / features + eps);

    for (int i = lane; i < features; i += 32) y[i] = (x[i] - mu) * r * gamma[i] + beta[i];
    if (lane == 0) {  // two floats a row are all that the backward needs besides x
        mean[row] = mu;
        rstd[row] = r;
    }
}

// ∂L/∂x = r (h − mean h − x̂ mean(h x̂)),   h = g γ.       The same warp a row, block (32, 4).
extern "C" __global__ void layer_norm_backward_x(const float* g, const float* x, const float* gamma, const float* mean,
                                                 const float* rstd, float* gx, int rows, int features,
                                                 int rows_per_group) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    int lane = threadIdx.x;
    g += (size_t)row * features;
    x += (size_t)row * features;
    gx += (size_t)row * features;
    gamma += (size_t)(row / rows_per_group) * features;
    float mu = mean[row], r = rstd[row];

    float sum_h = 0, sum_hx = 0;
    for (int i = lane; i < features; i += 32) {
        float h = g[i] * gamma[i];
        sum_h += h;
        sum_hx += h * (x[i] - mu) * r;
    }
    float mean_h = warp_sum(sum_h) / features, mean_hx = warp_sum(sum_hx) / features;

    for (int i = lane; i < features; i += 32) {
        float normed = (x[i] - mu) * r;
        gx[i] = r * (g[i] * gamma[i] - mean_h - normed * mean_hx);
    }
}

// ∂L/∂γ = Σ g x̂ and ∂L/∂β = Σ g over the rows of a group.     Grid (columns/32 · groups), block (32, 8).
// Now the sum runs down the columns. A block takes 32 columns of one group: its 8 warps walk down the rows, each lane
// in its own column, and at the end the 8 sums of a column meet. No atomics, so every run adds in the same order.
// For SLN the groups are the samples and this is the gradient; for layer norm, column_sums adds up the groups.
// The sums of a group for γ begin at group · stride, those for β `between` further on: layer norm has both side by side,
// so that one call of column_sums does; SLN has all of γ before all of β, so that each gradient is contiguous.
extern "C" __global__ void layer_norm_backward_affine(const float* g, const float* x, const float* mean,
                                                      const float* rstd, float* sums, int between, int stride,
                                                      int rows, int features, int rows_per_group) {
    int across = (features + 31) / 32, column = blockIdx.x % across * 32 + threadIdx.x, group = blockIdx.x / across;
    int first = group * rows_per_group, end = min(rows, first + rows_per_group);
    float sum_gx = 0, sum_g = 0;
    if (column < features) {
        for (int row = first + threadIdx.y; row < end; row += 8) {
            size_t i = (size_t)row * features + column;
            sum_gx += g[i] * (x[i] - mean[row]) * rstd[row];
            sum_g += g[i];
        }
    }
    sum_gx = column_sum(sum_gx);  // outside the `if`: every thread of the block must reach a barrier
    sum_g = column_sum(sum_g);
    if (threadIdx.y == 0 && column < features) {
        sums[(size_t)group * stride + column] = sum_gx;
        sums[(size_t)group * stride + column + between] = sum_g;
    }
}
