"""Pictures that several test files of the data use, and the cache that is made of them."""

import pytest
from picture_sources import as_folder, encoded, noise

from minigan.data import stored


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Where the cache goes; its blocks hold three images of 16 × 16."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(stored, "BLOCK_BYTES", 3 * 16 * 16 * 3)
    return tmp_path / "home" / "minigan"


@pytest.fixture
def files():
    """Ten pictures in two folders, by name."""
    return {f"{'ab'[i % 2]}/{i}.jpg": encoded(image) for i, image in enumerate(noise(10, 40, 30))}


@pytest.fixture
def aligned(tmp_path, store):
    """A folder like CelebA's, of 20 images; the third is grey."""
    faces = {f"img_align_celeba/{i + 1:06}.jpg": encoded(face) for i, face in enumerate(noise(20, 218, 178))}
    faces["img_align_celeba/000003.jpg"] = encoded(noise(1, 218, 178)[0, ..., 0])
    return as_folder(tmp_path / "celeba", faces)
