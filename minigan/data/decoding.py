"""The pixels of a picture file, whatever its metadata say.

Of the metadata only the orientation is read, apart from the pixels. All other metadata are taken out of PNG and JPEG
files before Pillow sees them, because it refuses good pixels beside a long text or an odd tag.
"""

import re
import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from minigan.errors import InputError
from minigan.files import why

FORMATS = {  # of Pillow: the suffixes of their files. Vector graphics and videos are not pictures here.
    "PNG": ".png .apng",
    "JPEG": ".jpg .jpeg .jpe .jfif",
    "WEBP": ".webp",
    "BMP": ".bmp .dib",
    "TIFF": ".tif .tiff",
    "GIF": ".gif",
    "JPEG2000": ".jp2 .j2k .jpx .jpf .j2c .jpc",
    "PPM": ".ppm .pgm .pbm .pnm",
    "TGA": ".tga",
    "AVIF": ".avif .avifs",
    "QOI": ".qoi",
    "PCX": ".pcx",
    "SGI": ".sgi .rgb .rgba .bw",
    "DDS": ".dds",
    "PSD": ".psd",
}
SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes.split())
FILE_BYTES = 1 << 28  # of a picture file, at most
LARGE = 1 << 24  # pixels: so large pictures are decoded one at a time, because their memory adds up
HINT = "; --skip-unreadable goes on without them"
# Pillow warns of pictures that may be too large for the memory, and refuses those of twice as many pixels. Here the
# large ones that it reads are decoded one at a time, so there is nothing to warn of.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
_one_large = threading.Lock()
_GREY = {"1", "L", "LA"}
_ALIGNED = (178, 218)  # width and height of the aligned CelebA images
_TURNS = {  # orientation in EXIF: how to turn the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def is_grey(source: Path | BinaryIO, name: object) -> bool:
    """Whether a picture is grey, by the head of its file; InputError if it cannot be read."""
    with opened(source, name) as (image, _):
        return image.mode in _GREY


def pixels(
    source: Path | BinaryIO, name: object, mode: str, size: int | None = None, crop: int | None = None
) -> np.ndarray:
    """The pixels of a picture, turned upright: uint8 (H, W) in mode "L", (H, W, 3) in mode "RGB".

    Transparent pixels are laid onto white, because the colour that a file gives them is any and was never seen.
    `size` resizes the central square. `crop` takes the central crop x crop pixels of an aligned CelebA image instead;
    InputError for other images, and for pictures that cannot be read. `name` is for error messages.
    """
    with opened(source, name) as (image, metadata):
        with _one_large if image.width * image.height > LARGE else nullcontext():
            image.load()  # before the orientation: Pillow reads damaged pixels without an error at the second try
            if image.has_transparency_data:
                seen = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
            upright = image.convert(mode)
            if turn := _TURNS.get(_orientation(image, metadata)):
                upright = upright.transpose(turn)
            if crop is not None and upright.size != _ALIGNED:
                raise InputError(
                    f"{name} is {upright.width}x{upright.height}, not an aligned CelebA image of 178x218; "
                    "experiments.images takes pictures of any size"
                )
            return np.asarray(upright if size is None else square(upright, size, crop))


def square(image: Image.Image, size: int, side: int | None = None) -> Image.Image:
    """The central square of an image, by default the largest, resized to size x size pixels (bicubic, antialiased)."""
    side = side or min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    # resize(box=…) would read pixels beyond the box.
    return image.crop(box).resize((size, size), Image.Resampling.BICUBIC)


@contextmanager
def opened(source: Path | BinaryIO, name: object) -> Iterator[tuple[Image.Image, list[bytes]]]:
    """An image whose pixels are not read yet, and the EXIF and XMP beside it. InputError if it is damaged."""
    from io import BytesIO

    try:
        if isinstance(source, Path):
            data = read_file(source)
        else:
            source.seek(0)
            data = source.read()
        plain, metadata = without_metadata(data)
        with Image.open(BytesIO(plain), formats=formats()) as image:
            if image.mode.startswith("I") or image.mode == "F":
                kind = "floating-point" if image.mode == "F" else "16-bit"
                raise InputError(f"{name} has {kind} pixels: convert it to 8 bits")
            yield image, metadata
    except InputError:
        raise
    except UnidentifiedImageError as e:
        raise InputError(f"{name} is not a readable image (it begins as no known format does)") from e
    except Exception as e:  # for damaged files Pillow raises nearly anything
        raise InputError(f"{name} is not a readable image ({why(e)})") from e


@cache
def formats() -> tuple[str, ...]:
    """Those of FORMATS that this build of Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def read_file(path: Path) -> bytes:
    """The bytes of a picture file; ValueError if it is too long to be one."""
    if (size := path.stat().st_size) > FILE_BYTES:
        raise ValueError(f"its {size:,} bytes are too many for a picture")
    return path.read_bytes()


def _orientation(image: Image.Image, metadata: list[bytes]) -> int:
    """The orientation by EXIF, else by XMP; 1 if neither can be read."""
    for exif in (part for part in metadata if not part.lstrip().startswith((b"<", b"XML", b"http"))):
        try:
            found = Image.Exif()
            found.load(exif)
            if type(value := found.get(0x112)) is int:
                return value
        except Exception:  # any, for tags of a wrong type
            continue
    for part in metadata:
        if match := re.search(rb'tiff:Orientation(="|>)([1-8])', part):
            return int(match[2])
    if metadata:
        return 1
    try:
        value = image.getexif().get(0x112)
    except Exception:
        return 1
    return value if type(value) is int else 1


def without_metadata(data: bytes) -> tuple[bytes, list[bytes]]:
    """A PNG or JPEG file without metadata, and its EXIF and XMP; any other file as it is.

    ValueError for a damaged PNG.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
    except (struct.error, IndexError):  # it is cut short: Pillow says so
        pass
    return data, []


def _png(data: bytes) -> tuple[bytes, list[bytes]]:
    """Critical chunks and transparency stay; they are named by a capital letter, and tRNS.

    ValueError if one of them is damaged or cut short: Pillow does not compare the checksum of the pixels.
    """
    kept, metadata, at = [data[:8]], [], 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind[:1].isupper() or kind == b"tRNS":
            if end > len(data) and kind != b"IEND":  # Pillow reads pixels whose checksum is cut off
                raise ValueError(f"it ends within its part {kind.decode('latin-1')}")
            if end <= len(data) and zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
                raise ValueError(f"the checksum of its part {kind.decode('latin-1')} differs")
            kept.append(data[at:end])
        elif kind == b"eXIf" or (kind == b"iTXt" and data.startswith(b"XML:com.adobe.xmp", at + 8)):
            metadata.append(data[at + 8 : end - 4])
        at = end
        if kind == b"IEND":
            break
    return b"".join(kept), metadata


def _jpeg(data: bytes) -> tuple[bytes, list[bytes]]:
    """All segments before the scan but comments and applications' own; JFIF and Adobe say which colours are meant."""
    kept, metadata, at = [data[:2]], [], 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xDA or marker in (0x01, *range(0xD0, 0xDA)):
            break
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        segment = data[at + 4 : end]
        if marker in (0xE0, 0xEE) or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(data[at:end])
        elif marker == 0xE1:
            metadata.append(segment)
        at = end
    return b"".join(kept) + data[at:], metadata


def refuse(bad: dict[str, str], source: Any) -> None:
    """InputError that lists all unreadable pictures together, if there are any: {name: sentence}."""
    if not bad:
        return
    if len(bad) == 1:
        raise InputError(next(iter(bad.values())) + HINT)
    first = [bad[name] for name in sorted(bad)[:20]]  # threads have noted them in any order
    shown = "; ".join(first) + ("; …" if len(bad) > 20 else "")
    raise InputError(f"{len(bad)} pictures of {source} cannot be read: {shown}{HINT}")


def leave_out(bad: dict[str, str], total: int, source: Any) -> None:
    """Say how many of the pictures are left out because they cannot be read; InputError if none is left."""
    if bad and len(bad) == total:
        raise InputError(f"no picture of {source} can be read: {next(iter(bad.values()))}")
    if bad:
        print(f"{len(bad):,} unreadable pictures of {source} are left out", file=sys.stderr)
