"""The InceptionV3 of FID: Szegedy et al. (arXiv 1512.00567) as in TensorFlow's graph of 2015-12-05.

Its weights do not ship: `experiments.export_inception` writes the file that `load_inception` reads.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autograd import Tensor, no_grad, ops
from autograd.arrays import array_module, device_module, keep_freed_memory, to_device
from minigan.errors import InputError
from minigan.hdf5 import array_names, read_array, reading_hdf5, text, writing_hdf5
from minigan.metrics.resize import SIZE

ARCHITECTURE = "fid-inception-v3-2015-12-05"
PUBLISHED = "6726825d"  # first digits of the SHA-256 of pytorch-fid's weight file, which published FIDs use
CLASSES = 1008
TAPS = (64, 192, 768, 2048)  # lengths of the feature vectors, from the first layers to the last
BN_EPS = 1e-3
CHUNK, CPU_CHUNK = 64, 16  # images per forward pass; few on a CPU, to save memory
FORMAT = "minigan inception"
VERSION = 1


@dataclass(frozen=True)
class Conv:
    """conv2d without bias → batch norm by running statistics → ReLU."""

    name: str
    out: int
    kernel: tuple[int, int]
    stride: int
    padding: tuple[int, int]


@dataclass(frozen=True)
class Pool:
    """Pooling over 3 × 3 pixels. The average leaves out the zeros of the padding, as the 2015 graph does."""

    kind: str  # "max" or "average"
    stride: int = 1
    padding: int = 1


@dataclass(frozen=True)
class Tap:
    """A place where the mean over the image is a feature vector."""

    length: int


HALVE = Pool("max", stride=2, padding=0)
AVERAGE = Pool("average")

# Blocks. All branches of a block read the same input; their outputs are concatenated along the channels, in this order.
# A branch is a list of convolutions: 64 means 64 channels of 1×1, (96, 3) means 96 channels of 3×3, (384, 3, 2) has
# stride 2, and a dict is two convolutions side by side. Stride 1 keeps the image size; stride 2 uses no padding.


def block_a(pooled: int) -> dict[str, list]:
    """The branches at 35 × 35 (Mixed_5b to 5d); `pooled` channels follow the pooling."""
    return {
        "branch1x1": [64],
        "branch5x5": [48, (64, 5)],
        "branch3x3dbl": [64, (96, 3), (96, 3)],
        "branch_pool": [AVERAGE, pooled],
    }


def block_b() -> dict[str, list]:
    """The branches that halve 35 × 35 to 17 × 17 (Mixed_6a)."""
    return {
        "branch3x3": [(384, 3, 2)],
        "branch3x3dbl": [64, (96, 3), (96, 3, 2)],
        "pool": [HALVE],
    }


def block_c(c: int) -> dict[str, list]:
    """The branches at 17 × 17 with 7 × 7 split in two (Mixed_6b to 6e); c channels inside."""
    return {
        "branch1x1": [192],
        "branch7x7": [c, (c, (1, 7)), (192, (7, 1))],
        "branch7x7dbl": [c, (c, (7, 1)), (c, (1, 7)), (c, (7, 1)), (192, (1, 7))],
        "branch_pool": [AVERAGE, 192],
    }


def block_d() -> dict[str, list]:
    """The branches that halve 17 × 17 to 8 × 8 (Mixed_7a)."""
    return {
        "branch3x3": [192, (320, 3, 2)],
        "branch7x7x3": [192, (192, (1, 7)), (192, (7, 1)), (192, 3, 2)],
        "pool": [HALVE],
    }


def block_e(pool: Pool) -> dict[str, list]:
    """The branches at 8 × 8 (Mixed_7b and 7c); `pool` is the kind of their pooling."""
    return {
        "branch1x1": [320],
        "branch3x3": [384, {"a": (384, (1, 3)), "b": (384, (3, 1))}],
        "branch3x3dbl": [448, (384, 3), {"a": (384, (1, 3)), "b": (384, (3, 1))}],
        "branch_pool": [pool, 192],
    }


def network() -> list:
    """All layers in order, with the names of their weights; a tuple holds branches side by side."""
    return [  # input (3, 299, 299)
        conv("Conv2d_1a_3x3", 32, 3, 2),  # (32, 149, 149)
        conv("Conv2d_2a_3x3", 32, 3, padding=0),  # (32, 147, 147)
        conv("Conv2d_2b_3x3", 64, 3),  # (64, 147, 147)
        HALVE,
        Tap(64),  # (64, 73, 73)
        conv("Conv2d_3b_1x1", 80),  # (80, 73, 73)
        conv("Conv2d_4a_3x3", 192, 3, padding=0),  # (192, 71, 71)
        HALVE,
        Tap(192),  # (192, 35, 35)
        block("Mixed_5b", block_a(32)),  # (256, 35, 35)
        block("Mixed_5c", block_a(64)),  # (288, 35, 35)
        block("Mixed_5d", block_a(64)),  # (288, 35, 35)
        block("Mixed_6a", block_b()),  # (768, 17, 17)
        block("Mixed_6b", block_c(128)),
        block("Mixed_6c", block_c(160)),
        block("Mixed_6d", block_c(160)),
        block("Mixed_6e", block_c(192)),
        Tap(768),  # (768, 17, 17)
        block("Mixed_7a", block_d()),  # (1280, 8, 8)
        block("Mixed_7b", block_e(AVERAGE)),  # (2048, 8, 8)
        block("Mixed_7c", block_e(Pool("max"))),  # (2048, 8, 8); the maximum is a quirk of the 2015 graph
        Tap(2048),
    ]


def conv(name: str, out: int, kernel: int | tuple[int, int] = 1, stride: int = 1, padding: int | None = None) -> Conv:
    """A convolution to `out` channels. With stride 1 the default padding keeps the size, else there is none."""
    kh, kw = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    same = (kh // 2, kw // 2) if stride == 1 else (0, 0)
    return Conv(name, out, (kh, kw), stride, same if padding is None else (padding, padding))


def block(name: str, branches: dict[str, list]) -> tuple[list, ...]:
    """The branches of a block, each with the names that the weights have."""
    return tuple(branch(f"{name}.{key}", steps) for key, steps in branches.items())


def branch(name: str, steps: list) -> list:
    """The layers of a branch, its pool first. Convolutions are numbered from 1; a single one has the branch's name."""
    pools = [s for s in steps if isinstance(s, Pool)]
    convs = [s for s in steps if not isinstance(s, Pool)]
    names = [f"{name}_{i + 1}" for i in range(len(convs))] if len(convs) > 1 else [name]
    layers: list = []
    for label, step in zip(names, convs, strict=False):
        if isinstance(step, dict):
            layers.append(tuple([conv(label + letter, *c)] for letter, c in step.items()))
        else:
            layers.append(conv(label, *(step if isinstance(step, tuple) else (step,))))
    return pools + layers


def shapes() -> dict[str, tuple[int, ...]]:
    """The shapes of the 472 tensors, by their names in a PyTorch state dict."""
    expected: dict[str, tuple[int, ...]] = {}

    def visit(layers: list, channels: int) -> int:
        """Note the tensors of the layers; return the number of channels that leave them."""
        for layer in layers:
            if isinstance(layer, tuple):
                channels = sum([visit(inner, channels) for inner in layer])
            elif isinstance(layer, Conv):
                expected[f"{layer.name}.conv.weight"] = (layer.out, channels, *layer.kernel)
                for part in ("weight", "bias", "running_mean", "running_var"):
                    expected[f"{layer.name}.bn.{part}"] = (layer.out,)
                channels = layer.out
        return channels

    channels = visit(network(), 3)
    expected["fc.weight"] = (CLASSES, channels)
    expected["fc.bias"] = (CLASSES,)
    return expected


class Inception:
    """The network with the tensors of `shapes()`, on a device; batch norm is folded into the weights.

    digest: SHA-256 of architecture, ε and tensors; it changes whenever the features do.
    source_sha256: of the file that the weights were exported from, or "".
    InputError for other tensors.
    """

    source_sha256 = ""

    def __init__(self, tensors: dict[str, np.ndarray], device: str = "cpu"):
        check_tensors(tensors)
        if device == "cpu":
            keep_freed_memory()
        self.device = device
        self.layers = network()
        self.folded = {
            name: tuple(to_device(a, device) for a in fold(tensors, name, BN_EPS))
            for name in (key.removesuffix(".conv.weight") for key in tensors if key.endswith(".conv.weight"))
        }
        self.fc = to_device(tensors["fc.weight"], device)
        self.digest = digest(tensors)

    def features(self, x: Any, tap: int = 2048) -> Any:
        """Images float32 (n, 3, 299, 299), scaled by `resize` → features (n, tap) ≥ 0, on the network's device.

        tap: 64, 192, 768 or 2048; the layers after it are not run. InputError for others, and for images of other
        sizes.
        """
        check_tap(tap)
        if x.shape[1:] != (3, SIZE, SIZE):
            raise InputError(f"the Inception network takes images (n, 3, {SIZE}, {SIZE}), not {tuple(x.shape)}")
        n, chunk = len(x), CPU_CHUNK if self.device == "cpu" else CHUNK
        with no_grad():
            parts = [self._forward(Tensor(x[i : i + chunk]), tap).data for i in range(0, n, chunk)]
        xp = device_module(self.device)
        return xp.concatenate(parts) if parts else xp.zeros((0, tap), dtype=xp.float32)

    def features_and_logits(self, x: Any) -> tuple[Any, Any]:
        """The features (n, 2048) of images float32 (n, 3, 299, 299), and from the same pass the logits (n, 1008).

        The logits are for the Inception score. They leave out the bias, like the graph's node softmax/logits/MatMul.
        """
        features = self.features(x)
        return features, features @ self.fc.T

    def _forward(self, x: Tensor, tap: int) -> Tensor:
        for layer in self.layers:
            if isinstance(layer, Tap):
                if layer.length == tap:
                    return x.mean(axis=(2, 3))
            else:
                x = self._run([layer], x)
        raise AssertionError("no such tap")

    def _run(self, layers: list, x: Tensor) -> Tensor:
        for layer in layers:
            if isinstance(layer, tuple):
                x = ops.concatenate([self._run(inner, x) for inner in layer], axis=1)
            elif isinstance(layer, Conv):
                weight, bias = self.folded[layer.name]
                x = ops.conv2d(x, weight, bias, layer.stride, layer.padding)
                array_module(x.data).maximum(x.data, 0, out=x.data)  # ReLU in place: x is used only here
            elif layer.kind == "max":
                x = ops.max_pool2d(x, 3, layer.stride, layer.padding)
            else:
                x = ops.avg_pool2d(x, 3, layer.stride, layer.padding, count_include_pad=False)
        return x


def fold(tensors: dict[str, np.ndarray], name: str, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """Batch norm as part of the convolution before it: weight w γ/σ and bias β − μ γ/σ with σ = √(var + ε).

    Both are float32: weight (out, in, kh, kw), bias (out,). name: that of the convolution.
    """
    gamma, beta, mean, var = (
        tensors[f"{name}.bn.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(var + eps)
    weight = tensors[f"{name}.conv.weight"] * scale[:, None, None, None]
    return weight.astype(np.float32), (beta - mean * scale).astype(np.float32)


def check_tap(tap: int) -> None:
    """InputError if Inception has no features of this length."""
    if tap not in TAPS:
        raise InputError(f"Inception has no features of length {tap}: use one of {', '.join(map(str, TAPS))}")


def check_tensors(tensors: dict[str, np.ndarray]) -> None:
    """InputError, with the names, unless these are the tensors of `shapes`, float32 and finite."""
    expected = shapes()
    missing, unknown = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    for problem, names in (("lacks", missing), ("does not know", unknown)):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise InputError(f"{ARCHITECTURE} {problem} {', '.join(names[:5])}{more}")
    for name, shape in expected.items():
        found = tensors[name]
        if found.shape != shape or found.dtype != np.float32:
            raise InputError(f"{name} must be float32 {shape}, and is {found.dtype} {found.shape}")
        if not np.isfinite(found).all() or (name.endswith("running_var") and (found < 0).any()):
            raise InputError(f"{name} holds values that no training produces")


def digest(tensors: dict[str, np.ndarray]) -> str:
    """SHA-256, in hex, of everything that decides the features of an image; tensors as in `shapes`."""
    sha = hashlib.sha256(f"{ARCHITECTURE} {BN_EPS}".encode())
    for name in sorted(tensors):
        sha.update(tensors[name].astype("<f4", copy=False).tobytes())
    return sha.hexdigest()


def save_inception(path: str | Path, tensors: dict[str, np.ndarray], **source: str) -> None:
    """Write the tensors of `shapes` under /params/<name>, not folded, and `source` as attributes, whole or not at all.

    InputError for other tensors.
    """
    check_tensors(tensors)
    facts: dict[str, Any] = {"format": FORMAT, "format_version": VERSION, "architecture": ARCHITECTURE}
    with writing_hdf5(path, **facts, bn_eps=BN_EPS, **source, digest=digest(tensors)) as file:
        for name, tensor in tensors.items():
            file.array(f"params/{name}", tensor)


def load_inception(path: str | Path, device: str = "cpu") -> Inception:
    """The network in a file of `experiments.export_inception`; InputError for any other file."""
    path = Path(path)
    device_module(device)  # a missing GPU is not the file's fault
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; make it with python -m experiments.export_inception")
    try:
        with reading_hdf5(path, "is not a readable file of Inception weights", ours=True) as f:
            facts = {name: text(f.attrs.get(name)) for name in ("format", "architecture", "digest", "source_sha256")}
            if facts["format"] != FORMAT or f.attrs["format_version"] != VERSION:
                raise InputError(f"{path}: HDF5, but not Inception weights of python -m experiments.export_inception")
            if facts["architecture"] != ARCHITECTURE:
                raise InputError(f"{path} holds {facts['architecture']}, not {ARCHITECTURE}: their features differ")
            tensors = {name.removeprefix("params/"): read_array(f, name) for name in array_names(f)}
            eps = float(f.attrs["bn_eps"])
        network = Inception(tensors, device)
    except InputError as e:
        raise InputError(str(e) if str(path) in str(e) else f"{path}: {e}") from e
    if (facts["digest"], eps) != (network.digest, BN_EPS):
        raise InputError(f"{path} is damaged: the weights have changed since they were written (their SHA-256 differs)")
    network.source_sha256 = facts["source_sha256"] or ""
    return network
