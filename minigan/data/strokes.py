"""Pen-stroke digits drawn by a program: a substitute for MNIST that needs no download.

This is **not** MNIST: nobody wrote these digits. Each image is a hand-made skeleton of a digit, bent, slanted and inked
at random. The images have the shape, the range and the look of MNIST (28x28, white ink on black, centred in about 20x20
pixels), so that experiments and tests run offline. Numbers measured on them say nothing about MNIST.
"""

from typing import NamedTuple

import numpy as np

from minigan.progress import Progress

SIZE = 28
_CHUNK = 250  # images drawn together from one child seed; always a whole chunk, so that image i does not depend on n
_STEPS = 4  # straight segments per span of a spline

# Each digit has several styles (weight, curves). A curve is a smooth spline through points "x,y", in hundredths of the
# unit square, with y downwards. " / " separates curves; two curves that share a point make a sharp corner there.
_SKELETONS = {
    0: [
        (3, "52,0 24,12 10,48 20,86 48,100 78,84 88,46 76,12 50,0"),
        (1, "70,10 42,4 16,30 14,70 42,98 76,82 86,40 68,6 44,0"),
    ],
    1: [
        (4, "50,0 50,50 50,100"),
        (2, "30,20 54,0 / 54,0 53,50 52,100"),
        (1, "28,20 52,0 / 52,0 51,50 50,100 / 22,100 50,100 80,99"),
    ],
    2: [
        (2, "12,24 26,5 54,0 80,16 74,44 44,73 10,100 / 10,100 50,97 92,98"),
        (2, "14,20 36,2 66,5 76,27 62,58 36,88 14,97 8,86 24,78 52,90 94,98"),
    ],
    3: [
        (3, "14,12 42,0 74,10 72,33 38,46 / 38,46 74,54 84,78 56,98 12,92"),
        (1, "14,3 80,2 / 80,2 40,40 / 40,40 74,50 84,76 54,99 12,92"),
    ],
    4: [
        (3, "20,2 14,30 10,54 / 10,54 50,55 92,50 / 76,0 71,50 66,100"),
        (2, "68,0 38,36 6,68 / 6,68 50,67 94,66 / 68,0 68,50 67,100"),
        (1, "16,4 12,32 28,52 58,48 78,34 / 82,0 78,34 72,66 68,100"),
    ],
    5: [
        (2, "24,3 52,3 86,0 / 24,3 20,24 16,46 / 16,46 48,37 78,52 80,82 48,100 10,92"),
        (1, "88,2 62,6 38,8 / 38,8 28,26 24,42 / 24,42 56,48 72,66 60,92 30,100 8,90"),
    ],
    6: [
        (2, "70,0 38,20 16,54 18,86 46,100 76,88 76,64 50,53 20,70"),
        (1, "34,0 20,34 14,68 28,95 58,100 80,82 68,62 40,60 16,78"),
    ],
    7: [
        (3, "10,6 46,4 86,2 / 86,2 62,42 46,100"),
        (1, "10,5 46,4 86,2 / 86,2 60,48 42,100 / 30,52 60,48 84,48"),
        (1, "10,22 14,4 / 14,4 50,6 86,2 / 86,2 66,46 56,100"),
    ],
    8: [
        (3, "78,12 50,0 24,14 30,36 56,52 74,74 52,100 22,88 28,64 54,46 74,26 76,10"),
        (1, "50,47 24,34 28,8 52,0 76,12 74,36 50,47 / 50,47 20,62 20,88 50,100 80,88 80,62 50,47"),
    ],
    9: [
        (3, "78,14 50,0 20,14 20,40 46,48 72,32 78,14 / 78,14 74,54 64,100"),
        (1, "78,16 54,0 24,12 20,36 46,48 70,34 78,16 / 78,16 80,56 68,88 42,100 18,92"),
    ],
}


class _Glyph(NamedTuple):
    """A skeleton ready to draw; its S segments lead from `start @ points` to `end @ points`, both (S, 2)."""

    weight: float
    points: np.ndarray  # (P, 2) control points; two curves that share a point share its row
    start: np.ndarray  # (S, P)
    end: np.ndarray  # (S, P)


def _catmull_rom(count: int) -> np.ndarray:
    """The matrix ((count-1)·_STEPS + 1, count) from control points to points along their Catmull-Rom spline."""
    eye = np.eye(count)
    padded = np.concatenate([[2 * eye[0] - eye[1]], eye, [2 * eye[-1] - eye[-2]]])
    t = np.arange(_STEPS)[:, None] / _STEPS
    weights = 0.5 * np.concatenate(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], axis=1
    )
    return np.concatenate([weights @ padded[i : i + 4] for i in range(count - 1)] + [eye[-1:]])


def _glyph(weight: float, text: str) -> _Glyph:
    curves = [[tuple(int(v) / 100 for v in point.split(",")) for point in curve.split()] for curve in text.split(" / ")]
    points = list(dict.fromkeys(point for curve in curves for point in curve))
    start, end = [], []
    for curve in curves:
        pick = np.eye(len(points))[[points.index(point) for point in curve]]
        along = _catmull_rom(len(curve)) @ pick
        start.append(along[:-1])
        end.append(along[1:])
    return _Glyph(weight, np.array(points), np.concatenate(start), np.concatenate(end))


_GLYPHS = {digit: [_glyph(*style) for style in styles] for digit, styles in _SKELETONS.items()}


def stroke_digits(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw n pen-stroke digits: images uint8 (n, 28, 28), ink 255 on 0; labels int64 (n,), ten equal classes.

    A seed gives one sequence: `stroke_digits(10, s)` is the beginning of `stroke_digits(60_000, s)`. A progress bar
    appears when drawing takes longer than a second.
    """
    images = np.empty((n, SIZE, SIZE), np.uint8)
    labels = np.empty(n, np.int64)
    starts = range(0, n, _CHUNK)
    bar = Progress(starts, "drawing digits", delay=1, bar_format="{l_bar}{bar}| {remaining} left")
    for chunk, at in enumerate(bar):
        drawn, digits = _draw_chunk(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(chunk,))))
        images[at : at + _CHUNK] = drawn[: n - at]
        labels[at : at + _CHUNK] = digits[: n - at]
    return images, labels


def _draw_chunk(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.permutation(np.arange(_CHUNK) % 10)
    images = np.empty((_CHUNK, SIZE, SIZE), np.uint8)
    for digit, glyphs in _GLYPHS.items():
        weights = np.array([glyph.weight for glyph in glyphs])
        style = np.where(labels == digit, rng.choice(len(glyphs), _CHUNK, p=weights / weights.sum()), -1)
        for i, glyph in enumerate(glyphs):
            chosen = np.flatnonzero(style == i)
            images[chosen] = _ink(*_bend(rng, glyph, len(chosen)))
    return images, labels


def _bend(rng: np.random.Generator, glyph: _Glyph, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a skeleton in n different ways, in pixels: segment starts and ends (n, S, 2), pen radii (n, S)."""
    points = glyph.points + rng.normal(0, 0.022, (n, *glyph.points.shape))
    ends = np.stack([glyph.start @ points, glyph.end @ points], axis=1) - 0.5  # (n, 2, S, 2)

    for _ in range(3):  # smooth waves over the plane bend all strokes
        wave = rng.normal(0, 3.0, (n, 2, 1, 1))
        phase = rng.uniform(0, 2 * np.pi, (n, 1, 1, 1))
        push = rng.normal(0, 0.022, (n, 1, 1, 2))
        ends = ends + push * np.sin(ends[..., :1] * wave[:, :1] + ends[..., 1:] * wave[:, 1:] + phase)

    angle = rng.normal(0, 0.11, n)
    slant = rng.normal(0.12, 0.2, n)
    aspect = np.exp(rng.normal(-0.06, 0.16, n))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    lean = np.stack([np.stack([aspect, -slant], 1), np.stack([0 * slant, 1 + 0 * slant], 1)], 1)
    ends = ends @ np.swapaxes(turn @ lean, 1, 2)[:, None]

    radius = np.clip(rng.normal(1.25, 0.3, n), 0.75, 2.1)
    low, high = ends.min((1, 2)), ends.max((1, 2))
    box = rng.uniform(17.5, 20.5, n)  # pixels, pen included; MNIST fits its digits into 20
    scale = (box - 2 * radius) / (high - low).max(1)
    ends = ends * scale[:, None, None, None]
    low, high = low * scale[:, None], high * scale[:, None]

    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1)[..., None]  # (n, S, 1)
    mass = (ends.mean(1) * length).sum(1) / length.sum(1)  # MNIST centres its digits by mass
    shift = SIZE / 2 - mass + rng.normal(0, 0.4, (n, 2))
    margin = radius[:, None] * 1.25 + 1.5
    shift = np.clip(shift, margin - low, SIZE - margin - high)
    ends = ends + shift[:, None, None]

    middle = ends.mean(1) / SIZE  # the pressure of the pen changes smoothly over the image
    swing = rng.normal(0, 4.0, (n, 1, 2))
    pressure = np.sin((middle * swing).sum(-1) + rng.uniform(0, 2 * np.pi, (n, 1)))
    return ends[:, 0], ends[:, 1], radius[:, None] * (1 + 0.18 * pressure)


def _ink(start: np.ndarray, end: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Paint the segments as anti-aliased capsules: uint8 (n, 28, 28).

    (along, across) are a pixel's coordinates in the axes of a segment of length L, from its middle. The distance of the
    pixel is √(max(|along| − L/2, 0)² + across²). Both coordinates are affine in the pixel's (x, y, 1), so one matrix
    product computes them for all pixels.
    """
    pixel = (np.arange(SIZE, dtype=np.float32) + 0.5).repeat(SIZE).reshape(SIZE, SIZE)
    grid = np.stack([pixel.T, pixel, np.ones_like(pixel)]).reshape(3, SIZE * SIZE)  # (3, 784)

    middle, span = (start + end) / 2, end - start
    length = np.linalg.norm(span, axis=-1)
    unit = span / np.maximum(length, 1e-6)[..., None]
    normal = np.stack([-unit[..., 1], unit[..., 0]], axis=-1)
    axes = np.stack([unit, normal])  # (2, n, S, 2)
    affine = np.concatenate([axes, -(axes * middle).sum(-1, keepdims=True)], axis=-1) / radius[..., None]
    along, across = affine.astype(np.float32) @ grid  # (n, S, 784) each, in units of the pen radius
    np.abs(along, out=along)
    along -= (length / radius / 2).astype(np.float32)[..., None]
    np.maximum(along, 0, out=along)
    along *= along
    across *= across
    along += across
    distance = np.sqrt(along.min(1))  # (n, 784)
    typical = radius.mean(1, keepdims=True).astype(np.float32)
    cover = np.clip((1 - distance) * typical / 1.3 + 0.5, 0, 1)  # an edge 1.3 pixels wide
    return np.rint(255 * cover).astype(np.uint8).reshape(-1, SIZE, SIZE)
