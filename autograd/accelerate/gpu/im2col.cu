// Between images and the columns of a convolution, in both directions:
//
//     im2col     columns[(c, i, j), n, r, t] = x[n, c, r s + i d − p, t s + j d − p],   0 where that is outside
//     col2im     y[n, c, h, v] = b[c] + Σ columns[n, (c, i, j), r, t]   over  r s + i d − p = h,  t s + j d − p = v
//
// Images (N, C, H, W), kernel (kh, kw), H′ × W′ windows of each image; stride s, padding p and dilation d have a value for
// the rows and one for the columns. With columns a convolution is one matrix product, and cuBLAS does that: see
// conv.py. Each is the adjoint of the other, so they are also each other's gradient.
//
// autograd/ops/windows.py (unfold and fold) is the same in NumPy.

// Grid (C kh kw · N H′ W′/256), block (256). A thread writes one number. A block stays in one row of the columns, so that
// all its threads have the same c, i and j, and neighbours stand in neighbouring windows: they write neighbours, and at
// stride 1 they read neighbours. The next block takes the same windows of the next row: of the kh kw times that a pixel is
// read, the cache answers all but the first.
extern "C" __global__ void im2col(const float* x, float* columns, int images, int channels, int height, int width,
                                  int kernel_h, int kernel_w, int windows_h, int windows_w, int stride_h, int stride_w,
                                  int padding_h, int padding_w, int dilation_h, int dilation_w) {
    int rows = channels * kernel_h * kernel_w, row = blockIdx.x % rows;
    int of_image = windows_h * windows_w, window = blockIdx.x / rows * blockDim.x + threadIdx.x;
    if (window >= images * of_image) return;
    int j = row % kernel_w, i = row / kernel_w % kernel_h, c = row / kernel_w / kernel_h;
    int t = window % windows_w, r = window / windows_w % windows_h, n = window / of_image;
    int h = r * stride_h + i * dilation_h - padding_h;
    int v = t * stride_w + j * dilation_w - padding_w;
    bool inside = h >= 0 && h < height && v >= 0 && v < width;
    columns[(size_t)row * images * of_image + window] =
        inside ? x[(((size_t)n * channels + c) * height + h) * width + v] : 0;
}

// Grid (N C H W/256), block (256). A thread stands for one pixel and gathers what the windows over it hold. The other
// way round, windows that add to their pixels, would need atomics, and the order of the sum would change from run to run.
// Of the kernel's positions only those count for which a window begins where it must: at stride 2, one in four.
extern "C" __global__ void col2im(const float* columns, const float* bias, float* y, int images, int channels,
                                  int height, int width, int kernel_h, int kernel_w, int windows_h, int windows_w,
                                  int stride_h, int stride_w, int padding_h, int padding_w, int dilation_h,
                                  int dilation_w) {
    int pixel = blockIdx.x * blockDim.x + threadIdx.x;
    if (pixel >= images * channels * height * width) return;
    int v = pixel % width, h = pixel / width % height, plane = pixel / width / height;  // plane: n C + c
    columns += (size_t)plane * kernel_h * kernel_w * windows_h * windows_w;
    float sum = bias ? bias[plane % channels] : 0;
    for (int i = 0; i < kernel_h; i++) {
        int down = h + padding_h - i * dilation_h, r = down / stride_h;
        if (down < 0 || down % stride_h || r >= windows_h) continue;
        for (int j = 0; j < kernel_w; j++) {
            int right = v + padding_w - j * dilation_w, t = right / stride_w;
            if (right < 0 || right % stride_w || t >= windows_w) continue;
            sum += columns[((i * kernel_w + j) * windows_h + r) * windows_w + t];
        }
    }
    y[pixel] = sum;
}
