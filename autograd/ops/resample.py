"""Making images larger by an integer factor."""

from autograd.backend import array_module, matmul
from autograd.operation import op
from autograd.ops import linalg
from autograd.ops.conv import conv2d
from autograd.ops.windows import check_images, pair, positions
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
        return products(xp, x, hat(x, x.shape[2], sh).T, hat(x, x.shape[3], sw).T)

    def backward(xp, g, shapes, *, scale_factor):
        (_, _, h, w), (sh, sw) = shapes[0], pair(scale_factor)
        return products(xp, g, hat(g, h, sh), hat(g, w, sw))


def interpolate(input, *, scale_factor, mode="nearest"):
    """Images (N, C, H, W) made `scale_factor` (an int or a pair) times as high and wide.

    mode: "nearest" repeats pixels; "bilinear" interpolates between pixel centres (PyTorch's align_corners=False) and
    repeats the border outside them.
    """
    modes = {"nearest": upsample_nearest, "bilinear": upsample_bilinear}
    if mode not in modes:
        raise ValueError(f"interpolate: mode {mode!r}, use one of {', '.join(modes)}")
    if min(pair(scale_factor)) < 1:
        raise ValueError(f"interpolate: scale_factor must be at least 1, not {scale_factor!r}")
    return modes[mode](input, scale_factor=scale_factor)


def upsample_conv2d(input, weight, bias=None):
    """conv2d(interpolate(input, scale_factor=2), weight, bias, padding=1) with 3 × 3 kernels, at the smaller size.

    Of the two rows that a pixel becomes, the upper one sees row −1 once and row 0 twice, the lower one row 0 twice and
    row 1 once; columns likewise. So each output is a convolution of the input itself, with a kernel of sums, and all
    four together are one convolution with four times the channels (sub-pixel convolution: Shi et al., 1609.05158).
    """
    out, channels, kh, kw = weight.shape
    if (kh, kw) != (3, 3):
        raise ValueError(f"upsample_conv2d takes 3 × 3 kernels, not {kh} × {kw}")
    array = weight.data if isinstance(weight, Tensor) else weight
    w = linalg.matmul(weight.reshape(out * channels, 9), _kernels_of_sums(array)).reshape(out, channels, 4, 3, 3)
    w = w.swapaxes(1, 2).reshape(4 * out, channels, 3, 3)  # (out, upper or lower, left or right)
    y = conv2d(input, w, padding=1)
    n, _, height, width = y.shape
    y = y.reshape(n, out, 2, 2, height, width).transpose(0, 1, 4, 2, 5, 3).reshape(n, out, 2 * height, 2 * width)
    return y if bias is None else y + bias.reshape(out, 1, 1)


def _kernels_of_sums(like):
    """What each of the 3 × 3 weights gives to the four kernels of sums, (9, 4 · 9).

    Row a (0 or 1) of the two that a pixel becomes sees, through row i, the pixel ⌊(a + i − 1)/2⌋ rows below.
    """
    xp = array_module(like)
    a, p, i = xp.arange(2).reshape(2, 1, 1), xp.arange(3).reshape(3, 1), xp.arange(3)
    seen = ((a + i + 1) // 2 == p).astype(like.dtype).transpose(2, 0, 1)  # (i, a, p)
    both = seen[:, None, :, None, :, None] * seen[None, :, None, :, None, :]  # (i, j, a, b, p, q)
    return both.reshape(9, 36)


def hat(like, n, scale):
    """M (n · scale, n) with M[i, j] = max(0, 1 − |z − j|), z = (i + ½)/scale − ½ kept within 0 … n − 1."""
    like = like.data if isinstance(like, Tensor) else like
    xp = array_module(like)
    z = xp.clip((xp.arange(n * scale, dtype=like.dtype) + 0.5) / scale - 0.5, 0, n - 1)
    return xp.maximum(0, 1 - xp.abs(z[:, None] - xp.arange(n, dtype=like.dtype)))


def products(xp, x, a, b):
    """Aᵀ X B for every image X, as two large matrix products: first along the rows, then along the columns."""
    n, c, h, w = x.shape
    x = matmul(xp, x.reshape(n * c * h, w), b).reshape(n, c, h, b.shape[1])
    x = xp.swapaxes(x, 2, 3)
    x = matmul(xp, x.reshape(n * c * b.shape[1], h), a).reshape(n, c, b.shape[1], a.shape[1])
    return xp.swapaxes(x, 2, 3)
