"""What the project promises to cost: the engine's overhead beside NumPy's, the memory of a run."""

import subprocess
import sys

import numpy as np
import pytest

from autograd import Tensor, grad, ops
from autograd.writes import WRITES

MOST_CALLS = {"mul": 32, "tanh": 28, "add": 30}  # found: 31, 27 and 29 on Python 3.10 and 3.11, two fewer from 3.12 on


def calls(f):
    """How many functions f() calls, in Python and in C. Unlike a time, it is the same on every machine."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        f()
    finally:
        sys.setprofile(None)
    return count


def chain(f, x, n):
    for _ in range(n):
        x = f(x)
    return x


@pytest.mark.parametrize("name", MOST_CALLS)
def test_recording_an_op_and_running_its_rule_takes_few_calls(name, monkeypatch):
    """Both together, for one op more in a chain."""
    monkeypatch.setattr(WRITES, "last", -1.0)  # as in a fresh process: after debug() every rule looks for writes
    x, w = (Tensor(np.ones(2, np.float32), requires_grad=True) for _ in range(2))
    f = {"mul": lambda a: ops.mul(a, w), "add": lambda a: ops.add(a, w), "tanh": ops.tanh}[name]
    short, long = (calls(lambda n=n: grad(chain(f, x, n), [x], x.data)) for n in (10, 110))
    assert (long - short) / 100 <= MOST_CALLS[name]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts what the parent held; VmHWM is Linux's")
def test_the_default_configuration_stays_far_below_two_gigabytes():
    """Peak memory of the 60,000 drawn digits, the classifier's evaluation and some steps, in a process of its own."""
    script = (
        "from minigan.presets import resolve\n"
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
