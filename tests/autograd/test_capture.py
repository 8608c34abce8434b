"""Steps as CUDA graphs, on a stand-in for CUDA: replays equal eager steps, and what may not be captured is refused."""

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from fake_cublas import FakeCublas
from fake_cuda import Stream, fake_cuda, work_of
from slow import slow_but_the_first
from strict_device import strict
from tiny_models import VARIANTS, tiny_gan

from autograd import Tensor
from autograd.accelerate.gpu import blas
from autograd.accelerate.gpu.graph import CaptureError, GraphedStep
from autograd.arrays import Numbers
from autograd.random import RandomStream
from minigan.step import GAN

CONFIGS = {
    **{variant: {"variant": variant} for variant in VARIANTS},
    "a penalty every second step": {"penalty_every": 2, "max_norm": 1.0, "augment": "translation,cutout,flip"},
    "exact penalty, consistency": {"penalty": "exact", "bcr": 1.0},
    "batch norm": {"variant": "cnn", "cnn_batch_norm": True},
}
STEPS = 4


def steps(gan: GAN, n: int = STEPS) -> GAN:
    for _ in range(n):
        gan.step()
    return gan


def same_state(a: GAN, b: GAN) -> None:
    (found, found_meta), (expected, expected_meta) = a.state(), b.state()
    assert found_meta == expected_meta
    for group in expected:
        for name, x in expected[group].items():
            np.testing.assert_array_equal(found[group][name], x, err_msg=f"{group} {name}")


@pytest.mark.parametrize("options", slow_but_the_first(CONFIGS.values()), ids=CONFIGS)
def test_replays_equal_eager_steps(options):
    """Bit for bit, with the numbers of the CPU; the schedules move in every one of these steps."""
    with fake_cuda() as cuda:
        graphed = steps(tiny_gan(**options, device="strict", graph=True))
    assert cuda.launches == STEPS and len(graphed.graphs) == (2 if options.get("penalty_every") == 2 else 1)
    same_state(graphed, steps(tiny_gan(**options)))


def test_a_state_from_anywhere_goes_on_in_the_graph():
    host = steps(tiny_gan())
    with fake_cuda() as cuda:
        graphed = steps(tiny_gan(device="strict", graph=True), 2)
        graphed.load_state(*host.state())
        steps(graphed, 2)
        assert cuda.launches == 4 and len(graphed.graphs) == 1
    same_state(graphed, steps(host, 2))


def test_the_launches_of_a_step_do_not_grow():
    gan = tiny_gan(device="strict", augment="translation,color", channels=3)
    counts = set()
    for _ in range(STEPS):
        gan.prepare()
        counts.add(work_of(gan.update))
        gan.steps_done += 1
    assert len(counts) == 1 and counts.pop() > 500


def test_a_dropped_graph_gives_its_memory_back(monkeypatch):
    """The graph and its result go first, then cuBLAS on its stream, then what the pool holds."""
    order = []
    library = FakeCublas()
    workspace = SimpleNamespace(ptr=256)
    with fake_cuda() as cuda:
        x = strict.ones(3)
        step = GraphedStep(strict, lambda: x * 2, lambda: None, lambda saved: None)
        monkeypatch.setitem(blas.HANDLES, step.stream.ptr, blas.Blas(library, step.stream.ptr, workspace))
        weakref.finalize(step.graph, order.append, "graph")
        (finalizer,) = [f for f in weakref.finalize._registry if f.peek()[0] is step]
        assert not finalizer.atexit  # an error that broke the device is then the last word of a process
        pool, stream = step.pool, step.stream.ptr
        pool.free_all_blocks = lambda: order.append((stream in blas.HANDLES, library.calls[-1]))
        assert not order and cuda.launches == 0
        del step
        assert order == ["graph", (False, "destroy")]


# ---- the tests above can fail


def keep_first(draw):
    batches: list = []

    def first():
        batches.append(batches[0] if batches else Tensor(draw().data.copy()))
        return batches[0]

    return first


FROZEN = {
    "weight of the penalty": lambda gan: setattr(gan, "numbers", Numbers(1, np)),
    "learning rate, share of the average": lambda gan: setattr(gan.adam_g, "numbers", Numbers(3, np)),
    "random numbers": lambda gan: setattr(gan.rng, "memory", [gan.rng.seed, 0]),
    "rows of the batch": lambda gan: setattr(gan, "real_batch", keep_first(gan.real_batch)),
}


@pytest.mark.parametrize("name", slow_but_the_first(FROZEN))
def test_what_a_graph_has_frozen_shows(name):
    with fake_cuda():
        graphed = tiny_gan(device="strict", graph=True)
        FROZEN[name](graphed)
        steps(graphed)
    with pytest.raises(AssertionError, match="Mismatched"):
        same_state(graphed, steps(tiny_gan()))


def graph_of(run) -> GraphedStep:
    return GraphedStep(strict, run, lambda: None, lambda saved: None)


@pytest.mark.parametrize(
    "wait",
    slow_but_the_first(
        [
            lambda x: float(x.sum()),
            lambda x: bool(x.sum() > 0),
            lambda x: strict.asnumpy(x),
            lambda x: strict.asarray(np.ones(3)),
            lambda x: x[x > 0],
        ]
    ),
    ids=["float", "bool", "to the host", "from the host", "mask"],
)
def test_what_waits_is_not_captured(wait):
    x = strict.ones(3)
    with fake_cuda() as cuda:
        with pytest.raises(CaptureError, match="cannot be captured as a CUDA graph: .* inside a step"):
            graph_of(lambda: wait(x))
        assert gc.isenabled() and strict.recorder is None
        graph_of(lambda: x + 1)()  # and nothing is left behind
        assert cuda.launches == 1


@pytest.mark.parametrize("error", [MemoryError("full"), KeyboardInterrupt()])
def test_what_is_no_fault_of_the_step_is_raised_as_it_is(error):
    runs = []

    def run():
        runs.append(1)
        if len(runs) > 3:
            raise error

    with fake_cuda(), pytest.raises(type(error)):
        graph_of(run)
    assert strict.recorder is None


def test_a_capture_that_the_driver_ends_is_an_error(monkeypatch):
    with fake_cuda():
        monkeypatch.setattr(Stream, "end_capture", lambda self: 1 / 0)
        with pytest.raises(CaptureError, match="graph: division by zero"):
            graph_of(lambda: None)


def test_capturing_ahead_changes_nothing():
    with fake_cuda() as cuda:
        graphed = tiny_gan(device="strict", graph=True)
        graphed.capture()
        same_state(graphed, tiny_gan())
        steps(graphed)
        assert cuda.launches == STEPS
    same_state(graphed, steps(tiny_gan()))


def test_a_graph_is_warmed_up_and_its_first_call_is_the_first_step():
    x, saved = strict.zeros(3), []
    runs = []

    def run():
        runs.append(strict.recorder is not None)
        x[...] = x + 1
        return x * 2

    def restore(value):
        x[...] = value

    with fake_cuda():
        step = GraphedStep(strict, run, lambda: saved.append(x.copy()) or saved[0], restore)
        assert runs == [False] * 3 + [True] and not strict.asnumpy(x).any()
        first = step()
        assert strict.asnumpy(first).tolist() == [2, 2, 2]
        assert step() is first and strict.asnumpy(first).tolist() == [4, 4, 4]
        x[...] = 10  # between steps
        step()
        assert strict.asnumpy(first).tolist() == [22, 22, 22] and len(runs) == 4


def test_memory_of_a_capture_comes_from_its_pool():
    x = strict.ones(3)
    with fake_cuda() as cuda:

        def run():
            pools, cuda.pools = cuda.pools, []
            try:
                return x + 1
            finally:
                cuda.pools = pools

        with pytest.raises(CaptureError, match="another pool"):
            graph_of(run)


def test_random_numbers_are_counted_from_the_last_advance():
    plain, advanced = RandomStream(3), RandomStream(3, "strict")
    for _ in range(3):
        advanced.advance()
        for _ in range(2):
            np.testing.assert_array_equal(strict.asnumpy(advanced.bits(7)), plain.bits(7))
    assert plain.state == advanced.state == (3, 12)
    assert advanced.memory[1].item() == 8 and plain.start == 0
