"""Pictures for the Inception network, and the resizers that its modes are named after."""

import numpy as np
from PIL import Image

MODES = ("torch", "tf", "clean")


def pictures(shape, n=1, seed=0):
    """Blobs and edges with noise, uint8 (n, *shape): smooth pictures hide how they were resized, noise all else."""
    rng = np.random.default_rng([seed, *shape])
    coarse = rng.uniform(0, 255, (n, 5, 6, *shape[2:]))
    fine = np.repeat(np.repeat(coarse, -(-shape[0] // 5), axis=1), -(-shape[1] // 6), axis=2)
    fine = fine[:, : shape[0], : shape[1]] + rng.normal(0, 20, (n, *shape))
    return fine.clip(0, 255).astype(np.uint8)


def tensorflow_resize(image, m):
    """TensorFlow 1's resize_bilinear of (H, W), as its kernel does it: float32, corner by corner."""
    image = image.astype(np.float32)

    def places(n):
        scale = np.float32(n) / np.float32(m)
        found = []
        for i in range(m):
            at = np.float32(i) * scale
            low = int(at)
            found.append((low, min(low + 1, n - 1), at - np.float32(low)))
        return found

    y = np.empty((m, m), np.float32)
    columns = places(image.shape[1])
    left, right, t = (np.array(c) for c in zip(*columns, strict=True))
    for r, (low, high, s) in enumerate(places(image.shape[0])):
        top = image[low, left] + (image[low, right] - image[low, left]) * t
        bottom = image[high, left] + (image[high, right] - image[high, left]) * t
        y[r] = top + (bottom - top) * s
    return y


def pillow_resize(image, m):
    return np.asarray(Image.fromarray(image.astype(np.float32)).resize((m, m), Image.Resampling.BICUBIC))


def torch_resize(torch, image, m):
    x = torch.tensor(image)[None, None].float()
    return torch.nn.functional.interpolate(x, (m, m), mode="bilinear", align_corners=False)[0, 0].numpy()


def resize_otherwise(torch, images, mode, m=299):
    """What `resize` should give, by the resizers that the modes are named after, and each with its scale."""
    by_mode = {
        "torch": lambda image: torch_resize(torch, image, m) / 255 * 2 - 1,
        "tf": lambda image: (tensorflow_resize(image, m) - 128) / 128,
        "clean": lambda image: (np.clip(pillow_resize(image, m), 0, 255) - 128) / 128,
    }
    images = images[..., None] if images.ndim == 3 else images
    planes = [[by_mode[mode](image[..., c]) for c in (0, 1, 2)[: image.shape[2]]] for image in images]
    return np.broadcast_to(np.array(planes, np.float32), (len(images), 3, m, m))
