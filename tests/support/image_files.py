"""Images written to files and folders."""

import struct

import h5py
from PIL import Image


def idx(path, images, opener=open):
    """uint8 images (n, H, W) in the format of MNIST."""
    with opener(path, "wb") as file:
        file.write(struct.pack(">HBB3I", 0, 8, 3, *images.shape) + images.tobytes())


def hdf5(path, **arrays):
    """Named arrays as the datasets of an HDF5 file."""
    with h5py.File(path, "w") as f:
        for name, array in arrays.items():
            f[name] = array


def folder(path, images, names=None):
    """A folder of PNG files; `names` may hold subfolders."""
    path.mkdir(parents=True)
    for i, image in enumerate(images):
        name = path / (names[i] if names else f"{i}.png")
        name.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(name)
