"""What gpu_check measures is right and is written down, on stand-ins for CuPy, for CUDA graphs and for other ranks."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from emulation import nvrtc
from fake_cuda import fake_cuda
from slow import slow_but_the_first
from strict_device import StrictArray, strict
from well_formed import Page

from autograd import accelerate, ops
from autograd.accelerate.gpu import launch
from autograd.arrays import DEVICES, to_host
from autograd.registry import TWINS
from experiments.gpu_check import measure, page, stages
from experiments.gpu_check.stages import every_stage
from minigan.errors import InputError
from minigan.ranks import One


def stub_cupy(busy=True, leak=0):
    """What `measure.step` asks of CuPy. busy: the device is still at work when the steps have been started."""
    free = iter(range(10 * measure.GROWN * 2**20, 0, -max(leak, 1) * 2**20) if leak else [0] * 10)
    event = SimpleNamespace(record=lambda: None, synchronize=lambda: None, done=not busy)
    pool = SimpleNamespace(total_bytes=lambda: 3 * 2**20, free_all_blocks=lambda: None)
    cuda = SimpleNamespace(
        Event=lambda: event,
        Device=lambda: SimpleNamespace(synchronize=lambda: None),
        get_elapsed_time=lambda a, b: 400.0,
        runtime=SimpleNamespace(memGetInfo=lambda: (next(free), 0)),
    )
    names = {"cuda": cuda, "RawKernel": lambda code, name: lambda *args: None, "asnumpy": np.asarray}
    return SimpleNamespace(**names, get_default_memory_pool=lambda: pool)


def stub_gan(taken, stats):
    dot = (
        '"graph_1_node_0"[label="0"]; "graph_1_node_1"[label="1"]; "graph_1_node_0" -> "graph_1_node_1" [headlabel=0];'
    )
    graph = SimpleNamespace(debug_dot_str=lambda flags: dot)
    captured = SimpleNamespace(graph=graph, pool=SimpleNamespace(total_bytes=lambda: 5 * 2**20))
    shampoo, adam = SimpleNamespace(every=50), SimpleNamespace()
    step = lambda: taken.append(shampoo.every)  # noqa: E731
    return SimpleNamespace(capture=lambda: (captured, 0), step=step, stats=stats, adam_d=shampoo, adam_g=adam)


@pytest.mark.parametrize(
    ("how", "stats", "wrong"),
    [
        ({}, 0.0, []),
        ({"busy": False}, 0.0, ["a captured step waits for the device"]),
        ({"leak": 7}, 0.0, ["memory grew by 7 MiB in 1,000 steps"]),
        ({}, np.nan, ["a loss or a gradient is not a finite number"]),
    ],
)
def test_a_step_that_waits_or_grows_or_diverges_is_wrong(how, stats, wrong, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setitem(sys.modules, "cupy", stub_cupy(**how))
    monkeypatch.setattr(measure, "gan_of", lambda name, graph: stub_gan(taken, np.full(7, stats)))
    found = measure.step(tmp_path, "small", "float32")
    assert found["wrong"] == wrong and found["nodes"] == 2 and found["memory of the graph, MiB"] == 5
    assert found["captured"]["ms"] == 2 and found["eager"]["ms"] == 20 and found["steps"] == 1000
    assert taken == [50] * (10 + 5 + 200) + [1] * 3 + [50] * (1000 + 5 + 20)  # roots before each step that may wait
    left = json.loads((tmp_path / "found.json").read_text())  # were it killed in the thousand steps
    assert left["captured"]["ms"] == 2 and "wrong" not in left
    kept = {"stages": {"step small float32": {"status": "timed out", "why": "", "found": left}}}
    assert "2 ms" in Page(page.page(kept, every_stage(), tmp_path)).text


class Ranks(One):
    """Two ranks, of which this is the first. equal: whether both have the same weights."""

    size = 2

    def __init__(self, equal):
        self.equal, self.called = equal, []

    def one_gpu(self):
        self.called.append("one_gpu")

    def use_nccl(self, xp):
        self.called.append("use_nccl")

    def check_equal(self, arrays, what):
        assert [a.tolist() for a in arrays] == [[1.0], [2.0]]
        if not self.equal:
            raise InputError(f"{what} differ between the ranks")


@pytest.mark.parametrize("equal", [True, False])
def test_ranks_that_end_with_other_weights_are_wrong(equal, stand_in, monkeypatch, tmp_path):
    world, taken = Ranks(equal), []
    monkeypatch.setattr("minigan.ranks.join", lambda: world)
    monkeypatch.setitem(sys.modules, "cupy", stub_cupy())
    adams = [SimpleNamespace(flat=SimpleNamespace(data=np.array([x]))) for x in (1.0, 2.0)]
    gan = SimpleNamespace(step=lambda: taken.append(1), adam_d=adams[0], adam_g=adams[1])
    monkeypatch.setattr(measure, "gan_of", lambda name, graph, world: gan)
    found = measure.share(tmp_path, "small")
    assert found["ms"] == 4 and len(taken) == 5 + 100 and world.called == ["one_gpu", "use_nccl"]
    assert found["wrong"] == ([] if equal else ["the weights differ between the ranks"])


def test_a_step_is_shared_by_as_many_gpus_as_there_are(monkeypatch, tmp_path):
    """Two ranks end with other weights, and four crash."""

    def launch(command):
        mpiexec, _, n, *program = command
        assert mpiexec == "/mpiexec" and program[1:5] == ["-m", "mpi4py", "-m", "experiments.gpu_check.measure"]
        folder, what, name = program[5:]
        assert (folder, what, name) == (str(tmp_path / n), "share", "poster")
        if n != "4":
            left = {"ms": 8.0 / int(n), "wrong": ["the weights differ"] if n == "2" else []}
            (tmp_path / n / "found.json").write_text(json.dumps(left))
        return SimpleNamespace(returncode={"1": 0, "2": 1, "4": 139}[n])

    monkeypatch.setattr("minigan.ranks.mpiexec", lambda: "/mpiexec")
    monkeypatch.setattr(measure, "counts", lambda: [1, 2, 4])
    monkeypatch.setattr(measure.subprocess, "run", launch)
    found = measure.ranks(tmp_path, "poster")
    assert found["ms"] == {"1": 8.0, "2": 4.0}
    assert found["wrong"] == ["2 GPUs: the weights differ", "4 GPUs: exit status 139"]


@pytest.mark.parametrize(("gpus", "numbers"), [(1, [1]), (2, [1, 2]), (3, [1, 2]), (8, [1, 2, 4, 8])])
def test_ranks_are_counted_in_doubles(gpus, numbers, monkeypatch):
    runtime = SimpleNamespace(getDeviceCount=lambda: gpus)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    assert measure.counts() == numbers


@pytest.fixture
def stand_in(monkeypatch):
    """A stand-in for CuPy, on which no kernel of ours runs."""
    monkeypatch.setitem(DEVICES, "cuda", strict)
    monkeypatch.setattr(accelerate, "GPU", {})
    monkeypatch.delitem(TWINS, strict, raising=False)
    yield
    TWINS.pop(strict, None)


def test_every_kernel_is_loaded_and_large_attention_compared(stand_in, monkeypatch, tmp_path):
    asked, wanted = [], ("num_regs", "local_size_bytes", "shared_size_bytes", "max_threads_per_block")
    function = SimpleNamespace(**dict.fromkeys(wanted, 7))
    module = SimpleNamespace(get_function=lambda name: asked.append(name) or function)
    monkeypatch.setattr(launch, "_cupy_module", lambda source: module)
    found = measure.kernels(tmp_path)
    assert asked == list(launch.kernels()) == list(found["kernels"]) and found["wrong"] == []
    monkeypatch.setattr(ops, "attention", lambda q, k, v, similarity, right=ops.attention: wrong(right(q, k, v), q))
    assert len(measure.kernels(tmp_path)["wrong"]) == 2


def wrong(y, q):
    return y * 1.001 if isinstance(q.data, StrictArray) else y


@pytest.mark.parametrize("name", slow_but_the_first(stages.STEPS))
def test_a_gan_of_each_configuration_is_captured(name, stand_in, monkeypatch):
    tiny = {"batch": 2, "latent": 8, "g_head_width": 8, "cnn_width": 4}
    tiny |= {f"{net}_{size}": n for net in "gd" for size, n in (("width", 24), ("depth", 1))}
    monkeypatch.setitem(stages.STEPS, name, stages.STEPS[name] | tiny)
    with fake_cuda() as cuda:
        gan = measure.gan_of(name, graph=True)
        gan.step()
        assert cuda.launches == 1 and np.isfinite(to_host(gan.stats)).all()


def test_the_kernel_that_holds_the_device_up_compiles():
    library = nvrtc.library()
    if library is None:
        pytest.skip("needs the wheel nvidia-cuda-nvrtc")
    assert [*nvrtc.compile_cuda(library, measure.HOLDER, 90)] == ["hold"]


def test_a_trace_is_summed_by_kernel():
    events = [{"cat": "cpu_op", "name": "x", "ts": 0, "dur": 1000}]
    events += [{"cat": "kernel", "name": "gemm", "ts": 100 * i, "dur": 30} for i in range(4)]
    events += [{"cat": "gpu_memcpy", "name": "copy", "ts": 100 * i + 50, "dur": 10} for i in range(2)]
    assert measure.summed(events, replays=2) == {
        "µs busy": 70,
        "µs in all": 165,
        "kernels": [("gemm", 60, 2), ("copy", 10, 1)],
    }
    assert measure.summed(events[:1], 2)["wrong"] == ["the profiler saw no kernel"]


def test_what_was_measured_is_written_and_what_is_wrong_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(measure.MEASURES, "bad", lambda folder, x: {"x": x, "wrong": ["x is ½"]})
    assert measure.main([str(tmp_path), "bad", "7"]) == 1
    assert json.loads((tmp_path / "found.json").read_text(encoding="utf-8")) == {"x": "7", "wrong": ["x is ½"]}
