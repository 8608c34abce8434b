"""What only a GPU can show: graphs that replay what eager steps do, and the numbers of PyTorch on the same device.

These tests have been written without a GPU at hand, and not been run on one yet. Everywhere else they are skipped; what
can be checked there is in test_kernels, test_kernel_launch, test_blas, test_capture and test_device_step.
"""

import re
from collections.abc import Callable

import numpy as np
import pytest
from tiny_models import VARIANTS, draw_images, tiny

from autograd import Tensor, grad, ops, use_tf32
from autograd.arrays import best_device, device_module, to_device, to_host
from minigan.step import GAN

pytestmark = pytest.mark.skipif(best_device() != "cuda", reason="there is no GPU")

CONFIGS = {
    **{variant: {"variant": variant} for variant in VARIANTS},
    "two graphs, augmented": {
        "penalty_every": 2,
        "augment": "translation,color,cutout",
        "channels": 3,
        "max_norm": 1.0,
    },
    "Shampoo, Lookahead": {"optimizer": "shampoo", "lookahead": 2, "g_width": 32, "d_width": 32, "every": 1},
}


def gan(graph: bool, every: int = 50, **options) -> GAN:
    """every: the steps between two roots of Shampoo."""
    config = tiny(**options)
    made = GAN(config, draw_images(config), "cuda", graph=graph)
    made.adam_g.every = made.adam_d.every = every
    return made


def steps(g: GAN, n: int = 6) -> GAN:
    for _ in range(n):
        g.step()
    return g


# ---- graphs


@pytest.mark.parametrize("options", CONFIGS.values(), ids=CONFIGS)
def test_replays_equal_eager_steps_bit_for_bit(options):
    graphed, eager = steps(gan(True, **options)), steps(gan(False, **options))
    assert len(graphed.graphs) == (2 if "penalty_every" in options else 1)
    for group, arrays in eager.state()[0].items():
        for name, x in arrays.items():
            np.testing.assert_array_equal(graphed.state()[0][group][name], x, err_msg=f"{group} {name}")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_graph_allocates_no_memory(variant):
    """All of it comes from the pool: a graph with allocations of its own could not be launched again."""
    verbose = 1
    graphed = gan(True, variant=variant)
    graphed.capture()
    for step, _ in graphed.graphs.values():
        nodes = set(re.findall(r"\b(KERNEL|MEMCPY|MEMSET|MEM_ALLOC|MEM_FREE)\b", step.graph.debug_dot_str(verbose)))
        assert "KERNEL" in nodes and not nodes & {"MEM_ALLOC", "MEM_FREE"}


# ---- TF32


def test_tf32_rounds_the_factors_and_nothing_else_does():
    """1 + 2⁻¹² has more bits of mantissa than TF32."""
    a, one = (to_device(x.astype(np.float32), "cuda") for x in (np.full((64, 64), 1 + 2.0**-12), np.eye(64)))
    for tf32, expected in ((False, 1 + 2.0**-12), (True, 1.0)):
        with use_tf32(tf32):
            np.testing.assert_array_equal(to_host(ops.matmul(a, one).data), np.float32(expected))


def test_a_graph_keeps_the_tf32_of_its_capture():
    with use_tf32(True):
        graphed, eager = steps(gan(True)), steps(gan(False))
    exact = steps(gan(False))
    stats = [to_host(g.stats) for g in (graphed, eager, exact)]
    np.testing.assert_array_equal(stats[0], stats[1])
    assert (stats[0] != stats[2]).any()


# ---- beside PyTorch, on the same memory


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return torch


def torch_attention(torch, q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)


OPS: dict[str, tuple[Callable, Callable, list[tuple[int, ...]]]] = {  # ours, theirs (torch, inputs), shapes
    "conv2d": (
        lambda x, w, b: ops.conv2d(x, w, b, stride=2, padding=1),
        lambda torch, x, w, b: torch.nn.functional.conv2d(x, w, b, stride=2, padding=1),
        [(16, 24, 28, 28), (48, 24, 4, 4), (48,)],
    ),
    "conv2d 1×1": (
        lambda x, w: ops.conv2d(x, w),
        lambda torch, x, w: torch.nn.functional.conv2d(x, w),
        [(16, 24, 17, 17), (48, 24, 1, 1)],
    ),
    "conv_transpose2d": (
        lambda x, w, b: ops.conv_transpose2d(x, w, b, 2, 1, 1),
        lambda torch, x, w, b: torch.nn.functional.conv_transpose2d(x, w, b, 2, 1, 1),
        [(16, 24, 7, 9), (24, 12, 3, 3), (12,)],
    ),
    "unfold": (
        lambda x: ops.unfold(x, 13, padding=3, stride=7),
        lambda torch, x: torch.nn.functional.unfold(x, 13, padding=3, stride=7),
        [(16, 3, 28, 28)],
    ),
    "linear": (ops.linear, lambda torch, *a: torch.nn.functional.linear(*a), [(16, 65, 96), (192, 96), (192,)]),
    "layer_norm": (
        lambda x, w, b: ops.layer_norm(x, 96, w, b),
        lambda torch, x, w, b: torch.nn.functional.layer_norm(x, (96,), w, b),
        [(16, 65, 96), (96,), (96,)],
    ),
    "softmax": (ops.softmax, lambda torch, x: torch.softmax(x, -1), [(16, 65, 77)]),
    "gelu": (ops.gelu, lambda torch, x: torch.nn.functional.gelu(x), [(16, 65, 96)]),
    "bias_sine": (
        lambda x, b: ops.bias_sine(x, b, omega=8.0),
        lambda torch, x, b: torch.sin(8.0 * (x + b)),
        [(784, 64), (64,)],
    ),
    "attention": (ops.attention, torch_attention, [(16, 4, 65, 24)] * 3),
    "attention of many tokens": (ops.attention, torch_attention, [(2, 4, 513, 64)] * 3),
}


@pytest.mark.parametrize("name", OPS)
def test_values_and_two_orders_of_gradients_beside_torch(name, torch):
    ours, theirs, shapes = OPS[name]
    rng, xp = np.random.default_rng(0), device_module("cuda")
    xs = [Tensor(xp.asarray(rng.standard_normal(s).astype(np.float32)), requires_grad=True) for s in shapes]
    ts = [torch.from_dlpack(x.data).requires_grad_() for x in xs]

    y = ours(*xs)
    first = grad((y * y).sum(), xs, create_graph=True)
    second = grad(sum((g * g).sum() for g in first), xs)
    y_t = theirs(torch, *ts)
    first_t = torch.autograd.grad((y_t * y_t).sum(), ts, create_graph=True)
    fast = grad((y * y).sum(), xs)
    found = [y.data, *(g.data for g in first), *fast]
    expected = [y_t, *first_t, *first_t]
    if "attention" not in name:  # PyTorch's has no second derivative
        found += second
        expected += torch.autograd.grad(sum((g * g).sum() for g in first_t), ts)
    for a, b in zip(found, expected, strict=True):
        b = to_host(xp.from_dlpack(b.detach().contiguous()))
        np.testing.assert_allclose(to_host(a), b, rtol=0, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize("variant", ["vitgan", "cnn"])
def test_a_whole_step_beside_torch(variant, torch):
    """As the benchmark compares them: losses, gradients, and what two steps do to the networks and to the average."""
    from experiments.bench.steps import step_case

    options = {"variant": variant, "batch": 8}
    case = step_case(variant, options)
    ours, plain = (case.sides[kind]("cuda").results() for kind in ("ours", "plain"))
    assert case.differences(ours, plain) == ""
