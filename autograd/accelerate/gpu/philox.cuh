// Philox4x32-10 (Salmon et al., SC 2011): four random words as a pure function of a counter and a key.
// autograd/random.py is the same in NumPy, and word for word.
#pragma once

__device__ uint4 philox(uint4 counter, uint2 key) {
    for (int round = 0; round < 10; round++) {
        unsigned int high0 = __umulhi(0xD2511F53u, counter.x), low0 = 0xD2511F53u * counter.x;
        unsigned int high1 = __umulhi(0xCD9E8D57u, counter.z), low1 = 0xCD9E8D57u * counter.z;
        counter = make_uint4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
        key = make_uint2(key.x + 0x9E3779B9u, key.y + 0xBB67AE85u);
    }
    return counter;
}

// Word `index` of those that a generator draws next. state {seed, blocks used} lies on the device: a captured graph
// reads it at each replay, so every replay draws new numbers. `ahead`: blocks that earlier draws of the same step have
// taken.
__device__ unsigned int random_word(const unsigned long long* state, unsigned long long ahead, long long index) {
    unsigned long long block = state[1] + ahead + index / 4;
    uint4 words = philox(make_uint4((unsigned int)block, (unsigned int)(block >> 32), 0, 0),
                         make_uint2((unsigned int)state[0], (unsigned int)(state[0] >> 32)));
    int which = index % 4;
    return which == 0 ? words.x : which == 1 ? words.y : which == 2 ? words.z : words.w;
}

// The midpoint of one of 2²³ equal steps of (0, 1): never an end, and exact in float32.
__device__ float unit_uniform(unsigned int word) { return ((float)(word >> 9) + 0.5f) * 1.1920928955078125e-7f; }
