"""The pictures of a run: grids of images, the animation of a grid over training, and the curves of the log.

Every file is written whole or not at all. matplotlib and Pillow are imported where they are used, so that
`--help` does not wait for them.
"""

import io
import math
import os
import re
from pathlib import Path

import numpy as np

FRAME_COUNTS = (60, 45, 30, 20, 12)  # an animation has the first of these that keeps it below MAX_BYTES
MAX_BYTES = 1_500_000
GRID_WIDTH = 608  # a grid is shown enlarged by a whole factor to at most this many pixels
LOOP_WIDTH = 280  # the frames of `save_loop` likewise
HOLD_SECONDS = 1.5  # how long an animation rests on its last frame


def write_bytes(path, data):
    """Write a file whole or not at all: under a temporary name beside it, then renamed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def enlargement(width):
    """The whole factor by which a grid of this width is shown."""
    return max(1, GRID_WIDTH // width)


def evenly(items, count):
    """At most `count` of the items, evenly spaced, the first and the last always among them."""
    items = list(items)
    if len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def image_grid(images, columns=10, gap=2, scale=1):
    """Lay uint8 images (N, H, W) or (N, H, W, 3) out row by row on black: uint8 (H', W') or (H', W', 3).

    `gap` black pixels lie between neighbours; then every pixel, the gaps' too, becomes `scale` × `scale`.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or len(images) == 0:
        raise ValueError(f"expected uint8 (N, H, W) or (N, H, W, 3), got {images.dtype} {images.shape}")
    count, height, width = images.shape[:3]
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, *images.shape[3:])
    grid = np.zeros(shape, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid.repeat(scale, axis=0).repeat(scale, axis=1)


def save_image(array, path):
    """Save uint8 (H, W) or (H, W, 3) as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(buffer, "PNG", optimize=True)
    write_bytes(path, buffer.getvalue())


def save_animation(frames, path, seconds=6.0, captions=None):
    """Save frames, uint8 arrays or image files of one size, as a GIF that loops and rests on its last frame.

    At most 60 frames, evenly chosen, are shown in `seconds`, none for more than half a second; fewer where
    the file would pass 1.5 MB. Small frames are enlarged by a whole factor. A caption stands in a strip below
    each frame; without `captions` it is the step in a file's name (`step-000100.png`: "step 100").
    """
    frames = list(frames)
    if not frames:
        raise ValueError("an animation needs at least one frame")
    if captions is None:
        captions = [_step_caption(frame) for frame in frames]
    captioned = list(zip(frames, captions, strict=True))
    for count in FRAME_COUNTS:
        data = _gif(evenly(captioned, count), seconds)
        if len(data) <= MAX_BYTES:
            break
    write_bytes(path, data)


def _gif(captioned, seconds):
    last = len(captioned) - 1
    images = [_open(frame) for frame, _ in captioned]
    if len({image.size for image in images}) > 1:
        raise ValueError("the frames of an animation must be of one size")
    if any(caption for _, caption in captioned):
        progress = np.linspace(0, 1, len(images)) if last else [1]
        images = [_caption(*frame) for frame in zip(images, [c for _, c in captioned], progress, strict=True)]
    milliseconds = [round(1000 * min(0.5, seconds / len(images)))] * last + [round(1000 * HOLD_SECONDS)]
    first, *rest = _share_palette(images)
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return buffer.getvalue()


def save_loop(frames, path, frames_per_second=25):
    """Save all frames, uint8 (H, W) or (H, W, 3) of one size, as a GIF that goes on from its last to its first.

    Greys are kept exactly; a colour frame has the 256 colours that suit it best. Small frames are enlarged.
    """
    from PIL import Image

    images = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    images = [image if image.mode == "L" else image.quantize(256, kmeans=1) for image in images]
    factor = max(1, LOOP_WIDTH // images[0].width)
    size = factor * images[0].width, factor * images[0].height
    first, *rest = [image.resize(size, Image.Resampling.NEAREST) for image in images]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=1000 // frames_per_second, loop=0)
    write_bytes(path, buffer.getvalue())


def step_of(path):
    """The step in the name of a sample grid, `step-000100.png` → 100; None where there is none."""
    match = re.search(r"step-(\d+)", Path(path).name)
    return int(match[1]) if match else None


def _step_caption(frame):
    step = None if isinstance(frame, np.ndarray) else step_of(frame)
    return "" if step is None else f"step {step:,}"


def _open(frame):
    """An array or an image file as a Pillow image, grey ("L") or colour ("RGB"), enlarged."""
    from PIL import Image

    if isinstance(frame, np.ndarray):
        image = Image.fromarray(np.ascontiguousarray(frame))
    else:
        with Image.open(frame) as file:
            image = file.convert("L" if file.mode in ("1", "L") else "RGB")
    factor = enlargement(image.width)
    return image.resize((factor * image.width, factor * image.height), Image.Resampling.NEAREST)


def _caption(image, caption, progress):
    """The image over a strip with its caption on the left and a bar that fills as the animation goes on."""
    from PIL import Image, ImageDraw, ImageFont

    grey = (lambda value: value) if image.mode == "L" else (lambda value: (value,) * 3)
    width, height = image.size
    size = min(18, max(10, width // 24))
    framed = Image.new(image.mode, (width, height + 2 * size))
    framed.paste(image)
    draw = ImageDraw.Draw(framed)
    middle = height + size
    draw.text((size // 2, middle), caption, fill=grey(221), font=ImageFont.load_default(size), anchor="lm")
    left, right = width // 2, width - size // 2
    draw.line((left, middle, right, middle), fill=grey(68), width=2)
    draw.line((left, middle, left + round(progress * (right - left)), middle), fill=grey(221), width=2)
    return framed


def _share_palette(images):
    """The same images on one palette of 16 greys or 64 colours, undithered: few colours make a small file."""
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
