"""What the project promises to cost: engine overhead beside PyTorch's, memory of a run."""

import subprocess
import sys
import time

import numpy as np
import pytest

from autograd import Tensor, grad, ops


def microseconds(f, n, repeats=25):
    """The least processor time of a call, over repeats of n calls: what is left when nothing else disturbs it."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(n):
            f()
        best = min(best, (time.process_time() - start) / n)
    return 1e6 * best


def chain(f, x, n):
    for _ in range(n):
        x = f(x)
    return x


@pytest.mark.parametrize("name", ["mul", "tanh", "add"])
def test_recording_an_op_and_running_its_rule_is_cheap(name):
    """At most 8 µs together on two elements; on a slower or busy machine at most twice PyTorch beside it."""
    x, w = (Tensor(np.ones(2, np.float32), requires_grad=True) for _ in range(2))
    g = np.ones(2, np.float32)
    ours = {"mul": lambda a: ops.mul(a, w), "add": lambda a: ops.add(a, w), "tanh": ops.tanh}[name]
    y = chain(ours, x, 300)
    cost = microseconds(lambda: ours(x), 300) + microseconds(lambda: grad(y, [x], g), 1) / 300
    if cost <= 8:
        return
    torch = pytest.importorskip(
        "torch", reason=f"{cost:.1f} µs here: above 8, and no PyTorch to compare the machine with"
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    tx, tw = (torch.ones(2, requires_grad=True) for _ in range(2))
    theirs = {"mul": lambda a: a * tw, "add": lambda a: a + tw, "tanh": torch.tanh}[name]
    ty, tg = chain(theirs, tx, 300), torch.ones(2)
    their_cost = microseconds(lambda: theirs(tx), 300)
    their_cost += microseconds(lambda: torch.autograd.grad(ty, [tx], tg, retain_graph=True), 1) / 300
    torch.set_num_threads(threads)
    assert cost < 2 * their_cost, f"{cost:.1f} µs against PyTorch's {their_cost:.1f}"


def test_the_default_configuration_stays_far_below_two_gigabytes():
    """Peak memory of the 60,000 drawn digits, the classifier's evaluation and some steps, in a process of its own."""
    script = (
        "import resource\n"
        "from minigan.config import resolve\n"
        "from minigan.step import GAN\n"
        "from minigan.data import load_data\n"
        "from minigan.evaluate import make_evaluator\n"
        "data = load_data()\n"
        "gan = GAN(resolve(), data.images)\n"
        "[gan.step() for _ in range(3)]\n"
        "evaluate = make_evaluator(gan.config, data, lambda: load_data(split='test', n=10_000), 'cpu')\n"
        "evaluate(gan.sample(gan.rng.normal((5000, 64))))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 < 1500  # MiB
