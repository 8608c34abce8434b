"""The lectures in the browser: the zip, the pages, and Pyodide under Node where PYODIDE_DIR says where it lies."""

import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from experiments.docs.browser import package, page


def test_the_zip_has_the_engine_and_is_the_same_each_time():
    names = zipfile.ZipFile(io.BytesIO(package())).namelist()
    assert {"autograd/__init__.py", "autograd/play/player.js", "nn/linear.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".cu")]
    assert package() == package()


@pytest.mark.slow
def test_the_zip_runs_by_itself(tmp_path):
    """Isolated Python (-I) sees neither the checkout nor PYTHONPATH: what is imported comes from the zip."""
    zipfile.ZipFile(io.BytesIO(package())).extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import autograd, nn; from autograd import ops, gradcheck;"
        "import numpy as np; gradcheck(ops.tanh, np.linspace(-2.0, 2.0, 5)); print(autograd.__file__)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(str(tmp_path)), done.stderr


def test_a_page_has_every_cell_with_its_output():
    text = (
        "# 1. A < b\n\n```python\nprint(1 < 2)\n```\n\n```text\nTrue\n```\n\nWords.\n\n```python\nx = 1\ny = 2\n```\n"
    )
    html = page("01-a", text)
    assert re.findall(r"<textarea[^>]*>(.*?)</textarea>", html, re.S) == ["print(1 &lt; 2)", "x = 1\ny = 2"]
    assert "<pre>True\n</pre>" in html and "A &lt; b" in html and "http" not in html


@pytest.mark.slow
def test_pyodide_takes_the_zip(tmp_path):
    if not os.environ.get("PYODIDE_DIR") or not shutil.which("node"):
        pytest.skip("needs Node, and PYODIDE_DIR")
    (tmp_path / "minigan.zip").write_bytes(package())
    script = Path(__file__).with_name("pyodide.mjs")
    done = subprocess.run(["node", script, tmp_path / "minigan.zip"], capture_output=True, text=True)
    assert done.returncode == 0 and "unpacked" in done.stdout, done.stdout + done.stderr
