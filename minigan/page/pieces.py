"""Small pieces of HTML: sections, pictures with the file inside, data for the script, numbers as people write them."""

import base64
import io
import json
import math
from html import escape
from pathlib import Path

LARGE = 300_000  # bytes of a PNG beyond which a picture is embedded compressed with loss


def section(title, body, kind=""):
    """A titled section; "" for an empty body. The title is plain text, the body HTML."""
    return body and f'<section class="{kind}"><h2>{escape(title)}</h2>{body}</section>'


def figure(path, caption, kind=""):
    """An image file as a <figure> with the file inside; "" where there is none or it cannot be read."""
    try:
        image = image_tag(path, caption)
    except OSError:
        return ""
    return f'<figure class="{kind}">{image}<figcaption>{escape(caption)}</figcaption></figure>'


def image_tag(path, text, data=None):
    """An <img> with the file inside, or with `data`, the bytes to embed in its place; OSError for a broken file."""
    from PIL import Image

    data = data or embeddable(path)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        (width, height), kind = image.size, image.format.lower()
    return f'<img src="{data_uri(data, kind)}" width={width} height={height} alt="{escape(text)}">'


def embeddable(path, limit=LARGE):
    """The bytes of an image file as it is, or where they pass the limit compressed with a little loss."""
    from PIL import Image, features

    data = Path(path).read_bytes()
    if len(data) <= limit:
        return data
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, "WEBP" if features.check("webp") else "JPEG", quality=80, method=2)
    return buffer.getvalue()


def data_uri(data, kind="png"):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def embed_json(value):
    """A data block for the script; no text in it can end the block."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f'<script type="application/json">{text.replace("<", chr(92) + "u003c")}</script>'


# Numbers as text: "" for what is not a finite number --------------------------------------------------------


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def number(value):
    """Three significant digits, and whole numbers whole."""
    if not is_number(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def count(value):
    return f"{value:,.0f}" if is_number(value) else ""


def percent(share):
    return f"{share:.0%}" if is_number(share) else ""


def duration(seconds):
    if not is_number(seconds):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{seconds:.3g} s"
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def plain(value):
    """A value of a configuration as text."""
    if value is None or value == "":
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
