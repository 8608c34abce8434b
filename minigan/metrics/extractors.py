"""Feature extractors: networks that turn images into the vectors that the metrics compare.

    inception   2048 features of the FID InceptionV3             FID          needs exported weights
    digits      64 features of the shipped digit classifier      digit-FID    28 × 28, grey
    random      256 features of a fixed, untrained network       random-FID   any images

Distances compare only within one extractor with one `digest`. Images are uint8, as a file holds them. An extractor that
wants colour repeats a grey image to three equal channels.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autograd import Tensor, no_grad, ops
from autograd.arrays import device_module, to_host
from autograd.random import RandomStream
from minigan.errors import InputError, NumericalError
from minigan.metrics.digits import classify, load_classifier
from minigan.metrics.features import Features
from minigan.metrics.inception import PUBLISHED, TAPS, check_tap, load_inception
from minigan.metrics.resize import SIZE, check_mode, resize
from minigan.ranks import One
from nn import Conv2d, Module

NAMES = ("inception", "digits", "random")


class Extractor:
    """Call it with images uint8 (n, H, W) or (n, H, W, 3), or a list of images of several sizes, to get Features.

    InputError for other images; NumericalError if the features are not finite.
    """

    name: str  # "inception", "digits", "random"
    label: str  # the name of its Fréchet distance: "FID", "digit-FID", "random-FID"
    key: str  # the same name as a JSON key: "fid", "digit_fid", "random_fid"
    dimensions: int  # D
    digest: str  # SHA-256 of everything that decides the features: weights, resize mode, version of the recipe
    describe: dict[str, Any]  # JSON-able: what the features are of
    batch = 250  # images per forward pass
    warnings: tuple[str, ...] = ()  # sentences for whoever reads the figures
    world = One()  # ranks that all call it with the same images: each takes some batches, and gets all features

    def extract(self, images: Any) -> tuple[Any, Any]:
        """The features (n, D) and the class probabilities (n, K) or None of one batch, on any device.

        InputError for images that the network does not take.
        """
        raise NotImplementedError

    def __call__(self, images: np.ndarray | Sequence[np.ndarray]) -> Features:
        check_images(images)
        values, probabilities = [np.zeros((0, self.dimensions), np.float32)], []
        with no_grad(), np.errstate(all="ignore"):
            own = [self.extract(images[block]) for block in self.world.share(len(images), self.batch)]
            for v, p in self.world.merge([(to_host(v), None if p is None else to_host(p)) for v, p in own]):
                values.append(v)
                if p is not None:
                    probabilities.append(p)
        together = np.concatenate(values)
        if not np.isfinite(together).all():
            raise NumericalError(f"{self.name} features of these images are not finite: are the weights damaged?")
        return Features(together, np.concatenate(probabilities) if probabilities else None)


def check_images(images: np.ndarray | Sequence[np.ndarray]) -> None:
    """InputError unless every image is uint8, (H, W) or (H, W, 3)."""
    if isinstance(images, np.ndarray):
        kinds = {(images.dtype, images.shape[1:])}
    else:
        kinds = {(image.dtype, image.shape) for image in images}
    for dtype, shape in kinds:
        grey, rgb = len(shape) == 2, len(shape) == 3 and shape[2] == 3
        if dtype != np.uint8 or not (grey or rgb):
            raise InputError(f"an extractor takes uint8 images (H, W) or (H, W, 3), not {dtype} {shape}")


def label_and_key(name: str, dimensions: int) -> tuple[str, str]:
    """The name of an extractor's Fréchet distance, for people and for JSON; "FID" means all 2048 Inception features."""
    if name != "inception":
        kind = "digit" if name == "digits" else name
        return f"{kind}-FID", f"{kind}_fid"
    return ("FID", "fid") if dimensions == TAPS[-1] else (f"FID-{dimensions}", f"fid_{dimensions}")


class InceptionExtractor(Extractor):
    """The features of the FID InceptionV3 at one tap; at the last tap also its 1008 class probabilities.

    InputError for unknown modes and taps, and for a file that does not hold its weights.
    """

    name, batch = "inception", 64

    def __init__(self, weights: str | Path, mode: str = "tf", device: str = "cpu", tap: int = 2048):
        check_mode(mode)
        check_tap(tap)
        self.network = load_inception(weights, device)
        self.mode, self.dimensions, self.xp = mode, tap, device_module(device)
        self.label, self.key = label_and_key(self.name, tap)
        self.digest = _digest("inception 1", self.network.digest, mode, tap)
        self.describe = {
            "features": self.name,
            "mode": mode,
            "dimensions": tap,
            "weights_sha256": self.network.digest,
            "source_sha256": self.network.source_sha256,
        }
        if not self.network.source_sha256.startswith(PUBLISHED):
            self.warnings = (
                f"these weights are not from pytorch-fid's file …-{PUBLISHED}.pth: do not compare with published FIDs",
            )

    def extract(self, images: Any) -> tuple[Any, Any]:
        x = resized(images, self.mode, SIZE, self.xp)
        if self.dimensions < TAPS[-1]:
            return self.network.features(x, self.dimensions), None
        features, logits = self.network.features_and_logits(x)
        return features, ops.softmax(Tensor(logits)).data


class DigitExtractor(Extractor):
    """The 64 penultimate features and the ten class probabilities of the shipped digit classifier (28 × 28, grey)."""

    name, label, key, dimensions = "digits", "digit-FID", "digit_fid", 64

    def __init__(self, device: str = "cpu"):
        self.classifier: Any = load_classifier()
        weights = hashlib.sha256(b"".join(a.tobytes() for a in self.classifier.state_dict().values())).hexdigest()
        self.classifier.to(device)
        self.digest = _digest("digits 1", weights)
        self.describe = {"features": self.name, "weights_sha256": weights, "dimensions": self.dimensions}

    def extract(self, images: Any) -> tuple[Any, Any]:
        sizes = {image.shape[:2] for image in images}
        if sizes != {(28, 28)}:
            h, w = max(sizes - {(28, 28)})
            raise InputError(f"digit features need 28×28 grey images, not {w}×{h}: take --features random")
        grey = np.stack([image if image.ndim == 2 else image[..., 0] for image in images])
        if any(image.ndim == 3 and np.ptp(image, axis=2).any() for image in images):
            raise InputError("digit features need 28×28 grey images, not colour: take --features random")
        return classify(self.classifier, grey, self.batch)


class RandomNetwork(Module):
    """Three orthogonal convolutions of stride 2 and a random projection, untrained: (N, 3, 64, 64) → (N, 256).

    Naeem et al. (arXiv 2002.09797, section 4) use an untrained VGG16 where no trained network fits the images. The
    projection sees every position separately, as the fully connected layers of VGG16 do.
    """

    SIZE, WIDTHS, OUT, SLOPE, SEED = 64, (32, 64, 128), 256, 0.2, 0

    def __init__(self) -> None:
        rng = RandomStream(self.SEED)
        widths = (3, *self.WIDTHS)
        kernels = (5, 3, 3)
        self.convs = [
            Conv2d(i, o, k, stride=2, padding=k // 2, bias=False, rng=rng)
            for i, o, k in zip(widths[:-1], self.WIDTHS, kernels, strict=True)
        ]
        for conv in self.convs:
            conv.weight.data[...] = orthogonal(rng, conv.weight.shape) * np.sqrt(2)
        length = self.WIDTHS[-1] * (self.SIZE // 8) ** 2
        self.projection = Tensor(rng.normal((self.OUT, length)) / np.float32(np.sqrt(length)))

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = ops.leaky_relu(conv(x), self.SLOPE)
        return ops.linear(x.reshape(len(x), -1), self.projection)


def orthogonal(rng: RandomStream, shape: tuple[int, ...]) -> np.ndarray:
    """A random weight (out, in, …), float32, with rows of length 1; the rows are orthogonal if out ≤ in · ….

    It is the Q of a normal matrix, with the signs that make the diagonal of R positive (Saxe et al., arXiv 1312.6120).
    """
    a = rng.normal((shape[0], int(np.prod(shape[1:]))), "float64")
    wide = a.shape[0] <= a.shape[1]
    q, r = np.linalg.qr(a.T if wide else a)
    q = q * np.sign(np.diag(r))
    rows = q.T if wide else q
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).reshape(shape).astype(np.float32)


class RandomExtractor(Extractor):
    """The 256 features of `RandomNetwork`: they tell sets of images apart, on a scale of their own."""

    name, label, key, dimensions = "random", "random-FID", "random_fid", RandomNetwork.OUT

    def __init__(self, device: str = "cpu"):
        self.network = RandomNetwork().to(device)
        self.xp = device_module(device)
        seed = RandomNetwork.SEED
        self.digest = _digest("random 1", seed)  # of the recipe, as the last digits of a QR differ between machines
        self.describe = {"features": self.name, "features_seed": seed, "dimensions": self.dimensions}

    def extract(self, images: Any) -> tuple[Any, Any]:
        return self.network(Tensor(resized(images, "clean", RandomNetwork.SIZE, self.xp))).data, None


def resized(images: np.ndarray | Sequence[np.ndarray], mode: str, size: int, xp: Any) -> Any:
    """Images of one size or of several → float32 (n, 3, size, size) on the device of xp; see `resize`."""
    if isinstance(images, np.ndarray):
        return resize(xp.asarray(images), mode, size, xp)
    return xp.concatenate([resize(xp.asarray(image[None]), mode, size, xp) for image in images])


def make_extractor(
    name: str, *, weights: str | Path | None = None, mode: str = "tf", device: str = "cpu", tap: int = 2048
) -> Extractor:
    """The extractor with this name.

    For "inception": `weights` is the HDF5 file of experiments.export_inception, `mode` how images are resized, and
    `tap` the layer, named by its number of features. InputError for other names, and for "inception" without weights.
    """
    if name == "inception":
        if weights is None:
            raise InputError("inception features need weights: the HDF5 file of python -m experiments.export_inception")
        return InceptionExtractor(weights, mode, device, tap)
    if name == "digits":
        return DigitExtractor(device)
    if name == "random":
        return RandomExtractor(device)
    raise InputError(f"unknown features {name!r}: use one of {', '.join(NAMES)}")


def _digest(*parts: Any) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()
