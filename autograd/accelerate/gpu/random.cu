// Random arrays from Philox: what autograd.random.RandomStream draws, drawn on the device.
//
// A thread needs no state but its own index, so any grid gives the same numbers, on any GPU and on the CPU: words,
// integers and uniforms bit for bit, normals up to the last digits of log, sin and cos.
// `state` and `ahead` are explained in philox.cuh. Grid (n/256), block (256).
#include "philox.cuh"

// low + (high − low) u, the product and the sum rounded one after the other as NumPy does.
extern "C" __global__ void random_uniform(const unsigned long long* state, unsigned long long ahead, float* y, int n,
                                          float low, float range) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __fadd_rn(__fmul_rn(unit_uniform(random_word(state, ahead, i)), range), low);
}

// Box and Muller: two normals √(−2 ln a) (cos 2πb, sin 2πb) from two uniforms. a comes from the first half of the
// words, b from the second; the cosines fill the first half of y, the sines the second. One thread a pair.
extern "C" __global__ void random_normal(const unsigned long long* state, unsigned long long ahead, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, half = (n + 1) / 2;
    if (i >= half) return;
    float radius = sqrtf(-2.0f * logf(unit_uniform(random_word(state, ahead, i))));
    float angle = unit_uniform(random_word(state, ahead, (long long)half + i)) * 6.283185307179586f;
    y[i] = radius * cosf(angle);
    if (half + i < n) y[half + i] = radius * sinf(angle);
}

// Integers from 0 to high − 1, high ≤ 2³²: the upper half of word · high.
extern "C" __global__ void random_integers(const unsigned long long* state, unsigned long long ahead, long long* y,
                                           int n, unsigned long long high) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = (long long)((random_word(state, ahead, i) * high) >> 32);
}
