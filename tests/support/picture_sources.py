"""Pictures in folders and archives, and what the cache makes of them."""

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image

from minigan.data.cache import Recipe, cached


def encoded(array, kind="JPEG"):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


def noise(n, h, w, seed=0):
    """Blotches, which survive JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, -(-h // 8), -(-w // 8), 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :h, :w]


def as_folder(path, files):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def as_zip(path, files, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def as_tar(path, files, mode="w", prefix=""):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def pixels_of(source, **recipe):
    return cached(source, Recipe(16, **recipe)).images.hold()


def there(directory):
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def finished(directory):
    return [name for name in there(directory) if not name.endswith((".part", ".lock"))]
