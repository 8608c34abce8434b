// DiffAug in one launch: all transformations of a batch of images, and their gradient.
//
// x, y (B, C, H, W), C ≤ 4. `policy` holds the transformations in the order in which they are applied, four bits each,
// the first in the lowest. numbers (steps, 2, B): what the step needs to know about each image:
//
//     1 brightness    b          y = x + b
//     2 saturation    s          y = s x + (1 − s) mean of the pixel
//     3 contrast      c          y = c x + (1 − c) mean of the image
//     4 translation   a, b       y[i, j] = x[i − a, j − b], `fill` at the border
//     5 cutout        a, b       y = `fill` in the square whose corner is (a, b)
//     6 flip          m          y[i, j] = x[i, W − 1 − j] if m
//
// minigan/augment.py is the same in NumPy. There an image is written and read for each step. Here a thread follows one
// pixel: back through the steps that move pixels, to where it comes from, then forward through those that change its
// colour. One block (32, 8) for each image: only contrast makes pixels depend on each other, by a mean over the image,
// and for that the block follows all pixels up to that step once more.
#include "common.cuh"
#include "philox.cuh"

enum Step { END, BRIGHTNESS, SATURATION, CONTRAST, TRANSLATION, CUTOUT, FLIP };

struct Image {
    const float* x;  // (C, H, W)
    const float* numbers;
    int batch, channels, height, width;
    unsigned int policy;
    float fill;

    __device__ int step(int t) const { return policy >> (4 * t) & 15; }
    __device__ float number(int t, int which) const { return numbers[(t * 2 + which) * batch + blockIdx.x]; }
    __device__ bool inside(int i, int j) const { return i >= 0 && i < height && j >= 0 && j < width; }
    __device__ bool cut(int t, int i, int j) const {
        int h = (height + 1) / 2, w = (width + 1) / 2, a = number(t, 0), b = number(t, 1);
        return i >= a && i < a + h && j >= b && j < b + w;
    }
    __device__ int steps() const {
        int n = 0;
        while (n < 8 && step(n)) n++;
        return n;
    }
    __device__ int contrast() const {  // the number of the step, or that of steps where there is none
        int n = 0;
        while (n < 8 && step(n) && step(n) != CONTRAST) n++;
        return n;
    }
};

// c x + (1 − c) mean, over the channels of a pixel. Its own adjoint, because the mean is symmetric.
__device__ void blend_channels(float value[4], int channels, float c) {
    float mean = 0;
    for (int k = 0; k < channels; k++) mean += value[k];
    mean /= channels;
    for (int k = 0; k < channels; k++) value[k] = value[k] * c + mean * (1 - c);
}

// The value of pixel (i, j) after the first `end` steps. image_mean: the mean that the contrast step sees.
__device__ void forward_pixel(const Image& im, int i, int j, int end, float image_mean, float value[4]) {
    int born = end;  // back in time: the step after which the pixel has a colour
    bool filled = false;
    while (born > 0 && !filled) {
        int t = --born;
        if (im.step(t) == TRANSLATION) {
            i -= (int)im.number(t, 0);
            j -= (int)im.number(t, 1);
            filled = !im.inside(i, j);
        } else if (im.step(t) == CUTOUT) {
            filled = im.cut(t, i, j);
        } else if (im.step(t) == FLIP && im.number(t, 0) != 0) {
            j = im.width - 1 - j;
        }
    }
    for (int k = 0; k < im.channels; k++) {
        value[k] = filled ? im.fill : im.x[((size_t)k * im.height + i) * im.width + j];
    }
    for (int t = filled ? born + 1 : 0; t < end; t++) {
        if (im.step(t) == BRIGHTNESS) {
            for (int k = 0; k < im.channels; k++) value[k] += im.number(t, 0);
        } else if (im.step(t) == SATURATION) {
            blend_channels(value, im.channels, im.number(t, 0));
        } else if (im.step(t) == CONTRAST) {
            float c = im.number(t, 0);
            for (int k = 0; k < im.channels; k++) value[k] = value[k] * c + image_mean * (1 - c);
        }
    }
}

// The gradient at pixel (i, j) before step `start`, from the gradient im.x after all steps; the mirror image of the
// above: forward through the steps that move the pixel, to where it ends up, and back through those that change its
// colour.
// image_mean: the mean of the gradient behind the contrast step.
__device__ void backward_pixel(const Image& im, int i, int j, int start, int steps, float image_mean, float value[4]) {
    int died = start;  // the step that lost the pixel
    bool lost = false;
    while (died < steps && !lost) {
        int t = died++;
        if (im.step(t) == TRANSLATION) {
            i += (int)im.number(t, 0);
            j += (int)im.number(t, 1);
            lost = !im.inside(i, j);
        } else if (im.step(t) == CUTOUT) {
            lost = im.cut(t, i, j);
        } else if (im.step(t) == FLIP && im.number(t, 0) != 0) {
            j = im.width - 1 - j;
        }
    }
    for (int k = 0; k < im.channels; k++) value[k] = lost ? 0 : im.x[((size_t)k * im.height + i) * im.width + j];
    for (int t = died - 1; t >= start; t--) {
        if (im.step(t) == SATURATION) {
            blend_channels(value, im.channels, im.number(t, 0));
        } else if (im.step(t) == CONTRAST) {
            float c = im.number(t, 0);
            for (int k = 0; k < im.channels; k++) value[k] = value[k] * c + image_mean * (1 - c);
        }
    }
}

// Grid (B), block (32, 8). `backward`: x is the gradient of the output, y that of the input.
// First round: only for contrast, its mean. Second round: the results.
extern "C" __global__ void augment_images(const float* x, const float* numbers, float* y, int batch, int channels,
                                          int height, int width, unsigned int policy, float fill, int backward) {
    int pixels = height * width, first = threadIdx.y * 32 + threadIdx.x, threads = 32 * blockDim.y;
    size_t start = (size_t)blockIdx.x * channels * pixels;
    Image im = {x + start, numbers, batch, channels, height, width, policy, fill};
    int steps = im.steps(), contrast = im.contrast();
    float value[4], mean = 0;

    for (int round = contrast < steps ? 0 : 1; round < 2; round++) {
        float sum = 0;
        for (int pixel = first; pixel < pixels; pixel += threads) {
            int i = pixel / width, j = pixel % width;
            if (backward) backward_pixel(im, i, j, round == 0 ? contrast + 1 : 0, steps, mean, value);
            else forward_pixel(im, i, j, round == 0 ? contrast : steps, mean, value);
            for (int k = 0; k < channels; k++) {
                if (round == 0) sum += value[k];
                else y[start + (size_t)k * pixels + pixel] = value[k];
            }
        }
        if (round == 0) mean = block_sum(sum) / (channels * pixels);
    }
}

// An integer from 0 to high − 1; in double precision u · high never rounds up to high.
__device__ int integer_below(double u, int high) { return (int)(u * high); }

// The numbers of each image, from the words that Generator.uniform(size=(steps, 3, B)) would take: whether the step is
// on, with probability p, and two uniforms u and v. Grid (B/256), block (256): a thread for each image.
extern "C" __global__ void augment_draw(const unsigned long long* state, unsigned long long ahead, float* numbers,
                                        int batch, int height, int width, unsigned int policy, double p) {
    int image = blockIdx.x * blockDim.x + threadIdx.x;
    if (image >= batch) return;
    for (int t = 0; t < 8 && (policy >> (4 * t) & 15); t++) {
        double uniform[3];
        for (int k = 0; k < 3; k++) {
            uniform[k] = unit_uniform(random_word(state, ahead, (long long)(t * 3 + k) * batch + image));
        }
        bool on = uniform[0] < p;
        double u = uniform[1], v = uniform[2], a = 0, b = 0;
        int step = policy >> (4 * t) & 15;
        if (step == BRIGHTNESS) {
            a = on ? u - 0.5 : 0;
        } else if (step == SATURATION) {
            a = on ? 2 * u : 1;
        } else if (step == CONTRAST) {
            a = on ? u + 0.5 : 1;
        } else if (step == TRANSLATION) {
            int i = (height + 4) / 8, j = (width + 4) / 8;  // an eighth, rounded
            a = on ? integer_below(u, 2 * i + 1) - i : 0;
            b = on ? integer_below(v, 2 * j + 1) - j : 0;
        } else if (step == CUTOUT) {
            int h = (height + 1) / 2, w = (width + 1) / 2;  // half, rounded up
            a = on ? integer_below(u, height + 1 - h % 2) - h / 2 : height;  // off: below the image
            b = on ? integer_below(v, width + 1 - w % 2) - w / 2 : width;
        } else if (step == FLIP) {
            a = on && u < 0.5;
        }
        numbers[(t * 2 + 0) * batch + image] = a;
        numbers[(t * 2 + 1) * batch + image] = b;
    }
}
