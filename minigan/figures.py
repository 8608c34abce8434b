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
HOLD_SECONDS = 1.5  # how long an animation rests on its last frame
RUN_COLOURS = {"full": "#d62828", "vanilla": "#2563c9", "relu": "#e8850c"}  # as on the poster


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


def evenly(items, count):
    """At most `count` of the items, evenly spaced, the first and the last always among them."""
    items = list(items)
    if len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


# Grids -------------------------------------------------------------------------------------------------------------


def image_grid(images, columns=10, gap=2, scale=1):
    """Lay uint8 images (N, H, W) or (N, H, W, 3) out row by row on black: uint8 (H', W') or (H', W', 3).

    `gap` black pixels lie between neighbours; then every pixel, the gaps' too, becomes `scale` × `scale`.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or len(images) == 0:
        raise ValueError(f"image_grid wants uint8 (N, H, W) or (N, H, W, 3), got {images.dtype} {images.shape}")
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


# Animation ---------------------------------------------------------------------------------------------------------


def save_animation(frames, path, seconds=6.0, captions=None):
    """Save frames, uint8 arrays or image files of one size, as a GIF that loops and rests on its last frame.

    At most 60 frames, evenly chosen, are shown in `seconds`; fewer where the file would pass 1.5 MB. A caption stands
    in a strip below each frame; without `captions` it is the step in a file's name (`step-000100.png`: "step 100").
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
    images = [_caption(frame, caption, i / max(last, 1)) for i, (frame, caption) in enumerate(captioned)]
    if len({image.size for image in images}) > 1:
        raise ValueError("the frames of an animation must be of one size")
    milliseconds = [round(1000 * min(0.5, seconds / len(images)))] * last + [round(1000 * HOLD_SECONDS)]
    first, *rest = _share_palette(images)
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return buffer.getvalue()


def step_of(path):
    """The step in the name of a sample grid, `step-000100.png` → 100; None where there is none."""
    match = re.search(r"step-(\d+)", Path(path).name)
    return int(match[1]) if match else None


def _step_caption(frame):
    step = None if isinstance(frame, np.ndarray) else step_of(frame)
    return "" if step is None else f"step {step:,}"


def _caption(frame, caption, progress):
    """The frame over a strip with its caption on the left and a bar that fills as the animation goes on."""
    from PIL import Image, ImageDraw, ImageFont

    if isinstance(frame, np.ndarray):
        image = Image.fromarray(np.ascontiguousarray(frame))
    else:
        with Image.open(frame) as file:
            image = file.convert("L" if file.mode in ("1", "L", "P") else "RGB")
    if not caption:
        return image
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
    """The same images on one palette, without dithering: 16 greys, or 64 colours. Few of them make a small file."""
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


# Curves ------------------------------------------------------------------------------------------------------------

LIGHT = {"paper": "#ffffff", "ink": "#1c1e21", "quiet": "#6b7078", "grid": "#e6e7ea", "D": "#00808a", "G": "#8a3fb5"}
DARK = {"paper": "#1b1d20", "ink": "#e8e9eb", "quiet": "#9a9fa8", "grid": "#33363b", "D": "#3cc4cc", "G": "#c58be8"}

WIDTH, ROW = 16, 4.4  # of the figure and of a row of panels, in inches

TRAIN_PANELS = [  # title, then key, label and colour of each line
    ("Loss", [("loss_d", "discriminator", "D"), ("loss_g", "generator", "G")]),
    ("Output of the discriminator", [("d_real", "real", "ink"), ("d_fake", "generated", "G")]),
    ("Gradient penalty", [("penalty", "", "D")]),
]


def plot_curves(records, path, variant="full"):
    """Draw the records of `read_log` as one PNG: losses, outputs of D and penalty above, the evaluations below.

    `variant` ("full", "vanilla" or "relu") gives the evaluations their colour. What was not logged gets no panel.
    """
    write_bytes(path, curves_png(records, variant))


def curves_png(records, variant="full", dark=False):
    """The picture of `plot_curves` as bytes, on white or on dark paper."""
    from matplotlib.figure import Figure

    look = (DARK if dark else LIGHT) | {"run": RUN_COLOURS.get(variant, RUN_COLOURS["full"])}
    train = [record for record in records if record["kind"] == "train"]
    evals = [record for record in records if record["kind"] == "eval"]
    above = [
        (_draw_train, title, [(*_series(train, key), label, colour) for key, label, colour in lines])
        for title, lines in TRAIN_PANELS
        if any(_series(train, key)[0].size for key, _, _ in lines)
    ]
    below = [
        (draw, title, evals)
        for draw, title, key in [
            (_draw_distance, "digit-FID, lower is better", "digit_fid"),
            (_draw_digits, "Confident samples and classes found", "confident"),
        ]
        if _series(evals, key)[0].size
    ]
    rows = [row for row in (above, below) if row]

    height = ROW * max(len(rows), 1)
    figure = Figure(figsize=(WIDTH, height), dpi=120, facecolor=look["paper"])
    if not rows:
        figure.text(0.5, 0.5, "nothing logged yet", ha="center", va="center", color=look["quiet"], fontsize=20)
    for i, row in enumerate(rows):
        for j, (draw, title, source) in enumerate(row):
            cell = WIDTH / len(row)
            left, bottom = j * cell + 0.85, height - (i + 1) * ROW + 0.85
            inches = left, bottom, cell - 0.85 - 1.5, ROW - 0.85 - 0.7  # room for ticks, title and the lines' labels
            axes = figure.add_axes([inches[0] / WIDTH, inches[1] / height, inches[2] / WIDTH, inches[3] / height])
            _dress(axes, title, look)
            axes.set_xlim(0, max(records[-1]["step"], 1))
            draw(axes, source, look)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=look["paper"])
    return buffer.getvalue()


def _series(records, key):
    """Steps and values of a key, where it was logged and finite."""
    pairs = [(r["step"], r[key]) for r in records if isinstance(r.get(key), (int, float)) and math.isfinite(r[key])]
    steps, values = np.array(pairs, float).reshape(-1, 2).T
    return steps, values


def smooth(values):
    """Moving average over a twenty-fifth of the points, cut off (not padded) at both ends."""
    half = len(values) // 50
    total = np.concatenate([[0.0], np.cumsum(values)])
    centre = np.arange(len(values))
    start, stop = np.maximum(centre - half, 0), np.minimum(centre + half + 1, len(values))
    return (total[stop] - total[start]) / (stop - start)


def _dress(axes, title, look):
    axes.set_title(title, loc="left", color=look["ink"], fontsize=16, fontweight="bold", pad=12)
    axes.set_facecolor(look["paper"])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(look["quiet"])
    axes.grid(axis="y", color=look["grid"], linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=look["quiet"], labelsize=13, length=0, pad=6)
    axes.tick_params(axis="x", length=4)
    axes.locator_params(axis="x", nbins=4, integer=True)
    axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
    axes.set_xlabel("step", color=look["quiet"], fontsize=13)


def _draw_train(axes, lines, look):
    """A smooth line over the faint raw one. The axis follows the bulk: one spike must not flatten the rest."""
    ends, low, high = [], np.inf, -np.inf
    for steps, values, label, colour in lines:
        if not steps.size:
            continue
        line = smooth(values)
        axes.plot(steps, values, color=look[colour], linewidth=0.8, alpha=0.25)
        axes.plot(steps, line, color=look[colour], linewidth=2.6, solid_capstyle="round")
        ends.append((steps[-1], line[-1], label, look[colour]))
        quantiles = np.quantile(values, [0.01, 0.99])
        low, high = min(low, quantiles[0], line[-1]), max(high, quantiles[1], line[-1])
    margin = 0.08 * (high - low) or 0.1
    axes.set_ylim(low - margin, high + margin)
    axes.locator_params(axis="y", nbins=6)
    _label_ends(axes, ends)


def _draw_distance(axes, records, look):
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    steps, values = _series([r for r in records if r.get("digit_fid", 0) > 0], "digit_fid")
    axes.plot(steps, values, color=look["run"], linewidth=2.6, marker="o", markersize=6, clip_on=False, zorder=3)
    ends = [(steps[-1], values[-1], f"{values[-1]:.3g}", look["run"])]
    floor_steps, floors = _series(records, "floor")
    if floors.size:
        axes.axhline(floors[-1], color=look["quiet"], linewidth=1.8, linestyle=(0, (5, 4)))
        ends.append((floor_steps[-1], floors[-1], f"{floors[-1]:.3g}\nreal against real", look["quiet"]))
    shown = np.concatenate([values, floors[-1:][floors[-1:] > 0]])
    axes.set_ylim(shown.min() / 1.5, shown.max() * 1.5)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    _label_ends(axes, ends)


def _draw_digits(axes, records, look):
    """Confident share and share of the classes found, both in per cent."""
    ends = []
    steps, found = _series(records, "classes")
    if found.size:
        of = max([len(r["class_shares"]) for r in records if r.get("class_shares")], default=10)
        axes.step(steps, found / of, where="post", color=look["ink"], linewidth=2)
        ends.append((steps[-1], found[-1] / of, f"{found[-1]:.0f} of {of}\nclasses found", look["ink"]))
    steps, confident = _series(records, "confident")
    axes.plot(steps, confident, color=look["run"], linewidth=2.6, marker="o", markersize=6, clip_on=False, zorder=3)
    ends.append((steps[-1], confident[-1], f"{confident[-1]:.0%}\nconfident", look["run"]))
    axes.set_ylim(-0.03, 1.06)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    _label_ends(axes, ends)


def _label_ends(axes, ends):
    """Write each line's label beside its last point, in its colour; labels that would touch are pushed apart."""
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = sorted((end for end in ends if end[2]), key=lambda end: end[1])
    heights = [to_axes.transform((x, y))[1] for x, y, _, _ in ends]
    if len(ends) == 2:
        lines = max(label.count("\n") for _, _, label, _ in ends) + 1
        apart = max(0, 0.075 * lines + 0.02 - (heights[1] - heights[0])) / 2
        heights = [heights[0] - apart, heights[1] + apart]
    for (_, _, label, colour), height in zip(ends, heights, strict=True):
        axes.text(1.015, height, label, transform=axes.transAxes, color=colour, fontsize=13, va="center", linespacing=1.15)
