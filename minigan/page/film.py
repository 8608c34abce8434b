"""The film of a training: one large picture, a slider over all of them, and a strip of a few."""

from pathlib import Path

from minigan.figures import evenly
from minigan.page.pieces import embed, embeddable

BUDGET = 4_500_000  # bytes that the pictures may take on the page
FEWEST = 40  # pictures a film should have: if fewer fit, they are compressed with loss
STRIP = 8  # pictures below the slider


def film(frames: list[tuple[int, Path]], beside: str = "", order: str = "", budget: int = BUDGET) -> str:
    """The HTML of a film: (step, path) of each picture, in order. As many as `budget` bytes allow are evenly chosen.

    order: how the pictures are laid out, for the caption. `beside` is HTML to stand beside the large picture; it is all
    that is returned if no picture can be read. The page's script moves the slider. Without scripts the page shows the
    last picture and the strip.
    """
    pictures = []
    for step, data in _within([frame for frame in frames if _size(frame[1])], budget):
        try:
            pictures.append((step, embed(data, f"samples at step {step:,}")))
        except Exception:  # for a damaged file Pillow raises nearly anything
            continue
    if not pictures:
        return beside
    last, image = pictures[-1]
    strip = "" if len(pictures) == 1 else _controls(len(pictures), last) + _strip(pictures)
    return (
        f"<div class=film><div class=pair><figure class=shown>{image}<figcaption>Generated from the same noise, "
        f"<span class=now>step {last:,}</span>{order}</figcaption></figure>{beside}</div>{strip}</div>"
    )


def _size(path: Path) -> int:
    """The bytes of a picture file; 0 for something that is none."""
    return path.stat().st_size if path.is_file() else 0


def _controls(count: int, last: int) -> str:
    return (
        "<div class=controls><button type=button class=play aria-label=Play></button>"
        f'<input type=range min=0 max={count - 1} value={count - 1} step=1 aria-label="Training step">'
        f"<output class=now>step {last:,}</output></div>"
    )


def _strip(pictures: list[tuple[int, str]]) -> str:
    """All pictures: a few are seen, the others are hidden until the slider shows them above."""
    seen = {step for step, _ in evenly(pictures, STRIP)}
    figures = "".join(
        f"<figure data-step={step}{'' if step in seen else ' hidden'}>{image}<figcaption>{step:,}</figcaption></figure>"
        for step, image in pictures
    )
    return f"<div class=strip>{figures}</div>"


def _within(frames: list[tuple[int, Path]], budget: int) -> list[tuple[int, bytes]]:
    """As many frames as fit the budget: the files as they are, or compressed with loss where few of them would fit."""
    chosen = _that_fit([(step, path.stat().st_size) for step, path in frames], budget)
    if len(chosen) >= min(FEWEST, len(frames)):
        return [(step, path.read_bytes()) for step, path in frames if step in chosen]
    lossy = {}
    for step, path in evenly(frames, 2 * FEWEST):
        try:
            lossy[step] = embeddable(path, limit=0)
        except Exception:
            continue
    chosen = _that_fit([(step, len(data)) for step, data in lossy.items()], budget)
    return [(step, data) for step, data in lossy.items() if step in chosen]


def _that_fit(sizes: list[tuple[int, int]], budget: int) -> set[int]:
    """The most steps of (step, bytes), evenly chosen, whose sizes in base64 fit the budget; at least the last one."""
    for most in range(len(sizes), 1, -1):
        chosen = evenly(sizes, most)
        if sum(size for _, size in chosen) * 4 / 3 <= budget:
            return {step for step, _ in chosen}
    return {step for step, _ in sizes[-1:]}
