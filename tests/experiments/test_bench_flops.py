"""The benchmark counts arithmetic right, and knows the most that a machine does."""

from types import SimpleNamespace

import numpy as np
import pytest
from bench_sides import TINY

from autograd import Tensor, grad, ops
from autograd.accelerate.each import Each
from autograd.each import each
from autograd.registry import TWINS
from experiments.bench import flops, steps
from experiments.bench.flops import counted


def random(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape, np.float32), requires_grad=True)


def flops_of(f, *xs, wrt=None):
    """Of f forward, and of the gradients of `wrt` (all)."""
    with counted() as forward:
        y = f(*xs)
    with counted() as backward:
        grad(y, xs if wrt is None else wrt, np.ones(y.shape, np.float32))
    return forward.flops, backward.flops


def test_arithmetic_by_closed_forms():
    x, w, b = random(5, 7, 6), random(4, 6), random(4)
    assert flops_of(ops.linear, x, w, b) == (2 * 35 * 6 * 4, 2 * 2 * 35 * 6 * 4)
    assert flops_of(ops.linear, x, w, b, wrt=[w]) == (2 * 35 * 6 * 4, 2 * 35 * 6 * 4)
    assert flops_of(ops.matmul, random(3, 5, 6), random(6, 2)) == (2 * 3 * 5 * 6 * 2, 2 * 2 * 3 * 5 * 6 * 2)
    q, k, v = random(2, 3, 5, 4), random(2, 3, 7, 4), random(2, 3, 7, 4)
    product = 2 * 6 * 5 * 7 * 4
    assert flops_of(ops.attention, q, k, v) == (2 * product, 4 * product)
    x, w = random(2, 3, 8, 8), random(5, 3, 4, 4)
    product = 2 * (2 * 5 * 4 * 4) * (3 * 16)
    assert flops_of(lambda x, w: ops.conv2d(x, w, None, 2, 1), x, w) == (product, 2 * product)
    x, w = random(2, 5, 4, 4), random(5, 3, 4, 4)
    assert flops_of(lambda x, w: ops.conv_transpose2d(x, w, None, 2, 1), x, w) == (product, 2 * product)
    assert flops_of(ops.gelu, x) == (0, 0)


def test_many_calls_at_once_count_as_one_by_one(monkeypatch):
    class Loop:
        def fits(calls):
            return True

        def forward(xp, calls):
            return (*(x @ w.T for x, w, _ in calls), None)

        def fused(xp, gs, calls, kept, need):
            return [(g @ w, g.T @ x, None) for g, (x, w, _) in zip(gs, calls, strict=True)]

    def both(x, v, w):
        return ops.concatenate(each(ops.linear, [(x, v, None), (x, w, None)]), axis=1)

    arrays = random(5, 6), random(4, 6), random(3, 6)
    one_by_one = flops_of(both, *arrays), flops_of(both, *arrays, wrt=[arrays[2]])
    monkeypatch.setitem(TWINS, np, {"linear.each": Each(ops.linear, Loop)})
    assert (flops_of(both, *arrays), flops_of(both, *arrays, wrt=[arrays[2]])) == one_by_one
    assert one_by_one == ((2 * 30 * 7, 2 * 2 * 30 * 7), (2 * 30 * 7, 2 * 30 * 3))


def test_a_rule_on_tensors_is_counted_by_its_ops():
    a, b = random(3, 4), random(4, 5)
    with counted() as total:
        grad(ops.matmul(a, b).sum(), [a, b], create_graph=True)
    assert total.flops == 3 * 2 * 3 * 4 * 5


def test_the_peak_is_of_this_machine():
    assert 1e7 < flops.peak("cpu", False, size=128, repeats=3) < 1e14


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "least", "most"),
    [({"d_depth": 4}, 0.8, 0.99), ({"variant": "cnn", "image_size": 64, "channels": 3}, 0.95, 1.05)],
    ids=["vitgan", "cnn"],
)
def test_arithmetic_of_a_step_is_what_pytorch_counts(torch, options, least, most):
    """Up to what is left out: σ and power iteration by vectors, and what PyTorch computes needlessly.

    Of the last block of a transformer's D we compute the class token alone, PyTorch all tokens.
    """
    from torch.utils.flop_counter import FlopCounterMode

    case = steps.step_case("tiny", {**TINY, "batch": 8, **options})
    with counted() as total:
        case.sides["ours"]("cpu").run()
    with FlopCounterMode(display=False) as counter:
        case.sides["plain"]("cpu").run()
    assert least < total.flops / counter.get_total_flops() < most


@pytest.mark.slow
def test_the_peak_of_a_gpu_is_timed_by_events_on_large_products(monkeypatch):
    events, asked = [], []

    class Event:
        def record(self):
            events.append(self)

        def synchronize(self):
            assert self is events[-1]

    class Matrix:
        def __matmul__(self, other):
            return self

    def to_device(a, device):
        asked.append((a.shape, device))
        return Matrix()

    cuda = SimpleNamespace(Event=Event, get_elapsed_time=lambda start, end: 2.0)  # milliseconds
    monkeypatch.setattr(flops, "device_module", lambda name: SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(flops, "to_device", to_device)
    assert flops.peak("cuda", with_torch=False, repeats=3) == 2 * 8192**3 / 2e-3
    assert asked == [((8192, 8192), "cuda")] and len(events) == 6
