"""Resizing and scaling images for the Inception network, in the three conventions in use.

Each resizer is linear and separable, so it is one matrix per axis: y = A_h x A_wᵀ.

    torch   bilinear, pixel centres at half integers, no antialiasing   2 x/255 − 1       pytorch-fid
    tf      bilinear, pixel 0 on pixel 0 (TensorFlow 1)                 (x − 128)/128     TTUR, torch-fidelity, StyleGAN
    clean   bicubic, antialiased (Pillow), clipped to [0, 255]          (x − 128)/128     clean-fid (arXiv 2104.11222)

The choice changes an FID by more than GANs differ. So every FID states its mode, and FIDs of two modes never compare.
"""

import functools
from typing import Any

import numpy as np

from minigan.errors import InputError

SIZE = 299


def torch_matrix(n: int, m: int) -> np.ndarray:
    """F.interpolate(mode="bilinear", align_corners=False), n → m pixels, as a matrix (m, n)."""
    return _bilinear(np.maximum((np.arange(m, dtype=np.float32) + 0.5) * np.float32(n / m) - 0.5, 0), n)


def tf_matrix(n: int, m: int) -> np.ndarray:
    """TensorFlow 1's resize_bilinear, n → m pixels, as a matrix (m, n)."""
    return _bilinear(np.arange(m, dtype=np.float32) * np.float32(n / m), n)


def _bilinear(places: np.ndarray, n: int) -> np.ndarray:
    """A matrix (m, n) whose row i interpolates between the two pixels around places[i] ≥ 0, or takes the last one.

    Both bilinear modes compute the places in float32, as the original programs do: at 1000 pixels the digits differ.
    """
    low = np.minimum(places.astype(int), n - 1)
    high = np.minimum(low + 1, n - 1)
    share = places.astype(np.float64) - low
    rows = np.arange(len(places))
    matrix = np.zeros((len(places), n))
    matrix[rows, low] += 1 - share
    matrix[rows, high] += share
    return matrix


def clean_matrix(n: int, m: int) -> np.ndarray:
    """Pillow's BICUBIC (a = −1/2), n → m pixels, as a matrix (m, n); its kernel widens by n/m where images shrink."""
    stretch = max(n / m, 1.0)
    centres = (np.arange(m)[:, None] + 0.5) * (n / m)
    first, last = np.floor(centres - 2 * stretch + 0.5), np.floor(centres + 2 * stretch + 0.5)
    pixels = np.arange(n)
    x = np.abs(pixels + 0.5 - centres) / stretch
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    matrix = np.where(x < 1, near, np.where(x < 2, far, 0)) * ((pixels >= first) & (pixels < last))
    return matrix / matrix.sum(axis=1, keepdims=True)


MATRICES = {"torch": torch_matrix, "tf": tf_matrix, "clean": clean_matrix}


def check_mode(mode: str) -> None:
    """InputError if this is no way to resize."""
    if mode not in MATRICES:
        raise InputError(f"unknown resize mode {mode!r}: use one of {', '.join(MATRICES)}")


@functools.lru_cache(maxsize=64)
def matrix(mode: str, n: int, m: int) -> np.ndarray:
    """The matrix (m, n) of a mode, float32; InputError for an unknown mode."""
    check_mode(mode)
    return MATRICES[mode](n, m).astype(np.float32)


def resize(images: Any, mode: str, size: int = SIZE, xp: Any = np) -> Any:
    """Images uint8 (n, H, W) or (n, H, W, 3) on the device of xp → float32 (n, 3, size, size), about −1 to 1.

    InputError for an unknown mode.
    """
    x = images.astype(xp.float32)
    x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)  # (n, 1 or 3, H, W)
    down, right = (xp.asarray(matrix(mode, n, size)) for n in x.shape[2:])
    x = xp.matmul(xp.matmul(down, x), right.T)
    if mode == "clean":
        x = x.clip(0, 255)
    x = x * (2 / 255) - 1 if mode == "torch" else (x - 128) / 128
    return xp.ascontiguousarray(xp.broadcast_to(x, (len(x), 3, size, size)))
