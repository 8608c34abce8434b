// The spectral norm of every layer of a network, and its gradient: two launches each, however many layers there are.
//
//     Y = c W,   c = target/σ,   σ = uᵀ W v              ∂L/∂W = c (G − ⟨G, W⟩/σ · u vᵀ)
//
// Both need a sum over a whole matrix before its first result. So the first launch leaves up to 32 partial sums for
// each matrix, and in the second every warp adds them up, a lane for each: all of them get the same bits.
// A bound instead of a norm scales W itself, where σ is larger than `target`: W ← W min(1, target/σ).
// Grids (parts, matrices), blocks (32, 8): a warp takes a row, a lane every 32nd column.
#include "common.cuh"

// σ in parts: Σ u_i W_ij v_j over the rows of a block.
extern "C" __global__ void spectral_sigma(Arrays weights, Arrays us, Arrays vs, Ints rows, Ints columns, float* sums) {
    const float* w = weights.at[blockIdx.y];
    const float* u = us.at[blockIdx.y];
    const float* v = vs.at[blockIdx.y];
    int n = columns.at[blockIdx.y];
    float sum = 0;
    for (int i = blockIdx.x * 8 + threadIdx.y; i < rows.at[blockIdx.y]; i += gridDim.x * 8) {
        float product = 0;
        for (int j = threadIdx.x; j < n; j += 32) product += w[(size_t)i * n + j] * v[j];
        sum += u[i] * product;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0 && threadIdx.y == 0) sums[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// ⟨G, W⟩ in parts.
extern "C" __global__ void spectral_inner(Arrays gs, Arrays weights, Ints sizes, float* sums) {
    const float* g = gs.at[blockIdx.y];
    const float* w = weights.at[blockIdx.y];
    float sum = 0;
    for (int i = (blockIdx.x * 8 + threadIdx.y) * 32 + threadIdx.x; i < sizes.at[blockIdx.y]; i += gridDim.x * 256) {
        sum += g[i] * w[i];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0 && threadIdx.y == 0) sums[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// The sum of the parts of this block's matrix, for every lane.
__device__ float sum_of_parts(const float* sums, int parts) {
    return warp_sum(threadIdx.x < parts ? sums[blockIdx.y * parts + threadIdx.x] : 0);
}

// A null pointer in targets stands for 1.
__device__ float factor(const Arrays& targets, float sigma) {
    return (targets.at[blockIdx.y] ? *targets.at[blockIdx.y] : 1) / sigma;
}

extern "C" __global__ void spectral_scale(Arrays weights, Arrays targets, Ints sizes, const float* sigmas, int parts,
                                          Arrays ys) {
    const float* w = weights.at[blockIdx.y];
    float* y = ys.at[blockIdx.y];
    float c = factor(targets, sum_of_parts(sigmas, parts));
    for (int i = (blockIdx.x * 8 + threadIdx.y) * 32 + threadIdx.x; i < sizes.at[blockIdx.y]; i += gridDim.x * 256) {
        y[i] = c * w[i];
    }
}

extern "C" __global__ void spectral_limit(Arrays weights, Arrays targets, Ints sizes, const float* sigmas, int parts,
                                          float bound) {
    float* w = weights.at[blockIdx.y];
    float c = bound * factor(targets, sum_of_parts(sigmas, parts));
    if (c >= 1) return;
    for (int i = (blockIdx.x * 8 + threadIdx.y) * 32 + threadIdx.x; i < sizes.at[blockIdx.y]; i += gridDim.x * 256) {
        w[i] *= c;
    }
}

extern "C" __global__ void spectral_gradient(Arrays gs, Arrays us, Arrays vs, Arrays targets, Ints rows, Ints columns,
                                             const float* sigmas, const float* inners, int parts, Arrays gws) {
    const float* g = gs.at[blockIdx.y];
    const float* u = us.at[blockIdx.y];
    const float* v = vs.at[blockIdx.y];
    float* gw = gws.at[blockIdx.y];
    int n = columns.at[blockIdx.y];
    float sigma = sum_of_parts(sigmas, parts);
    float c = factor(targets, sigma), share = sum_of_parts(inners, parts) / sigma;
    for (int i = blockIdx.x * 8 + threadIdx.y; i < rows.at[blockIdx.y]; i += gridDim.x * 8) {
        float along = share * u[i];
        for (int j = threadIdx.x; j < n; j += 32) {
            size_t at = (size_t)i * n + j;
            gw[at] = c * (g[at] - along * v[j]);
        }
    }
}
