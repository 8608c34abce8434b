// Kernels with one mistake each, which the emulator must name: (one block of 64 threads unless the test says otherwise)

extern "C" __global__ void sound(const float* x, float* y, int n) {
    __shared__ float fixed[64];
    extern __shared__ float dynamic[];
    int i = threadIdx.x;
    fixed[i] = x[i];
    dynamic[i] = 1;
    __syncthreads();
    float other = fixed[63 - i] + dynamic[63 - i];
    y[i] = other + __shfl_xor_sync(0xffffffff, other, 16);
}

extern "C" __global__ void reads_beyond(const float* x, float* y, int n) { y[threadIdx.x] = x[threadIdx.x + 1]; }

extern "C" __global__ void writes_before(const float* x, float* y, int n) { y[(int)threadIdx.x - 1] = x[threadIdx.x]; }

extern "C" __global__ void misaligned(const float* x, float* y, int n) {
    *(float*)((char*)y + 2) = x[0];
}

extern "C" __global__ void reads_unwritten(const float* x, float* y, int n) {
    extern __shared__ float shared[];
    y[threadIdx.x] = shared[threadIdx.x];
}

extern "C" __global__ void reads_too_early(const float* x, float* y, int n) {
    __shared__ float shared[64];
    shared[threadIdx.x] = x[threadIdx.x];
    __syncwarp();  // a warp's barrier, where the block's is needed
    y[threadIdx.x] = shared[63 - threadIdx.x];
}

extern "C" __global__ void overwrites_too_early(const float* x, float* y, int n) {
    __shared__ float shared[64];
    shared[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = shared[63 - threadIdx.x];
    shared[threadIdx.x] = 0;
}

extern "C" __global__ void trusts_a_shuffle(const float* x, float* y, int n) {
    __shared__ float shared[64];
    shared[threadIdx.x] = x[threadIdx.x];
    float sum = __shfl_xor_sync(0xffffffff, x[threadIdx.x], 1);
    y[threadIdx.x] = sum + shared[threadIdx.x ^ 1];
}

extern "C" __global__ void blocks_collide(const float* x, float* y, int n) { y[threadIdx.x] += x[threadIdx.x]; }

extern "C" __global__ void barrier_in_a_branch(const float* x, float* y, int n) {
    if (threadIdx.x < 32) __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
}

extern "C" __global__ void two_barriers(const float* x, float* y, int n) {
    if (threadIdx.x % 2) {
        __syncthreads();
    } else {
        __syncthreads();
    }
}

extern "C" __global__ void shuffle_of_some(const float* x, float* y, int n) {
    if (threadIdx.x % 32 == 5) return;
    y[threadIdx.x] = __shfl_xor_sync(0xffffffff, x[threadIdx.x], 1);
}

extern "C" __global__ void shuffle_beside_barrier(const float* x, float* y, int n) {
    if (threadIdx.x % 32 == 5) __syncthreads();
    y[threadIdx.x] = __shfl_xor_sync(0xffffffff, x[threadIdx.x], 1);
}
