"""When the loops are compiled, when they are in use, and that nothing else needs numba."""

import os
import subprocess
import sys
import time

import pytest

from autograd import accelerate

numba = pytest.importorskip("numba")

from autograd.accelerate.cpu import compiling, threads  # noqa: E402

pytestmark = pytest.mark.usefixtures("loops")


@pytest.mark.parametrize("changed", ["loops/b.py", "numerics.py"])
def test_a_changed_file_makes_all_loops_compile_anew(changed, tmp_path):
    loops, past = tmp_path / "loops", time.time() - 10
    (loops / "__pycache__").mkdir(parents=True)
    kept = loops / "__pycache__" / "a.nbi"
    for path in (kept, loops / "__pycache__" / "a.cpython-311.pyc", loops / "b.py", tmp_path / "numerics.py"):
        path.write_text("")
    for source in (loops / "b.py", tmp_path / "numerics.py"):
        os.utime(source, (past, past))
    compiling.forget_stale(loops, (tmp_path / "numerics.py",))
    assert kept.exists()
    os.utime(tmp_path / changed, (time.time() + 10,) * 2)
    compiling.forget_stale(loops, (tmp_path / "numerics.py",))
    assert not kept.exists() and len(list((loops / "__pycache__").iterdir())) == 1


def test_the_first_loop_that_is_compiled_is_announced():
    said = []
    f, g = (compiling.each(lambda x: x + 1) for _ in range(2))  # compiled once more, and kept nowhere
    with accelerate.when_compiling(lambda: said.append("now")):
        assert f(1.0) == 2.0 and said == ["now"]
        assert g(1.0) == 2.0 and said == ["now"]
    with accelerate.when_compiling(lambda: said.append("again")):
        assert f(1.0) == 2.0 and said == ["now"]  # it is there already
    accelerate.use(None)
    with accelerate.when_compiling(lambda: said.append("without loops")):
        assert f(1) == 2 and said == ["now"]


def test_without_numba_there_are_no_loops_and_nothing_else_changes():
    script = (
        "import sys; sys.modules['numba'] = None\n"
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'numba' else find(name)\n"
        "from autograd import accelerate, ops\n"
        "import numpy as np\n"
        "print(accelerate.use('cpu'), ops.softmax(np.zeros((2, 2), np.float32)).data.sum())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "2.0"]


FORKED = """
import os, signal
import numpy as np
from autograd import accelerate, ops
from autograd.accelerate.cpu import threads

accelerate.use("cpu")
assert threads.THREADS == 2
x = np.ones((1024, 512), np.float32)
expected = ops.gelu(x).data
if (child := os.fork()) == 0:
    signal.alarm(100)  # ends it where it waits for a thread that stayed with its parent
    np.testing.assert_array_equal(ops.gelu(x).data, expected)
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
np.testing.assert_array_equal(ops.gelu(x).data, expected)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_threads_of_its_own():
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "openblas, openmp, expected",
    [("", "", 1), ("3", "5", 3), ("", "4,2", 4), ("auto", "", 1), (" 2 ", "", 2), ("-1", "", 1), ("1.5", "", 1)],
)
def test_as_many_threads_as_blas_was_told_to_use(openblas, openmp, expected):
    assert threads.told({"OPENBLAS_NUM_THREADS": openblas, "OMP_NUM_THREADS": openmp}) == expected


def test_importing_the_engine_does_not_import_numba():
    script = "import sys, autograd, minigan.step; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_loops_are_in_use_where_the_table_says_so():
    assert accelerate.in_use("cpu")
    assert not accelerate.use(None) and not accelerate.in_use("cpu")
