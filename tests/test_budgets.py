"""What the project promises to cost: the engine's overhead beside NumPy's, the memory of a run."""

import subprocess
import sys
import time

import numpy as np
import pytest

from autograd import Tensor, grad, ops

LIMIT = 25  # NumPy multiplications; 9 to 13 on Python 3.11 to 3.13, 11 to 16 on 3.10


def least(*functions, repeats=25):
    """The least processor time (s) of a call of each, which take turns: what is left when nothing else disturbs."""
    best = [float("inf")] * len(functions)
    for _ in range(repeats):
        for i, f in enumerate(functions):
            start = time.process_time()
            f()
            best[i] = min(best[i], time.process_time() - start)
    return best


def chain(f, x, n=300):
    for _ in range(n):
        x = f(x)
    return x


@pytest.mark.parametrize("name", ["mul", "tanh", "add"])
def test_recording_an_op_and_running_its_rule_is_cheap(name):
    """Both together on two elements, in units of a NumPy multiplication of two elements on the same machine."""
    x, w = (Tensor(np.ones(2, np.float32), requires_grad=True) for _ in range(2))
    g = np.ones(2, np.float32)
    f = {"mul": lambda a: ops.mul(a, w), "add": lambda a: ops.add(a, w), "tanh": ops.tanh}[name]
    y = chain(f, x)
    forward, backward, unit = least(
        lambda: chain(f, x), lambda: grad(y, [x], g), lambda: chain(lambda a: np.multiply(a, g), g)
    )
    assert forward + backward < LIMIT * unit, f"{(forward + backward) / unit:.1f} multiplications"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts what the parent held; VmHWM is Linux's")
def test_the_default_configuration_stays_far_below_two_gigabytes():
    """Peak memory of the 60,000 drawn digits, the classifier's evaluation and some steps, in a process of its own."""
    script = (
        "from minigan.config import resolve\n"
        "from minigan.step import GAN\n"
        "from minigan.data import load_data\n"
        "from minigan.evaluate import make_evaluator\n"
        "data = load_data()\n"
        "gan = GAN(resolve(), data.images)\n"
        "[gan.step() for _ in range(3)]\n"
        "evaluate = make_evaluator(gan.config, data, lambda: load_data(split='test', n=10_000), 'cpu')\n"
        "evaluate(gan.sample(gan.rng.normal((5000, 64))))\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 < 1500  # MiB
