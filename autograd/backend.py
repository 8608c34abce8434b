"""Every difference between NumPy and CuPy, and nothing else.

The engine asks `array_module` once per op call and hands the answer to the op as `xp`;
op authors never import CuPy. CuPy is imported the first time a CUDA device is asked for.
"""

import ctypes
import importlib.util
import math
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

MODULES: dict[type, ModuleType | Any] = {np.ndarray: np}  # array type -> the module that works on it
DEVICES: dict[str, ModuleType | Any] = {"cpu": np}  # device name -> the same modules
LOOPS: Any = None  # autograd.loops while they are in use, for what is no op
PRODUCTS: dict[ModuleType | Any, Callable] = {}  # module -> what multiplies its matrices, if not its own matmul


# e^−46 = 1e-20: products of far smaller numbers are denormal ones, with which a processor is a hundred times as slow.
# A sharp attention would be full of them, so it cuts its scores there; the compiled loops cut every exponential.
LEAST_EXPONENT = -46.0


class DeviceError(RuntimeError):
    """The device asked for cannot be used here; the message says why in one sentence."""


def use_cuda() -> None:
    """Load CuPy and register its arrays; raises DeviceError where there is no CuPy or no GPU."""
    if "cuda" in DEVICES:
        return
    try:
        import cupy
    except ImportError as e:
        raise DeviceError(
            "device cuda needs CuPy: pip install -e '.[cuda13]' (or '.[cuda12]' for a CUDA 12 driver)"
        ) from e
    if not cupy.cuda.is_available():
        raise DeviceError("device cuda: CuPy is installed, but it finds no usable NVIDIA GPU on this machine")
    try:
        cupy.ones((2, 2)) @ cupy.ones((2, 2))
    except Exception as e:
        raise DeviceError(f"device cuda: CuPy finds a GPU but cannot use it ({e})") from e
    import autograd.kernels.ops  # noqa: F401 - the ops that have kernels get them
    from autograd.kernels import blas

    MODULES[cupy.ndarray] = cupy
    DEVICES["cuda"] = cupy
    PRODUCTS[cupy] = blas.matmul


def device_module(device: str) -> Any:
    """The array module of a device name: `cpu`, or `cuda` where there is one."""
    if device == "cuda":
        use_cuda()
    if device not in DEVICES:
        raise DeviceError(f"unknown device {device!r}: use one of {', '.join(sorted(DEVICES))} or cuda")
    return DEVICES[device]


def best_device() -> str:
    """`cuda` where CuPy and a GPU are there, else `cpu`."""
    try:
        use_cuda()
    except DeviceError:
        return "cpu"
    return "cuda"


def array_module(*arrays: Any) -> Any:
    """The module of the first array that is no NumPy array or Python scalar, else NumPy."""
    for a in arrays:
        xp = MODULES.get(type(a), np)
        if xp is not np:
            return xp
    return np


def is_array(x: Any) -> bool:
    return type(x) in MODULES


def to_host(a: Any) -> np.ndarray:
    """A NumPy array with the values of `a`; from a GPU this copies and waits."""
    xp = array_module(a)
    return np.asarray(a) if xp is np else xp.asnumpy(a)


def to_device(a: np.ndarray, device: str) -> Any:
    """A host array on `device`, dtype kept."""
    return device_module(device).asarray(a)


def use_loops(on: bool = True) -> bool:
    """On the CPU, run the hot ops as loops compiled by numba (`autograd.loops`) from now on, or on NumPy alone again.

    Returns whether loops are in use: never where numba is not installed (pip install -e '.[fast]').
    A loop is compiled when it first runs, some seconds for all of a training step, and kept on disk.
    """
    global LOOPS
    if LOOPS is not None:
        LOOPS.ops.switch(on)
    if not on or importlib.util.find_spec("numba") is None:
        LOOPS = None
    elif LOOPS is None:
        try:
            import numba  # noqa: F401
        except ImportError as e:  # it is there, but not for this NumPy
            warnings.warn(f"numba cannot be used, so NumPy runs alone: {e}", RuntimeWarning, stacklevel=2)
            return False
        from autograd import loops
        from autograd.loops import adam, ops, philox  # noqa: F401 - all that LOOPS has to offer

        ops.switch(True)
        LOOPS = loops
    return LOOPS is not None


def keep_freed_memory() -> None:
    """Have the C library keep what NumPy frees, for the whole process, as CuPy's pool does for the GPU.

    A training step frees and takes the same memory over and over. By its defaults glibc hands much of it back to the
    system, and a step of small networks then spends up to a third of its time on fresh pages. Other C libraries: no-op.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not there, or no such library (Windows)
        return
    mallopt(_MMAP_THRESHOLD, 2**30)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h


def scatter_add(xp: Any, x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """zeros(shape) with x added at `index`; repeated indices add up."""
    if hasattr(xp, "scatter_add"):
        return xp.scatter_add(x, index=index, shape=shape)
    out = xp.zeros(shape, dtype=x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(p is None or p is Ellipsis or isinstance(p, (int, slice)) for p in parts):
        out[index] = x  # slices never meet an element twice
    elif xp is np:
        np.add.at(out, index, x)
    else:
        import cupyx

        cupyx.scatter_add(out, index, x)
    return out


def matmul(xp: Any, a: Any, b: Any, out: Any = None) -> Any:
    """a @ b. On a GPU by our own call of cuBLAS (`autograd.kernels.blas`), which a CUDA graph may capture."""
    if xp not in PRODUCTS:
        return xp.matmul(a, b) if out is None else xp.matmul(a, b, out=out)
    y = PRODUCTS[xp](a, b)
    if out is None:
        return y
    out[...] = y
    return out


def sum_products(xp: Any, subscripts: str, a: Any, b: Any) -> Any:
    """einsum of two arrays with the same letters ("nd,nd->d"): Σ a b over those that the output lacks.

    In one pass on the host; CuPy's einsum is cuBLAS again, which may not be captured.
    """
    if xp not in PRODUCTS:
        return xp.einsum(subscripts, a, b)
    letters, output = subscripts.split(",")[0], subscripts.split("->")[1]
    kept = [c for c in letters if c in output]
    sums = (a * b).sum(axis=tuple(i for i, c in enumerate(letters) if c not in output))
    return sums.transpose([kept.index(c) for c in output])


def sigmoid(xp: Any, x: Any) -> Any:
    """1 / (1 + e⁻ˣ), to the last digits on both sides: e^(−|x|) never overflows and nothing cancels."""
    if hasattr(xp, "sigmoid"):
        return xp.sigmoid(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, e) / (1 + e)


def erf(xp: Any, x: Any) -> Any:
    """erf x = 2/√π ∫₀ˣ e^(−t²) dt, to the last digits of the dtype."""
    if hasattr(xp, "erf"):
        return xp.erf(x)
    if xp is np:
        x = np.asarray(x)
        return _erf_float32(x) if x.dtype == np.float32 else _erf_numpy(x)
    from cupyx.scipy.special import erf as cupy_erf

    return cupy_erf(x)


# P with erf x = tanh(x P(x²)) for |x| ≤ 4, from where on both are 1 in float32; highest power first. A least-squares
# fit, reweighted towards equal errors: 1e-7 of erf x, and below 3e-7 with everything rounded to float32.
TANH_ERF = (
    1.4188951799856953e-07, -5.668949092167599e-06, 8.763934785724598e-05, -6.197880804802475e-04,
    -1.9182879186622668e-04, 1.0276905567806885e-01, 1.1283792742405057,
)  # fmt: skip


def _erf_float32(x: np.ndarray) -> np.ndarray:
    flat, y = x.reshape(-1), np.empty(x.shape, x.dtype)
    for start in range(0, x.size, 32768):  # blocks stay in the cache
        block = slice(start, start + 32768)
        t, p = np.clip(flat[block], -4.5, 4.5), y.reshape(-1)[block]
        u = t * t
        np.multiply(u, TANH_ERF[0], out=p)
        for c in TANH_ERF[1:-1]:
            p += c
            p *= u
        p += TANH_ERF[-1]
        p *= t
        np.tanh(p, out=p)
    return y


# Rational Chebyshev approximations of W. J. Cody, Math. Comp. 23 (1969) 631-637, highest power first.
_NEAR = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # erf x = x P(x²)/Q(x²), |x| < 0.46875
_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
# erfc x = e^(−x²) P(x)/Q(x), 0.46875 ≤ x ≤ 4
_FAR = (
    (-1.63153871373020978e-2, -3.05326634961232344e-1, -3.60344899949804439e-1, -1.25781726111229246e-1,
     -1.60837851487422766e-2, -6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)  # fmt: skip
# erfc x = e^(−x²)/x (1/√π + x⁻² P(x⁻²)/Q(x⁻²)), x > 4


def _ratio(coefficients: tuple, x: np.ndarray) -> np.ndarray:
    numerator, denominator = coefficients
    p, q = np.full_like(x, numerator[0]), np.full_like(x, denominator[0])
    for a, b in zip(numerator[1:], denominator[1:], strict=True):
        p *= x
        p += a
        q *= x
        q += b
    p /= q
    return p


def _erf_numpy(x: np.ndarray) -> np.ndarray:
    a = np.abs(x)
    near = x * _ratio(_NEAR, np.square(np.minimum(a, 0.5)))
    middle = 1 - np.exp(-np.square(np.minimum(a, 6.0))) * _ratio(_MIDDLE, np.clip(a, 0.4, 4.0))
    if x.dtype == np.float64 and (a > 4).any():  # in float32 erf is 1 from 4 on
        b = np.clip(a, 4.0, 6.0)
        tail = np.exp(-np.square(b)) / b * (1 / math.sqrt(math.pi) + _ratio(_FAR, 1 / np.square(b)) / np.square(b))
        middle = np.where(a > 4, 1 - tail, middle)
    return np.where(a < 0.46875, near, np.copysign(middle, x)).astype(x.dtype, copy=False)
