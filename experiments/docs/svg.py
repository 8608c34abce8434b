"""Small charts as SVG inside a page: ink is the page's own (currentColor), so they are seen in light and in dark."""

from collections.abc import Sequence
from html import escape

import numpy as np

WIDE, HIGH, LEFT, BOTTOM, TOP = 460, 280, 56, 44, 14
BLUE, RED = "#2f7fd0", "#d4622a"


def lines(
    x: np.ndarray, series: Sequence[tuple[str, str, np.ndarray]], labels: tuple[str, str], log: bool = False
) -> str:
    """Curves over x, each (name, colour, values); what is not finite is a gap. log: both axes in powers of ten."""
    if log:
        x, series = np.log10(x), [(name, colour, np.log10(values)) for name, colour, values in series]
    every = np.concatenate([values[np.isfinite(values)] for _, _, values in series])
    (x0, x1), (y0, y1) = (x.min(), x.max()), (every.min(), every.max())
    y0, y1 = (y0 - 0.5, y1 + 0.5) if y0 == y1 else (y0 - 0.04 * (y1 - y0), y1 + 0.04 * (y1 - y0))

    def across(v: float) -> float:
        return round(LEFT + (WIDE - LEFT - 12) * (v - x0) / (x1 - x0), 1)

    def down(v: float) -> float:
        return round(TOP + (HIGH - TOP - BOTTOM) * (y1 - v) / (y1 - y0), 1)

    parts = []
    for v in _ticks(x0, x1, log):
        parts.append(f'<path d="M{across(v)} {TOP}V{HIGH - BOTTOM}" stroke="currentColor" opacity=".12"/>')
        parts.append(_text(across(v), HIGH - BOTTOM + 16, _number(v, log)))
    for v in _ticks(y0, y1, log):
        parts.append(f'<path d="M{LEFT} {down(v)}H{WIDE - 12}" stroke="currentColor" opacity=".12"/>')
        parts.append(_text(LEFT - 6, down(v) + 4, _number(v, log), "end"))
    for i, (name, colour, values) in enumerate(series):
        path = _path([(across(a), down(b)) if np.isfinite(b) else None for a, b in zip(x, values, strict=True)])
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.2" stroke-linejoin="round"/>')
        parts.append(_text(LEFT + 10 + 34 * i, TOP + 14, name, "start", colour))
    parts.append(_text((LEFT + WIDE) / 2, HIGH - 8, labels[0]))
    parts.append(f'<g transform="translate(13 {HIGH / 2}) rotate(-90)">{_text(0, 0, labels[1])}</g>')
    return _svg(WIDE, HIGH, "".join(parts))


def heat_maps(maps: Sequence[tuple[str, np.ndarray]]) -> str:
    """Matrices side by side with a title each: red positive, blue negative, no colour 0."""
    size, gap, parts = 220, 24, []
    for i, (title, matrix) in enumerate(maps):
        rows, columns = matrix.shape
        most, left = abs(matrix).max() or 1.0, i * (size + gap)
        wide, high = size / columns, size / rows
        parts.append(_text(left + size / 2, 16, title))
        parts.append(f'<rect x="{left}" y="24" width="{size}" height="{size}" fill="none" stroke="currentColor"/>')
        for r, c in zip(*np.nonzero(matrix), strict=True):
            place = f'x="{left + c * wide:.1f}" y="{24 + r * high:.1f}" width="{wide:.2f}" height="{high:.2f}"'
            colour, shade = RED if matrix[r, c] > 0 else BLUE, abs(matrix[r, c]) / most
            parts.append(f'<rect {place} fill="{colour}" opacity="{0.08 + 0.92 * shade:.2f}"/>')
        parts.append(_text(left + size / 2, size + 42, f"{rows} × {columns}"))
    return _svg(len(maps) * (size + gap) - gap, size + 50, "".join(parts))


def _svg(wide: float, high: float, inside: str) -> str:
    return f'<svg viewBox="-1 0 {wide + 2} {high}" style="max-width: {wide}px" role="img">{inside}</svg>'


def _text(x: float, y: float, text: str, anchor: str = "middle", colour: str = "currentColor") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text {where} font-size="12">{escape(text)}</text>'


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """A line through the points, broken where there is none."""
    steps, pen = [], "M"
    for point in points:
        steps += [f"{pen}{point[0]} {point[1]}"] if point else []
        pen = "L" if point else "M"
    return "".join(steps)


def _ticks(low: float, high: float, log: bool) -> list[float]:
    """Up to seven round numbers from low to high; whole powers of ten on a logarithmic axis."""
    step = next(s for e in range(-6, 7) for s in (10.0**e, 2 * 10.0**e, 5 * 10.0**e) if (high - low) / s <= 6)
    step = max(step, 1.0) if log else step
    return [float(k * step) for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def _number(v: float, log: bool) -> str:
    return f"1e{v:.0f}" if log else f"{v:.3g}".replace("-", "−")
