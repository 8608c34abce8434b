"""Differentiable augmentation (DiffAug: Zhao et al., 2006.10738): the discriminator sees real and fake images through
the same random transformations, and the generator gets its gradient back through them.

A transformation is one small class. `draw` turns uniforms u, v on (0, 1) and `on`, whether an image is transformed at
all, into parameters: arrays (B, 1, 1, 1), one number per image. `apply` is a function of the images x (B, C, H, W) and
of those parameters, and it is affine in x. Nothing here waits for the device.
"""

from collections.abc import Sequence
from typing import Any

from autograd import Tensor, ops
from autograd.arrays import array_module
from autograd.random import WHOLE, Part, RandomStream
from autograd.registry import routine
from minigan.errors import InputError


class Brightness:
    "y = x + b,   b ~ U(−½, ½)"

    def draw(on, u, v, height, width):
        return (on * (u - 0.5),)

    def apply(x, fill, b):
        return x + b


class Saturation:
    "y = s x + (1 − s) x̄,   s ~ U(0, 2),   x̄ = the mean over the channels of each pixel"

    def draw(on, u, v, height, width):
        return (1 + on * (2 * u - 1),)

    def apply(x, fill, s):
        return x * s + x.mean(axis=1, keepdims=True) * (1 - s)


class Contrast:
    "y = c x + (1 − c) x̄,   c ~ U(½, 1½),   x̄ = the mean of each image"

    def draw(on, u, v, height, width):
        return (1 + on * (u - 0.5),)

    def apply(x, fill, c):
        return x * c + x.mean(axis=(1, 2, 3), keepdims=True) * (1 - c)


class Translation:
    "y[i, j] = x[i − a, j − b],   a, b ~ integers up to ⅛ of the side either way;   `fill` comes in at the border"

    def draw(on, u, v, height, width):
        a, b = int(height / 8 + 0.5), int(width / 8 + 0.5)
        return on * (_integers(u, 2 * a + 1) - a), on * (_integers(v, 2 * b + 1) - b)

    def apply(x, fill, a, b):
        i, j, height, width = _pixels(x)
        images = array_module(i).arange(x.shape[0] * x.shape[1]).reshape(x.shape[0], x.shape[1], 1, 1)
        i, j = i - a, j - b
        inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
        source = (images * height + i % height) * width + j % width  # (B, C, H, W), no pixel twice
        y = ops.take(x, source.reshape(-1)).reshape(x.shape)  # flat: many times faster to add back than x[b, c, i, j]
        return ops.where(inside, y, fill)


class Cutout:
    "y = `fill` in a square of half the side with its corner at (a, b), cut off by the border;   x elsewhere"

    def draw(on, u, v, height, width):
        h, w = _half(height), _half(width)
        a, b = _integers(u, height + 1 - h % 2) - h // 2, _integers(v, width + 1 - w % 2) - w // 2
        return a + ~on * (2 * height), b + ~on * (2 * width)  # off: below and right of the image

    def apply(x, fill, a, b):
        i, j, height, width = _pixels(x)
        inside = (i >= a) & (i < a + _half(height)) & (j >= b) & (j < b + _half(width))
        return ops.where(inside, fill, x)


class Flip:
    "y[i, j] = x[i, W − 1 − j] for half of the images"

    def draw(on, u, v, height, width):
        return (on & (u < 0.5),)

    def apply(x, fill, mirrored):
        return ops.where(mirrored, ops.flip(x, axis=3), x)


TRANSFORMS: dict[str, Any] = {
    t.__name__.lower(): t for t in (Brightness, Saturation, Contrast, Translation, Cutout, Flip)
}
GROUPS = {"color": ("brightness", "saturation", "contrast")}  # of DiffAug, for RGB images

Parameters = Any  # a dict, name -> arrays (B, 1, 1, 1); a twin may keep them in its own form


class Augment:
    """The transformations of `policy`, names with commas between, applied in that order; "" is the identity.

    p: how often an image meets a transformation, drawn for each image and each transformation by itself.
    fill: the value of what cutout removes and translation brings in; 0 is mid-grey for images in [−1, 1].
    Raises InputError for names it does not know, names given twice and p outside [0, 1].
    """

    def __init__(self, policy: str = "translation,cutout,brightness,contrast", p: float = 1.0, fill: float = 0.0):
        words = [word.strip() for word in policy.split(",")] if policy.strip() else []
        self.names = [name for word in words for name in GROUPS.get(word, (word,))]
        for name in self.names:
            if name not in TRANSFORMS:
                known = ", ".join([*TRANSFORMS, *GROUPS])
                raise InputError(f"augmentation {name!r} is unknown: use any of {known}, with commas between.")
            if self.names.count(name) > 1:
                raise InputError(f"augmentation {name!r} is asked for twice in {policy!r}: each may stand there once.")
        if not 0 <= p <= 1:
            raise InputError(f"the probability of augmentation must lie between 0 and 1, not at {p}.")
        self.p, self.fill = p, fill

    def draw(self, rng: RandomStream, x_shape: tuple[int, ...], part: Part = WHOLE) -> Parameters:
        """Parameters for a batch (B, C, H, W), on the device of `rng`; InputError for saturation of grey images.

        part: only those of these images of the batch.
        """
        if not self.names:
            return {}
        if "saturation" in self.names and x_shape[1] == 1:
            raise InputError(
                "augmentation 'saturation' (part of 'color') needs colour images, and these have 1 channel."
            )
        return draw_augmentation(rng.xp, rng, self.names, self.p, x_shape, part)

    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        """x (B, C, H, W) through the transformations; the same `parameters` do the same to any batch of that shape."""
        if not self.names:
            return x
        return augment_images(array_module(x.data), x, parameters, self.names, self.fill)


@routine
def draw_augmentation(
    xp: Any, rng: RandomStream, names: Sequence[str], p: float, shape: tuple[int, ...], part: Part
) -> Parameters:
    """Random parameters of each transform by name, for this part of images of `shape` (N, C, H, W); each happens with
    chance p."""
    batch, _, height, width = shape
    uniforms = part.of(rng.uniform(size=(len(names), 3, batch, 1, 1, 1), dtype="float64"), axis=2)
    parameters = {}
    for name, (w, u, v) in zip(names, uniforms, strict=True):
        drawn = TRANSFORMS[name].draw(w < p, u, v, height, width)
        parameters[name] = tuple(a.astype("float32") if a.dtype.kind == "f" else a for a in drawn)
    return parameters


@routine
def augment_images(xp: Any, x: Tensor, parameters: Parameters, names: Sequence[str], fill: float) -> Tensor:
    """Images x (N, C, H, W) after the transforms `names` with their drawn parameters; `fill` is the value outside."""
    for name in names:
        x = TRANSFORMS[name].apply(x, fill, *parameters[name])
    return x


def _integers(u, high):
    """Integers from 0 to high − 1 from uniforms in float64, where u · high never rounds up to high."""
    return (u * high).astype("int64")


def _half(side):
    return int(side / 2 + 0.5)


def _pixels(x):
    """Row numbers (1, 1, H, 1), column numbers (1, 1, 1, W), H and W."""
    height, width = x.shape[2:]
    xp = array_module(x.data)
    return xp.arange(height).reshape(1, 1, height, 1), xp.arange(width).reshape(1, 1, 1, width), height, width
