"""Small pieces of HTML: sections, pictures with the file's bytes inside, and numbers as text."""

import base64
import io
import json
import math
from html import escape
from pathlib import Path
from typing import Any, TypeGuard

LARGE = 300_000  # bytes: a larger picture is compressed with a little loss before it is embedded


def section(title: str, body: str, kind: str = "") -> str:
    """A titled section, "" for an empty body. The title is plain text, the body HTML, `kind` a CSS class."""
    return body and f'<section class="{kind}"><h2>{escape(title)}</h2>{body}</section>'


def figure(path: Path, caption: str) -> str:
    """An image file as a <figure>; "" where the file is missing or cannot be read."""
    try:
        image = image_tag(path, caption)
    except Exception:  # for a damaged file Pillow raises nearly anything
        return ""
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def image_tag(path: Path, text: str) -> str:
    """An <img> with the bytes of an image file inside; OSError for a broken file. `text` describes the image."""
    return embed(embeddable(path), text)


def is_readable(path: Path) -> bool:
    """Whether an image file opens and has pixels."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
    except Exception:
        return False
    return True


def embed(data: bytes, text: str) -> str:
    """An <img> with the bytes of an encoded image inside; OSError for broken ones."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        image.load()
        (width, height), kind = image.size, str(image.format).lower()
    return f'<img src="{data_uri(data, kind)}" width={width} height={height} alt="{escape(text)}">'


def embeddable(path: Path, limit: int = LARGE) -> bytes:
    """The bytes of an image file, compressed with a little loss where they are more than `limit`."""
    from PIL import Image, features

    data = Path(path).read_bytes()
    if len(data) <= limit:
        return data
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, "WEBP" if features.check("webp") else "JPEG", quality=80, method=2)
    return buffer.getvalue()


def data_uri(data: bytes, kind: str = "png") -> str:
    """The bytes of an image as a URI that stands in a page itself. kind: png, jpeg, …"""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


# Numbers as text; anything but a finite number gives "" ------------------------------------------------------


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a finite number; True and False are none."""
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return whole or (isinstance(value, float) and math.isfinite(value))


def number(value: Any) -> str:
    """Three significant digits, or all digits of a whole number."""
    if not is_number(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def count(value: Any) -> str:
    """A number with commas, "" for what is no number."""
    return f"{value:,.0f}" if is_number(value) else ""


def percent(share: Any) -> str:
    """A share from 0 to 1 in per cent, "" for what is no number."""
    return f"{share:.0%}" if is_number(share) else ""


def duration(seconds: Any) -> str:
    """Seconds in words, such as 42 s, 3 min 5 s or 2 h 10 min; "" for what is no number."""
    if not is_number(seconds):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{seconds:.3g} s"
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def plain(value: Any) -> str:
    """A value of a configuration as text."""
    if value is None or value == "":
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
