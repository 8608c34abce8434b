"""Small pieces of HTML: sections, pictures with the file's bytes inside, and values as text."""

import base64
import io
import json
from html import escape
from pathlib import Path
from typing import Any

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


def plain(value: Any) -> str:
    """A value of a configuration as text."""
    if value is None or value == "":
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
