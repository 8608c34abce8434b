"""The code in CONTRIBUTING.md runs, in order, and does what the text around it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
OP, EXAMPLES, TWIN = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def run(*code):
    """In a process of its own: an op stays registered."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", "\n".join(code)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_the_op_is_right_on_its_examples():
    run(
        OP,
        "from autograd.ops.examples import EXAMPLES, example, normal",
        EXAMPLES,
        "examples = EXAMPLES['softsign']",
        "assert [e.inputs()[0].shape for e in examples] == [(3, 4), ()]",
        "for e in examples: gradcheck(e.op, *e.inputs())",
    )


@pytest.mark.slow  # numba compiles the loop
def test_the_twin_stands_in_and_agrees():
    pytest.importorskip("numba")
    run(
        OP,
        TWIN,
        "from autograd import Tensor, accelerate, grad",
        "x = Tensor(np.linspace(-3, 3, 7, dtype=np.float32), requires_grad=True)",
        "plain = softsign(x)",
        "accelerate.use('cpu')",
        "fast = softsign(x)",
        "assert plain.node.op is softsign and fast.node.op is CPU['softsign']",
        "np.testing.assert_allclose(fast.data, plain.data, rtol=3e-7)  # a sum and a quotient, rounded once each",
        "np.testing.assert_allclose(*(grad(y, [x], g=np.ones(7, np.float32))[0] for y in (fast, plain)), rtol=1e-6)",
    )


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)", TEXT))))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
