"""The InceptionV3 of FID: Szegedy et al. (arXiv 1512.00567) as in TensorFlow's graph of 2015-12-05.

Its weights are not shipped: `experiments.export_inception` makes the file that `load_inception` reads. Torchvision's
network has the same layers under the same names, but other weights and other pools. It is a network of its own here,
so that a distance between its features is not taken for an FID.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from autograd import Tensor, no_grad, ops
from autograd.arrays import array_module, device_module, keep_freed_memory, to_device
from minigan.errors import InputError
from minigan.metrics.resize import SIZE

FID_2015 = "fid-inception-v3-2015-12-05"
TORCHVISION = "torchvision-inception-v3"
PUBLISHED = "6726825d"  # how the SHA-256 begins of pytorch-fid's file with the weights of every published FID
CLASSES = {FID_2015: 1008, TORCHVISION: 1000}
TAPS = (64, 192, 768, 2048)  # the feature vectors, by their length
BN_EPS = 1e-3
CHUNK, CPU_CHUNK = 64, 16  # images that go through the network together: on a CPU few, for its memory
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
    kind: str  # "max", "average" of the pixels on the image, or "padded average" of the zeros around it too
    stride: int = 1
    padding: int = 1


@dataclass(frozen=True)
class Tap:
    """The mean over the image is a vector of features here."""

    length: int


HALVE = Pool("max", stride=2, padding=0)

# The blocks: each branch sees the same input, and their outputs are joined along the channels in this order. A branch
# is a list of convolutions: 64 is 64 channels of 1×1, (96, 3) is 96 of 3×3, (384, 3, 2) has stride 2, and a dict is two
# side by side again. Stride 1 keeps the size; stride 2 has no padding.


def block_a(average: Pool, pooled: int) -> dict[str, list]:
    return {
        "branch1x1": [64],
        "branch5x5": [48, (64, 5)],
        "branch3x3dbl": [64, (96, 3), (96, 3)],
        "branch_pool": [average, pooled],
    }


def block_b() -> dict[str, list]:
    return {
        "branch3x3": [(384, 3, 2)],
        "branch3x3dbl": [64, (96, 3), (96, 3, 2)],
        "pool": [HALVE],
    }


def block_c(average: Pool, c: int) -> dict[str, list]:
    return {
        "branch1x1": [192],
        "branch7x7": [c, (c, (1, 7)), (192, (7, 1))],
        "branch7x7dbl": [c, (c, (7, 1)), (c, (1, 7)), (c, (7, 1)), (192, (1, 7))],
        "branch_pool": [average, 192],
    }


def block_d() -> dict[str, list]:
    return {
        "branch3x3": [192, (320, 3, 2)],
        "branch7x7x3": [192, (192, (1, 7)), (192, (7, 1)), (192, 3, 2)],
        "pool": [HALVE],
    }


def block_e(pool: Pool) -> dict[str, list]:
    return {
        "branch1x1": [320],
        "branch3x3": [384, {"a": (384, (1, 3)), "b": (384, (3, 1))}],
        "branch3x3dbl": [448, (384, 3), {"a": (384, (1, 3)), "b": (384, (3, 1))}],
        "branch_pool": [pool, 192],
    }


def network(architecture: str) -> list:
    """All layers, with their names in the weights; a tuple is branches side by side.

    FID_2015 averages without the padding's zeros, and takes a maximum in the last block (a quirk of the 2015 graph).
    """
    fid = architecture == FID_2015
    average = Pool("average" if fid else "padded average")
    return [  # from (3, 299, 299)
        conv("Conv2d_1a_3x3", 32, 3, 2),  # (32, 149, 149)
        conv("Conv2d_2a_3x3", 32, 3, padding=0),  # (32, 147, 147)
        conv("Conv2d_2b_3x3", 64, 3),  # (64, 147, 147)
        HALVE,
        Tap(64),  # of (64, 73, 73)
        conv("Conv2d_3b_1x1", 80),  # (80, 73, 73)
        conv("Conv2d_4a_3x3", 192, 3, padding=0),  # (192, 71, 71)
        HALVE,
        Tap(192),  # of (192, 35, 35)
        block("Mixed_5b", block_a(average, 32)),  # (256, 35, 35)
        block("Mixed_5c", block_a(average, 64)),  # (288, 35, 35)
        block("Mixed_5d", block_a(average, 64)),  # (288, 35, 35)
        block("Mixed_6a", block_b()),  # (768, 17, 17)
        block("Mixed_6b", block_c(average, 128)),
        block("Mixed_6c", block_c(average, 160)),
        block("Mixed_6d", block_c(average, 160)),
        block("Mixed_6e", block_c(average, 192)),
        Tap(768),  # of (768, 17, 17)
        block("Mixed_7a", block_d()),  # (1280, 8, 8)
        block("Mixed_7b", block_e(average)),  # (2048, 8, 8)
        block("Mixed_7c", block_e(Pool("max") if fid else average)),  # (2048, 8, 8)
        Tap(2048),
    ]


def conv(name: str, out: int, kernel: int | tuple[int, int] = 1, stride: int = 1, padding: int | None = None) -> Conv:
    kh, kw = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    same = (kh // 2, kw // 2) if stride == 1 else (0, 0)
    return Conv(name, out, (kh, kw), stride, same if padding is None else (padding, padding))


def block(name: str, branches: dict[str, list]) -> tuple[list, ...]:
    return tuple(branch(f"{name}.{key}", steps) for key, steps in branches.items())


def branch(name: str, steps: list) -> list:
    """The layers of a branch, a pool first; convolutions are numbered from 1, a single one has the branch's name."""
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


def shapes(architecture: str) -> dict[str, tuple[int, ...]]:
    """The tensors of an architecture, by their names in a state dict of PyTorch: 472."""
    expected: dict[str, tuple[int, ...]] = {}

    def visit(layers: list, channels: int) -> int:
        """Note the tensors of the layers; returns the channels behind them."""
        for layer in layers:
            if isinstance(layer, tuple):
                channels = sum([visit(inner, channels) for inner in layer])
            elif isinstance(layer, Conv):
                expected[f"{layer.name}.conv.weight"] = (layer.out, channels, *layer.kernel)
                for part in ("weight", "bias", "running_mean", "running_var"):
                    expected[f"{layer.name}.bn.{part}"] = (layer.out,)
                channels = layer.out
        return channels

    channels = visit(network(architecture), 3)
    expected["fc.weight"] = (CLASSES[architecture], channels)
    expected["fc.bias"] = (CLASSES[architecture],)
    return expected


class Inception:
    """The network with the tensors of `shapes(architecture)`, on a device; batch norm is folded into the weights.

    digest: of architecture, ε and tensors, so another one for anything that changes the features.
    source_sha256: of the file that the weights were exported from, if they were.
    """

    source_sha256 = ""

    def __init__(self, tensors: dict[str, np.ndarray], architecture: str = FID_2015, eps: float = BN_EPS, device="cpu"):
        check_tensors(tensors, architecture)
        if device == "cpu":
            keep_freed_memory()
        self.architecture, self.device = architecture, device
        self.layers = network(architecture)
        self.folded = {
            name: tuple(to_device(a, device) for a in fold(tensors, name, eps))
            for name in (key.removesuffix(".conv.weight") for key in tensors if key.endswith(".conv.weight"))
        }
        self.fc = to_device(tensors["fc.weight"], device)
        self.digest = digest(tensors, architecture, eps)

    def features(self, x: Any, tap: int = 2048) -> Any:
        """Images float32 (n, 3, 299, 299), scaled by `resize` → (n, tap), none negative, on the network's device.

        tap: 64, 192, 768 or 2048; layers behind it are not run.
        """
        if tap not in TAPS:
            raise InputError(f"Inception has no features of length {tap}: use one of {', '.join(map(str, TAPS))}")
        if x.shape[1:] != (3, SIZE, SIZE):
            raise InputError(f"the Inception network takes images (n, 3, {SIZE}, {SIZE}), not {tuple(x.shape)}")
        n, chunk = len(x), CPU_CHUNK if self.device == "cpu" else CHUNK
        with no_grad():
            parts = [self._forward(Tensor(x[i : i + chunk]), tap).data for i in range(0, n, chunk)]
        xp = device_module(self.device)
        return xp.concatenate(parts) if parts else xp.zeros((0, tap), dtype=xp.float32)

    def features_and_logits(self, x: Any) -> tuple[Any, Any]:
        """The features (n, 2048), and the logits (n, 1008) of the Inception score from the same pass.

        The logits are without their bias, as in the graph's node softmax/logits/MatMul.
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
                array_module(x.data).maximum(x.data, 0, out=x.data)  # ReLU; nobody else has seen x
            elif layer.kind == "max":
                x = ops.max_pool2d(x, 3, layer.stride, layer.padding)
            else:
                padded = layer.kind == "padded average"
                x = ops.avg_pool2d(x, 3, layer.stride, layer.padding, count_include_pad=padded)
        return x


def fold(tensors: dict[str, np.ndarray], name: str, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """w γ/σ and β − μ γ/σ with σ = √(var + ε): batch norm by running statistics as part of the convolution before."""
    gamma, beta, mean, var = (
        tensors[f"{name}.bn.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(var + eps)
    weight = tensors[f"{name}.conv.weight"] * scale[:, None, None, None]
    return weight.astype(np.float32), (beta - mean * scale).astype(np.float32)


def check_tensors(tensors: dict[str, np.ndarray], architecture: str) -> None:
    """InputError, with names, unless these are the tensors of the architecture."""
    expected = shapes(architecture)
    missing, unknown = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    for what, names in (("lacks", missing), ("does not know", unknown)):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise InputError(f"{architecture} {what} {', '.join(names[:5])}{more}")
    for name, shape in expected.items():
        found = tensors[name]
        if found.shape != shape or found.dtype != np.float32:
            raise InputError(f"{name} must be float32 {shape}, and is {found.dtype} {found.shape}")
        if not np.isfinite(found).all() or name.endswith("running_var") and (found < 0).any():
            raise InputError(f"{name} holds values that no training leaves there")


def digest(tensors: dict[str, np.ndarray], architecture: str, eps: float) -> str:
    """SHA-256 of all that decides the features of the images that go in."""
    sha = hashlib.sha256(f"{architecture} {eps}".encode())
    for name in sorted(tensors):
        sha.update(tensors[name].astype("<f4", copy=False).tobytes())
    return sha.hexdigest()


def save_inception(path: str | Path, tensors: dict[str, np.ndarray], architecture: str, **source: str) -> None:
    """Write the tensors, not folded, under /params/<name>; `source` is kept as attributes. Renamed when complete."""
    check_tensors(tensors, architecture)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with h5py.File(temporary, "w") as f:
            f.attrs.update(format=FORMAT, format_version=VERSION, architecture=architecture, bn_eps=BN_EPS, **source)
            f.attrs["digest"] = digest(tensors, architecture, BN_EPS)
            for name, tensor in tensors.items():
                f[f"params/{name}"] = tensor
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_inception(path: str | Path, device: str = "cpu", architecture: str = FID_2015) -> Inception:
    """The network of a file of `experiments.export_inception`.

    InputError for any other file, and for one of another architecture than the one asked for.
    """
    path = Path(path)
    device_module(device)  # a GPU that is not there is not the file's fault
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; make it with python -m experiments.export_inception")
    try:
        with h5py.File(path, "r") as f:
            if f.attrs.get("format") != FORMAT or f.attrs["format_version"] != VERSION:
                raise InputError("HDF5, but not Inception weights of python -m experiments.export_inception")
            if f.attrs["architecture"] != architecture:
                raise InputError(
                    f"it holds {f.attrs['architecture']}, not {architecture}: their figures do not compare"
                )
            tensors = {name: f["params"][name][()] for name in f["params"]}
            network = Inception(tensors, architecture, float(f.attrs["bn_eps"]), device)
            if network.digest != f.attrs["digest"]:
                raise InputError("damaged: the weights are not those that were written (their SHA-256 differs)")
            network.source_sha256 = str(f.attrs.get("source_sha256", ""))
        return network
    except InputError as e:
        raise InputError(f"{path}: {e}") from e
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as e:  # h5py's, for damaged files
        raise InputError(f"{path}: not a readable file of Inception weights ({e})") from e
