// Many copies in one launch: to[i] ← from[i], sizes[i] floats; where from[i] is a null pointer, zeros.
//
// The gradients of all parameters become one array by it, which a copy for each would make dear: most of them are small.
#include "common.cuh"

// Grid (any, arrays), block (256): the blocks of a row of the grid stride over one array.
extern "C" __global__ void copy_arrays(Arrays to, Arrays from, Ints sizes) {
    float* target = to.at[blockIdx.y];
    const float* source = from.at[blockIdx.y];
    int threads = gridDim.x * blockDim.x;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < sizes.at[blockIdx.y]; i += threads) {
        target[i] = source ? source[i] : 0;
    }
}
