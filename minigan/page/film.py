"""A film of a training: one large picture, a slider over all of them, and a strip of a few."""

from html import escape

from minigan.figures import evenly
from minigan.page.pieces import embeddable, image_tag

BUDGET = 4_500_000  # bytes of a film's pictures on the page
FEWEST = 40  # pictures a film should have; where not so many fit, they are compressed with loss
STRIP = 8  # pictures seen at once below the slider


def film(frames, beside="", name="Generated from the same noise", budget=BUDGET):
    """HTML of a film: `frames` are (step, path) in order, as many evenly chosen as the budget has room for.

    `beside` is HTML to stand beside the picture (a `figure` of real images). The page's script drives it; without
    script the last picture and the strip are shown. "" for no frames that can be read.
    """
    pictures = []
    for step, data in _within(list(frames), budget):
        try:
            pictures.append((step, image_tag("", f"samples at step {step:,}", data)))
        except OSError:  # a file cut by a kill
            continue
    if not pictures:
        return beside
    last, image = pictures[-1]
    strip = "" if len(pictures) == 1 else _controls(len(pictures), last) + _strip(pictures)
    return (
        f"<div class=film><div class=pair><figure class=shown>{image}<figcaption>{escape(name)}, "
        f"<span class=now>step {last:,}</span></figcaption></figure>{beside}</div>{strip}</div>"
    )


def _controls(pictures, last):
    return (
        "<div class=controls><button type=button class=play aria-label=Play></button>"
        f'<input type=range min=0 max={pictures - 1} value={pictures - 1} step=1 aria-label="Training step">'
        f"<output class=now>step {last:,}</output></div>"
    )


def _strip(pictures):
    """All the pictures; those that do not belong to the strip wait hidden for the slider."""
    seen = {step for step, _ in evenly(pictures, STRIP)}
    figures = "".join(
        f"<figure data-step={step}{'' if step in seen else ' hidden'}>{image}<figcaption>{step:,}</figcaption></figure>"
        for step, image in pictures
    )
    return f"<div class=strip>{figures}</div>"


def _within(frames, budget):
    """(step, bytes) of as many frames as fit, evenly chosen: the files as they are, or lossy where few would fit."""
    sizes = {step: path.stat().st_size for step, path in frames}
    chosen = _that_fit(frames, sizes, budget)
    if len(chosen) >= min(FEWEST, len(frames)):
        return [(step, path.read_bytes()) for step, path in chosen]
    lossy = {}
    for step, path in evenly(frames, 2 * FEWEST):
        try:
            lossy[step] = embeddable(path, limit=0)
        except OSError:
            continue
    return _that_fit(list(lossy.items()), {step: len(data) for step, data in lossy.items()}, budget)


def _that_fit(frames, sizes, budget):
    """The most frames, evenly chosen, whose sizes in base64 stay within the budget; one at least."""
    for most in range(len(frames), 1, -1):
        chosen = evenly(frames, most)
        if sum(sizes[step] for step, _ in chosen) * 4 / 3 <= budget:
            return chosen
    return frames[-1:]
