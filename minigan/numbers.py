"""Which values are numbers, and numbers as text: for the log, the pages and the terminal."""

import math
from typing import Any, TypeGuard


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a finite number. True and False do not count as numbers."""
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return whole or (isinstance(value, float) and math.isfinite(value))


def number(value: Any) -> str:
    """Three significant digits, or all digits of a whole number; "" if the value is not a number."""
    if not is_number(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def deviation(value: Any) -> str:
    """A standard deviation with two significant digits, such as " ± 0.59"; "" for 0, which is that of one value."""
    return f" ± {number(float(f'{value:.2g}'))}" if is_number(value) and value > 0 else ""


def count(value: Any) -> str:
    """A number with commas, or "" if the value is not a number."""
    return f"{value:,.0f}" if is_number(value) else ""


def percent(share: Any) -> str:
    """A share from 0 to 1 in per cent, or "" if the value is not a number."""
    return f"{share:.0%}" if is_number(share) else ""


def duration(seconds: Any) -> str:
    """Seconds in words, such as 42 s, 3 min 5 s or 2 h 10 min, or "" if the value is not a number."""
    if not is_number(seconds):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{seconds:.3g} s"
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
