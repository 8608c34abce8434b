"""Making images larger by an integer factor."""

from autograd.arrays import array_module, with_shape
from autograd.operation import op
from autograd.ops import linalg, shape
from autograd.ops.conv import conv2d
from autograd.ops.numerics import matmul, real
from autograd.ops.windows import check_images, pair, positions
from autograd.registry import public
from autograd.tensor import Tensor


@op
class upsample_nearest:
    "y = x, each element s × s times            ∂L/∂x = Σ g over its s × s copies"

    def forward(xp, x, *, scale_factor):
        check_images(x, "the input of interpolate")
        sh, sw = pair(scale_factor)
        return xp.repeat(xp.repeat(x, sw, axis=3), sh, axis=2)

    def backward(xp, g, shapes, *, scale_factor):
        (n, c, h, w), (sh, sw) = shapes[0], pair(scale_factor)
        g = g.reshape(n, c, h, sh, w, sw)
        first, *others = (g[:, :, :, i, :, j] for i, j in positions((sh, sw)))
        return sum(others, first)


@op
class upsample_bilinear:
    "Y = R X Cᵀ                  ∂L/∂X = Rᵀ G C       rows of R and C: the weights of the two nearest pixel centres"

    def forward(xp, x, *, scale_factor):
        check_images(x, "the input of interpolate")
        sh, sw = pair(scale_factor)
        return between_two(xp, between_two(xp, x, 2, sh), 3, sw)

    def backward(xp, g, shapes, *, scale_factor):
        (_, _, h, w), (sh, sw) = shapes[0], pair(scale_factor)
        return products(xp, g, hat(g, h, sh), hat(g, w, sw))


@public
def interpolate(input, *, scale_factor, mode="nearest"):
    """Images (N, C, H, W) made `scale_factor` (an int or a pair) times as high and wide.

    mode: "nearest" repeats pixels; "bilinear" interpolates between pixel centres (PyTorch's align_corners=False) and
    repeats the border outside them. ValueError for other modes, and for factors below 1.
    """
    modes = {"nearest": upsample_nearest, "bilinear": upsample_bilinear}
    if mode not in modes:
        raise ValueError(f"interpolate: mode {mode!r}, use one of {', '.join(modes)}")
    if min(pair(scale_factor)) < 1:
        raise ValueError(f"interpolate: scale_factor must be at least 1, not {scale_factor!r}")
    return modes[mode](input, scale_factor=scale_factor)


@op
class pixel_shuffle:
    """y[n, c, h r + i, w r + j] = x[n, c r² + i r + j, h, w]       (sub-pixel convolution: Shi et al., 1609.05158)
    ∂L/∂x = pixel_unshuffle(g)       r = upscale_factor"""

    def forward(xp, x, *, upscale_factor):
        r = check_shuffle(x, upscale_factor)
        n, c, h, w = x.shape
        x = x.reshape(n, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3)
        return x.reshape(n, c // r**2, h * r, w * r)

    def backward(xp, g, *, upscale_factor):
        return pixel_unshuffle.inside(xp, g, downscale_factor=upscale_factor)


@op
class pixel_unshuffle:
    """y[n, c r² + i r + j, h, w] = x[n, c, h r + i, w r + j]
    ∂L/∂x = pixel_shuffle(g)         r = downscale_factor"""

    def forward(xp, x, *, downscale_factor):
        r = check_unshuffle(x, downscale_factor)
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // r, r, w // r, r).transpose(0, 1, 3, 5, 2, 4)
        return x.reshape(n, c * r**2, h // r, w // r)

    def backward(xp, g, *, downscale_factor):
        return pixel_shuffle.inside(xp, g, upscale_factor=downscale_factor)


def check_shuffle(x, r):
    """r; ValueError unless x is (N, C r², H, W)."""
    check_images(x, "the input of pixel_shuffle")
    if r < 1 or x.shape[1] % r**2:
        raise ValueError(f"pixel_shuffle by {r} needs a multiple of {r**2} channels, not {x.shape[1]}")
    return r


def check_unshuffle(x, r):
    """r; ValueError unless x is (N, C, H r, W r)."""
    check_images(x, "the input of pixel_unshuffle")
    if r < 1 or x.shape[2] % r or x.shape[3] % r:
        raise ValueError(f"pixel_unshuffle by {r} needs a height and width that it divides, not {x.shape[2:]}")
    return r


@public
def upsample_conv2d(input, weight, bias=None):
    """conv2d(interpolate(input, scale_factor=2), weight, bias, padding=1) with 3 × 3 kernels, at the smaller size.

    Of the two rows that a pixel becomes, the upper one sees row −1 once and row 0 twice, the lower one row 0 twice and
    row 1 once; columns likewise. So each output is a convolution of the input itself, with a kernel of sums, and all
    four together are one convolution with four times the channels, and a pixel shuffle. ValueError for other kernels.
    """
    weight = with_shape(weight)
    out, channels, kh, kw = weight.shape
    if (kh, kw) != (3, 3):
        raise ValueError(f"upsample_conv2d takes 3 × 3 kernels, not {kh} × {kw}")
    array = weight.data if isinstance(weight, Tensor) else weight
    w = linalg.matmul(weight.reshape(out * channels, 9), _kernels_of_sums(array)).reshape(out, channels, 4, 3, 3)
    w = w.swapaxes(1, 2).reshape(4 * out, channels, 3, 3)  # (out, upper or lower, left or right)
    if bias is not None:
        bias = shape.broadcast_to(with_shape(bias).reshape(out, 1), (out, 4)).reshape(4 * out)
    return pixel_shuffle(conv2d(input, w, bias, padding=1), 2)


def _kernels_of_sums(like):
    """What each of the 3 × 3 weights gives to the four kernels of sums, (9, 4 · 9).

    Row a (0 or 1) of the two that a pixel becomes sees, through row i, the pixel ⌊(a + i − 1)/2⌋ rows below.
    """
    xp = array_module(like)
    a, p, i = xp.arange(2).reshape(2, 1, 1), xp.arange(3).reshape(3, 1), xp.arange(3)
    seen = ((a + i + 1) // 2 == p).astype(like.dtype).transpose(2, 0, 1)  # (i, a, p)
    both = seen[:, None, :, None, :, None] * seen[None, :, None, :, None, :]  # (i, j, a, b, p, q)
    return both.reshape(9, 36)


def places(xp, n, scale, dtype):
    """z = (i + ½)/scale − ½ kept within 0 … n − 1: where the centre of pixel i of n · scale lies among the n."""
    return xp.clip((xp.arange(n * scale, dtype=dtype) + 0.5) / scale - 0.5, 0, n - 1)


def between_two(xp, x, axis, scale):
    """R x along one axis, pixel by pixel: as a matrix product it would carry an infinite pixel into all others."""
    x = real(x)
    n = x.shape[axis]
    z = places(xp, n, scale, x.dtype).reshape(-1, *(1,) * (x.ndim - 1 - axis))
    low = xp.floor(z)
    first = low.astype("int64").reshape(-1)
    second = xp.minimum(first + 1, n - 1)
    return xp.take(x, first, axis=axis) * (1 - (z - low)) + xp.take(x, second, axis=axis) * (z - low)


def hat(like, n, scale):
    """M (n · scale, n) with M[i, j] = max(0, 1 − |z − j|) and the `places` z."""
    like = like.data if isinstance(like, Tensor) else like
    xp = array_module(like)
    z = places(xp, n, scale, like.dtype)
    return xp.maximum(0, 1 - xp.abs(z[:, None] - xp.arange(n, dtype=like.dtype)))


def products(xp, x, a, b):
    """Aᵀ X B for every image X, as two large matrix products: first along the rows, then along the columns."""
    n, c, h, w = x.shape
    x = matmul(xp, x.reshape(n * c * h, w), b).reshape(n, c, h, b.shape[1])
    x = xp.swapaxes(x, 2, 3)
    x = matmul(xp, x.reshape(n * c * b.shape[1], h), a).reshape(n, c, b.shape[1], a.shape[1])
    return xp.swapaxes(x, 2, 3)
