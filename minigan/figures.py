"""The pictures of a run: grids of images, and animations.

Pillow is imported where it is used, so that `--help` does not wait for it.
"""

import io
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from minigan.files import write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

GAP = 2  # pixels between the images of a grid
GRID_WIDTH = 608  # pixels: a small grid is enlarged by a whole factor, to at most this width
LOOP_WIDTH = 280  # pixels: likewise the frames of `save_loop`
FRAME_COUNTS = (60, 45, 30, 20, 12)  # an animation has the most of these frames that keep it below MAX_BYTES
MAX_BYTES = 1_500_000
SECONDS = 6.0  # an animation lasts so long, or half a second for each frame if that is shorter
HOLD_SECONDS = 1.5  # and rests so long on its last frame

T = TypeVar("T")


def enlargement(width: int) -> int:
    """The whole factor by which a grid of this width, in pixels, is enlarged."""
    return max(1, GRID_WIDTH // width)


def evenly(items: Iterable[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spaced, with the first and the last."""
    items = list(items)
    if len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def step_of(path: Path) -> int | None:
    """The step in the name of a sample grid, `step-000100.png` → 100; None for other names."""
    match = re.search(r"step-(\d+)", Path(path).name)
    return int(match[1]) if match else None


def image_grid(images: Sequence[np.ndarray] | np.ndarray, columns: int = 10, scale: int = 1) -> np.ndarray:
    """Images, uint8 (N, H, W) or (N, H, W, 3), side by side and row by row on black: uint8 (H', W') or (H', W', 3).

    Neighbours are GAP pixels apart. In the end every pixel becomes a square of `scale` × `scale` pixels. ValueError for
    other arrays.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or len(images) == 0 or images.shape[3:] not in ((), (3,)):
        raise ValueError(f"expected uint8 (N, H, W) or (N, H, W, 3), got {images.dtype} {images.shape}")
    count, height, width = images.shape[:3]
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    shape = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, *images.shape[3:])
    grid = np.zeros(shape, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        grid[top : top + height, left : left + width] = image
    return grid.repeat(scale, axis=0).repeat(scale, axis=1)


def save_image(array: np.ndarray, path: Path) -> None:
    """Save uint8 (H, W) or (H, W, 3) as PNG; InputError if the disk is full."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(buffer, "PNG", optimize=True)
    write_bytes(path, buffer.getvalue())


def save_animation(grids: Sequence[Path], path: Path) -> None:
    """Save sample grids, `step-000100.png` and so on, as a GIF that repeats.

    Files that cannot be read, or are not of the last one's size, are left out. ValueError if none is left.
    It has as many frames, evenly chosen, as MAX_BYTES allow. Below each frame stands its step.
    """
    if not grids:
        raise ValueError("an animation needs at least one frame")
    for count in FRAME_COUNTS:
        data = _gif(evenly(grids, count))
        if len(data) <= MAX_BYTES:
            break
    write_bytes(path, data)


def _gif(grids: Sequence[Path]) -> bytes:
    readable = {path: image for path in grids if (image := _open(path))}
    if not readable:
        raise ValueError("no frame of the animation can be read")
    size = list(readable.values())[-1].size
    grids = [path for path, image in readable.items() if image.size == size]
    images = [readable[path] for path in grids]
    last = len(images) - 1
    images = [
        _caption(image, f"step {step_of(path):,}", i / last if last else 1)
        for i, (image, path) in enumerate(zip(images, grids, strict=True))
    ]
    milliseconds = [round(1000 * min(0.5, SECONDS / len(images)))] * last + [round(1000 * HOLD_SECONDS)]
    first, *rest = _share_palette(images)
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return buffer.getvalue()


def save_loop(frames: Iterable[np.ndarray], path: Path) -> None:
    """Save all frames, uint8 (H, W) or (H, W, 3) of one size, as a GIF in which the first follows the last.

    It shows 25 frames in a second. Greys are kept exactly. A colour frame is reduced to the 256 colours that suit it
    best. Small frames are enlarged.
    """
    from PIL import Image

    images = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    images = [image if image.mode == "L" else image.quantize(256, kmeans=1) for image in images]
    factor = max(1, LOOP_WIDTH // images[0].width)
    size = factor * images[0].width, factor * images[0].height
    first, *rest = [image.resize(size, Image.Resampling.NEAREST) for image in images]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=40, loop=0)
    write_bytes(path, buffer.getvalue())


def _open(path: Path) -> "Image | None":
    """An image file as a Pillow image, grey ("L") or colour ("RGB"), enlarged; None if a kill or a disk damaged it."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = file.convert("L" if file.mode in ("1", "L") else "RGB")
    except Exception:  # for damaged files Pillow raises nearly anything
        return None
    factor = enlargement(image.width)
    return image.resize((factor * image.width, factor * image.height), Image.Resampling.NEAREST)


def _caption(image: "Image", caption: str, progress: float) -> "Image":
    """The image above a strip with its caption on the left and a bar on the right, filled to `progress` (0 to 1)."""
    from PIL import Image, ImageDraw, ImageFont

    width, height = image.size
    size = min(18, max(10, width // 24))
    framed = Image.new(image.mode, (width, height + 2 * size))
    framed.paste(image)
    draw = ImageDraw.Draw(framed)
    light, dark = (221, 68) if image.mode == "L" else ((221,) * 3, (68,) * 3)
    middle = height + size
    draw.text((size // 2, middle), caption, fill=light, font=ImageFont.load_default(size), anchor="lm")
    left, right = width // 2, width - size // 2
    draw.line((left, middle, right, middle), fill=dark, width=2)
    draw.line((left, middle, left + round(progress * (right - left)), middle), fill=light, width=2)
    return framed


def _share_palette(images: "list[Image]") -> "list[Image]":
    """The same images with one palette of 16 greys or 64 colours, without dither: few colours make a small file."""
    from PIL import Image

    if all(image.mode == "L" for image in images):
        nearest = np.round(np.arange(256) / 17).astype(np.uint8)
        indexed = [Image.fromarray(nearest[np.asarray(image)]) for image in images]
        for image in indexed:
            image.putpalette(np.arange(0, 256, 17, dtype=np.uint8).repeat(3).tobytes())
        return indexed
    images = [image.convert("RGB") for image in images]
    sample = np.concatenate([np.asarray(image) for image in evenly(images, 5)])
    palette = Image.fromarray(sample).quantize(64)
    return [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
