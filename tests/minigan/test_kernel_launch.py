"""A launch checks what a kernel is given, hands it to CuPy in the form that the GPU reads, and refuses the rest."""

import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emulation.emulator import Emulator
from kernel_checks import CHECKS, compare_attention, run

from autograd.accelerate.gpu import launch
from autograd.accelerate.gpu.activation import softplus_backward
from autograd.accelerate.gpu.adam import adam_step, move_average
from autograd.accelerate.gpu.attention import attention, attention_backward, fits
from autograd.accelerate.gpu.bias_activation import bias_gelu, bias_gelu_backward, bias_sine_backward
from autograd.accelerate.gpu.copy_arrays import copy_arrays
from autograd.accelerate.gpu.im2col import col2im, im2col
from autograd.accelerate.gpu.layer_norm import layer_norm, layer_norm_backward
from autograd.accelerate.gpu.power_iteration import power_iteration
from autograd.accelerate.gpu.softmax import softmax, softmax_backward
from autograd.accelerate.gpu.spectral import spectral_gradient, spectral_normalize
from autograd.arrays import MODULES, best_device, device_module
from autograd.ops.windows import Windows
from minigan.accelerate import augment as augment_kernel


def test_signatures_are_read():
    kernels = launch.kernels()
    assert len(kernels) == len(set(re.findall(r"__global__ void (\w+)", launch.source())))
    adam = kernels["adam_factors"].parameters
    assert [(p.name, p.dtype, p.pointer) for p in adam[1:4]] == [
        ("count", np.int32, False),
        ("numbers", np.float32, True),
        ("beta1", np.float64, False),
    ]
    numbers = kernels["random_integers"].cast([np.zeros(2, np.uint64), 7, np.zeros(4, np.int64), 4, 2**32])
    assert [type(a) for a in numbers] == [np.ndarray, np.uint64, np.ndarray, np.int32, np.uint64]


def test_arguments_are_checked(device):
    x = np.zeros((4, 8), np.float32)
    good = [x, x.copy(), 4, 8]

    def call(i: int, value: Any, **options: Any) -> None:
        args = [value if j == i else a for j, a in enumerate(good)]
        run(device, launch.launch, "softmax_forward", (1,), (32, 4), *args, **options)

    call(0, x)
    for i, value, error, message in (
        (0, x.astype(np.float64), TypeError, "x is an array of float32, not float64"),
        (0, x.tolist(), TypeError, "x is an array of float32, not list"),
        (2, 4.5, TypeError, "rows is int32, not 4.5"),
        (2, x, TypeError, "rows is int32"),
        (3, 2**31, OverflowError, "int32"),
    ):
        with pytest.raises(error, match=message):
            call(i, value)
    with pytest.raises(ValueError, match="more than the"):
        call(0, x, shared=300_000)
    with pytest.raises(ValueError, match="x is not contiguous"):
        launch.kernels()["softmax_forward"].cast([np.zeros((8, 4), np.float32).T, *good[1:]])
    flat = np.zeros(64, np.float32)
    with pytest.raises(ValueError, match="address of weights is not a multiple of 16 bytes"):  # it reads float4
        launch.kernels()["adam_update"].cast([flat[1:33], flat[:32], flat, flat, None, flat, 32])
    with pytest.raises(TypeError, match="takes 4 arguments, got 3"):
        launch.launch("softmax_forward", (1,), (32,), *good[:3])
    with pytest.raises(ValueError, match="whole warps"):
        launch.launch("softmax_forward", (1,), (33,), *good)
    for grid in ((2**31,), (1, 65_536), (1, 1, 65_536)):
        with pytest.raises(ValueError, match=r"softmax_forward: a grid of \(.*\) blocks is larger than"):
            launch.launch("softmax_forward", grid, (32, 4), *good)


def test_five_million_rows_fit_into_a_grid(monkeypatch):
    """The chunks of 64 rows are more than a grid may have blocks along its second axis."""
    rows, grids = 5_000_000, {}

    def note(kernel, grid, block, shared, values):
        grids[kernel.name] = grid

    monkeypatch.setitem(launch.RUNNERS, np, note)
    x = np.empty((rows, 1), np.float32)  # nothing is written into it
    one, row = np.ones(1, np.float32), np.empty(rows, np.float32)
    bias_gelu(x, one)
    bias_gelu_backward(x, x, one)
    bias_sine_backward(x, x, one, 1.0)
    layer_norm_backward(x, x, one, row, row)
    for name in ("bias_gelu_forward", "bias_gelu_backward", "bias_sine_backward", "layer_norm_backward_affine"):
        assert grids[name] == (78_125, 1, 1)


def test_many_arrays_are_passed_by_value(device):
    """One struct, a size-1 array as CuPy asks for: the addresses, and zeros behind them."""
    kernel = launch.kernels()["copy_arrays"]
    to, _, sizes = kernel.parameters
    x = np.zeros((2, 3), np.float32)
    struct = launch.by_value(to, [x[1], None, x])
    assert struct.shape == (1,) and struct.nbytes == 8 * launch.MOST_ARRAYS
    assert struct["at"][0, :4].tolist() == [x.ctypes.data + 12, 0, x.ctypes.data, 0]
    assert launch.by_value(sizes, [7, 8]).tobytes() == np.array([7, 8, *[0] * 62], np.int32).tobytes()
    for other in launch.kernels().values():  # CUDA before 12.1, and GPUs before Volta, take 4 KiB of arguments
        sizes_of = [launch.BY_VALUE[p.c_type].itemsize if p.c_type in launch.BY_VALUE else 8 for p in other.parameters]
        assert sum(sizes_of) <= 4096, other.name
    many = [x] * (launch.MOST_ARRAYS + 1)
    for args, error, message in (
        ((many, many, [6] * len(many)), ValueError, "to takes at most 64 values, got 65"),
        (([x.T], [x], [6]), ValueError, r"to\[0\] is not contiguous"),
        (([x, x], [x, x.astype(np.float64)], [6, 6]), TypeError, r"from\[1\] is an array of float32, not float64"),
        (([x], [x], [6.5]), TypeError, r"sizes\[0\] is int32, not 6.5"),
    ):
        with pytest.raises(error, match=message):
            launch.launch("copy_arrays", (1, 1), (32,), *args)


STRUCTS: dict[int, list] = {}  # by address: what a struct was made of, which its bytes do not say in full


class LikeCuPy:
    """A RawKernel as far as `launch` uses it: takes what CuPy would copy byte by byte, and runs it in the emulator."""

    def __init__(self, name: str, emulator: Emulator):
        self.kernel, self.emulator = launch.kernels()[name], emulator
        self.max_dynamic_shared_size_bytes = 48 * 1024

    def __call__(self, grid: tuple, block: tuple, args: tuple, shared_mem: int) -> None:
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        values: list = []
        for p, a in zip(self.kernel.parameters, args, strict=True):
            if p.c_type in launch.BY_VALUE:
                assert a.size == 1 and a.dtype == launch.BY_VALUE[p.c_type]  # CuPy copies the whole struct
                values.append(STRUCTS[a.ctypes.data])
                continue
            if p.pointer and not isinstance(a, np.ndarray):
                assert type(a) is np.uint64 and a == 0
                a = None
            assert p.pointer or type(a) is p.dtype
            values.append(a)
        STRUCTS.clear()
        self.emulator(self.kernel, grid, block, shared_mem, values)


def test_what_cupy_is_given(emulator, monkeypatch):
    module = SimpleNamespace(get_function=lambda name: LikeCuPy(name, emulator))
    monkeypatch.setattr(launch, "_cupy_module", lambda code: module)
    monkeypatch.setitem(launch.RUNNERS, np, launch._run_cupy)
    monkeypatch.setitem(sys.modules, "cupy", np)  # which is asked for its shared memory
    launch._cupy_function.cache_clear()  # on a machine with a GPU, earlier tests have filled it
    make = launch.by_value

    def noted(p, values):
        struct = make(p, values)
        STRUCTS[struct.ctypes.data] = values
        return struct

    monkeypatch.setattr(launch, "by_value", noted)
    try:
        for name in ("attention", "adam", "random", "copy_arrays", "spectral"):
            CHECKS[name]("cpu", np.random.default_rng(0))
        # 63 KiB of shared memory in the backward
        compare_attention("cpu", np.random.default_rng(0), (1, 100, 1, 64), "l2")
    finally:
        launch._cupy_function.cache_clear()


def test_a_block_may_ask_for_the_shared_memory_of_its_gpu(emulator):
    """paper at 64 × 64 has 257 tokens: too many for 99 KiB, and not for the 227 KiB of an H100."""
    runtime = SimpleNamespace(getDeviceProperties=lambda device: {"sharedMemPerBlockOptin": 227 * 1024})
    h100 = ModuleType("cupy")
    h100.cuda = SimpleNamespace(runtime=runtime, Device=lambda: SimpleNamespace(id=0))
    assert launch.most_shared(np) == 99 * 1024 and launch.most_shared(h100) == 227 * 1024
    assert not fits(257, 257, 64) and fits(257, 257, 64, launch.most_shared(h100))


@pytest.mark.skipif(best_device() != "cuda", reason="there is no GPU")
@pytest.mark.parametrize("tokens", [100, 257])
def test_attention_above_48_kib_on_cuda(tokens):
    """63 and 156 KiB a block: CuPy has to allow the kernel to ask for them."""
    if not fits(tokens, tokens, 64, launch.most_shared(device_module("cuda"))):
        pytest.skip("this GPU has less shared memory")
    compare_attention("cuda", np.random.default_rng(0), (2, tokens, 4, 64), "l2")


def test_numpy_arrays_are_refused_without_the_emulator():
    with pytest.raises(TypeError, match="softmax_forward runs on a GPU"):
        softmax(np.zeros((2, 3), np.float32))


def test_arrays_of_two_devices_are_refused(monkeypatch):
    class Other(np.ndarray):
        pass

    monkeypatch.setitem(MODULES, Other, "another module")
    x = np.zeros((2, 4), np.float32)
    with pytest.raises(TypeError, match="some arrays are on the host and some on the device"):
        launch.launch("softmax_forward", (1,), (32,), x, x.view(Other), 2, 4)


def test_shapes_are_checked():
    a, b = np.zeros((2, 5, 8), np.float32), np.zeros(8, np.float32)
    flat = np.zeros(8, np.float32)
    q = np.zeros((1, 200, 1, 64), np.float32)
    at = Windows((2, 2))
    for call in (
        lambda: layer_norm(a, b[:4], b[:4]),
        lambda: layer_norm(a, np.zeros((5, 1, 8), np.float32), b),
        lambda: layer_norm_backward(a[:1], a, b, a[..., 0], a[..., 0]),
        lambda: softmax_backward(a, a[0]),
        lambda: softplus_backward(a[:1], a),
        lambda: bias_gelu(a, b[:4]),
        lambda: bias_sine_backward(a[0], a, b, 1.0),
        lambda: attention(q, q, q[:, :3]),
        lambda: attention(q[..., :3], q, q),
        lambda: attention(q[:, :3], q[:, :3], q[:, :3], "l1"),
        lambda: attention_backward(q, q, q, q, np.zeros((1, 1, 200), np.float32)),  # too large for one block
        lambda: augment_kernel.augment(np.zeros((1, 5, 2, 2), np.float32), ["flip"], np.zeros((1, 2, 1), np.float32)),
        lambda: augment_kernel.augment(np.zeros((1, 3, 2, 2), np.float32), ["flip"], np.zeros((2, 2, 1), np.float32)),
        lambda: im2col(np.zeros((1, 2, 1, 5), np.float32), at),
        lambda: col2im(np.zeros((1, 9, 4), np.float32), None, (4, 4), at),
        lambda: col2im(np.zeros((1, 8, 9), np.float32), flat[:3], (4, 4), at),
        lambda: im2col(np.broadcast_to(np.float32(0), (2**20, 1, 64, 64)), at),
        lambda: col2im(np.broadcast_to(np.float32(0), (2**20, 4, 63 * 63)), None, (64, 64), at),
        lambda: power_iteration([a[0]], [flat[:5]], [flat[:7]]),
        lambda: spectral_normalize([a[0]], [flat[:5]], [flat[:7]], [None]),
        lambda: spectral_gradient([a[0]], [a[0]], [flat[:5]], [flat], [None], np.zeros((2, 1), np.float32)),
        lambda: adam_step(flat, flat, flat[:4], flat, flat[:2], (0.0, 0.9), 1e-8, None),
        lambda: adam_step(flat, flat, flat, flat, flat[:3], (0.0, 0.9), 1e-8, None),
        lambda: adam_step(flat, flat, flat, flat, flat[:2], (0.0, 0.9), 1e-8, None, flat[:4]),
        lambda: move_average(flat, flat[:4], flat[:1]),
        lambda: copy_arrays([flat], [flat[:4]]),
    ):
        with pytest.raises(ValueError):
            call()
    assert fits(100, 100, 64) and fits(1, 65, 32) and not fits(200, 1, 64) and not fits(1, 200, 64)
