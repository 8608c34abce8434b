// Adam and the exponential moving average, over flat arrays: three launches for all parameters of a network.
//
//     squared_sums     Σ g², in as many parts as there are blocks
//     adam_factors     one thread: the step counter, and everything in the formulas that is the same for all parameters
//     adam_update      m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
//                      θ ← θ − (lr/(1 − β₁ᵗ)) m / (√v/√(1 − β₂ᵗ) + ε),   θ̄ ← θ̄ + (1 − d)(θ − θ̄)
//
// The step counter and the settings lie on the device: a captured graph has its scalars baked in, but not what it
// reads. nn/optim.py (Adam and EMA) is the same in NumPy.
#include "common.cuh"

// Any grid, block (32, 8): each thread strides over the whole array, then a block adds up its threads.
extern "C" __global__ void squared_sums(const float* g, float* sums, int n) {
    int thread = (blockIdx.x * blockDim.y + threadIdx.y) * 32 + threadIdx.x, threads = gridDim.x * blockDim.y * 32;
    float sum = 0;
    for (int i = thread; i < n; i += threads) sum += g[i] * g[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0 && threadIdx.y == 0) sums[blockIdx.x] = sum;
}

// Where the host writes its settings, double precision: 1 − 0.999 in float32 is off in the fifth digit.
enum Setting { LR, BETA1, BETA2, EPS, MAX_NORM, SHARE };  // SHARE: 1 − d
enum Factor { CLIP, KEEP_M, NEW_M, KEEP_V, NEW_V, RATE, ROOT, EPSILON, MOVE };

// Grid (1), block (32): the warp adds the sums, then its first lane does the rest.
extern "C" __global__ void adam_factors(const float* sums, int count, const double* settings, int* step, float* norm,
                                        float* factors) {
    float squares = 0;
    for (int i = threadIdx.x; i < count; i += 32) squares += sums[i];
    squares = warp_sum(squares);
    if (threadIdx.x > 0) return;
    const double* s = settings;
    int t = *step + 1;
    *step = t;

    float length = sqrtf(squares);
    *norm = length;
    factors[CLIP] = s[MAX_NORM] > 0 ? fminf((float)s[MAX_NORM] / (length + 1e-12f), 1.0f) : 1.0f;

    factors[KEEP_M] = s[BETA1];
    factors[NEW_M] = 1 - s[BETA1];
    factors[KEEP_V] = s[BETA2];
    factors[NEW_V] = 1 - s[BETA2];
    factors[RATE] = s[LR] / (1 - pow(s[BETA1], (double)t));
    factors[ROOT] = 1 / sqrt(1 - pow(s[BETA2], (double)t));
    factors[EPSILON] = s[EPS];
    factors[MOVE] = s[SHARE];
}

__device__ void update(float& weight, float g, float& m, float& v, const float* f) {
    g *= f[CLIP];
    m = f[KEEP_M] * m + f[NEW_M] * g;
    v = f[KEEP_V] * v + f[NEW_V] * (g * g);
    weight -= f[RATE] * m / (sqrtf(v) * f[ROOT] + f[EPSILON]);
}

// Any grid, block (256). Nothing but memory traffic: 28 bytes read and written for each parameter (and 8 for its
// average), four neighbours at a time, because a float4 is one instruction where four floats are four. `average` may be
// null. The up to three parameters that are left over go to the first threads.
extern "C" __global__ void adam_update(float4* weights, const float4* g, float4* m, float4* v, float4* average,
                                       const float* factors, int n) {
    int thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
    float move = factors[MOVE];
    for (int i = thread; i < n / 4; i += threads) {
        float4 weight = weights[i], gradient = g[i], first = m[i], second = v[i];
        update(weight.x, gradient.x, first.x, second.x, factors);
        update(weight.y, gradient.y, first.y, second.y, factors);
        update(weight.z, gradient.z, first.z, second.z, factors);
        update(weight.w, gradient.w, first.w, second.w, factors);
        weights[i] = weight;
        m[i] = first;
        v[i] = second;
        if (average) {
            float4 mean = average[i];
            mean.x += move * (weight.x - mean.x);
            mean.y += move * (weight.y - mean.y);
            mean.z += move * (weight.z - mean.z);
            mean.w += move * (weight.w - mean.w);
            average[i] = mean;
        }
    }
    int i = n / 4 * 4 + thread;
    if (i < n) {
        float &weight = ((float*)weights)[i], *mean = (float*)average;
        update(weight, ((const float*)g)[i], ((float*)m)[i], ((float*)v)[i], factors);
        if (mean) mean[i] += move * (weight - mean[i]);
    }
}
