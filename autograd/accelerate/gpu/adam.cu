// Adam, and the exponential moving average of the weights, over flat arrays: a few launches for all parameters.
//
//     squared_sums     Σ (c g)², in as many parts as there are blocks
//     adam_factors     one warp: the length of c g, and every factor that is the same for all parameters
//     adam_update      m ← β₁ m + (1 − β₁) c g,   v ← β₂ v + (1 − β₂) (c g)²
//                      θ ← θ − c · rate · m / (√v · root + ε),      rate = lr/(1 − β₁ᵗ),  root = 1/√(1 − β₂ᵗ)
//     move_average     θ̄ ← θ̄ + share (θ − θ̄)
//
// rate, root and share change from step to step, so they lie on the device: a captured graph keeps its arguments, but
// reads its arrays anew. The scales c are a null pointer where all of them are 1. nn/optim.py is the same in NumPy.
#include "common.cuh"

// Any grid, block (32, 8): each thread strides over the whole array, then a block adds up its threads.
extern "C" __global__ void squared_sums(const float* g, const float* scales, float* sums, int n) {
    int thread = (blockIdx.x * blockDim.y + threadIdx.y) * 32 + threadIdx.x, threads = gridDim.x * blockDim.y * 32;
    float sum = 0;
    for (int i = thread; i < n; i += threads) {
        float slope = scales ? scales[i] * g[i] : g[i];
        sum += slope * slope;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0 && threadIdx.y == 0) sums[blockIdx.x] = sum;
}

enum Factor { CLIP, KEEP_M, NEW_M, KEEP_V, NEW_V, RATE, ROOT, EPSILON };

// Grid (1), block (32): the warp adds the sums, then its first lane does the rest. The constants come in double
// precision: 1 − 0.999 in float32 is off in the fifth digit. max_norm 0: no clipping.
extern "C" __global__ void adam_factors(const float* sums, int count, const float* numbers, double beta1, double beta2,
                                        double eps, double max_norm, float* norm, float* factors) {
    float squares = 0;
    for (int i = threadIdx.x; i < count; i += 32) squares += sums[i];
    squares = warp_sum(squares);
    if (threadIdx.x > 0) return;

    float length = sqrtf(squares);
    *norm = length;
    factors[CLIP] = max_norm > 0 ? fminf((float)max_norm / (length + 1e-12f), 1.0f) : 1.0f;
    factors[KEEP_M] = beta1;
    factors[NEW_M] = 1 - beta1;
    factors[KEEP_V] = beta2;
    factors[NEW_V] = 1 - beta2;
    factors[RATE] = numbers[0];
    factors[ROOT] = numbers[1];
    factors[EPSILON] = eps;
}

__device__ void update(float& weight, float g, float& m, float& v, float scale, const float* f) {
    g *= f[CLIP] * scale;
    m = f[KEEP_M] * m + f[NEW_M] * g;
    v = f[KEEP_V] * v + f[NEW_V] * (g * g);
    weight -= f[RATE] * scale * m / (sqrtf(v) * f[ROOT] + f[EPSILON]);
}

// Any grid, block (256). Nothing but memory traffic: 28 bytes read and written for each parameter, and 4 for its scale,
// four neighbours at a time, because a float4 is one instruction where four floats are four. The up to three parameters
// that are left over go to the first threads.
extern "C" __global__ void adam_update(float4* weights, const float4* g, float4* m, float4* v, const float4* scales,
                                       const float* factors, int n) {
    int thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
    for (int i = thread; i < n / 4; i += threads) {
        float4 weight = weights[i], gradient = g[i], first = m[i], second = v[i], scale = {1, 1, 1, 1};
        if (scales) scale = scales[i];
        update(weight.x, gradient.x, first.x, second.x, scale.x, factors);
        update(weight.y, gradient.y, first.y, second.y, scale.y, factors);
        update(weight.z, gradient.z, first.z, second.z, scale.z, factors);
        update(weight.w, gradient.w, first.w, second.w, scale.w, factors);
        weights[i] = weight;
        m[i] = first;
        v[i] = second;
    }
    int i = n / 4 * 4 + thread;
    if (i >= n) return;
    float scale = scales ? ((const float*)scales)[i] : 1;
    update(((float*)weights)[i], ((const float*)g)[i], ((float*)m)[i], ((float*)v)[i], scale, factors);
}

// Any grid, block (256): 12 bytes for each parameter.
extern "C" __global__ void move_average(float* average, const float* weights, const float* share, int n) {
    int thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
    float move = *share;
    for (int i = thread; i < n; i += threads) average[i] += move * (weights[i] - average[i]);
}
