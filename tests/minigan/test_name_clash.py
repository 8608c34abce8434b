"""HIPS distributes another package named `autograd`: where it is installed too, one sentence says how to heal it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HIPS = "from .differential_operators import grad\n"  # the beginning of its __init__.py is enough
CURE = "run `pip uninstall autograd`, then `pip install -e .` in the checkout of minigan"


def hidden(site: Path) -> None:
    """Ours is installed editable: the other one comes first on the path, whichever was installed first."""
    (site / "autograd").mkdir()
    (site / "autograd" / "__init__.py").write_text(HIPS)
    (site / "autograd" / "differential_operators.py").write_text("def grad(f): ...\n")


def overwritten(site: Path) -> None:
    """Ours is installed plainly, the other one after it: both lie in one folder, under its __init__.py."""
    shutil.copytree(ROOT / "autograd", site / "autograd", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "autograd" / "__init__.py").write_text(HIPS)
    (site / "autograd" / "differential_operators.py").write_text("def grad(f): ...\n")


def uninstalled(site: Path) -> None:
    """The other one was installed last and then uninstalled: it took our __init__.py away."""
    shutil.copytree(ROOT / "autograd", site / "autograd", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "autograd" / "__init__.py").unlink()


@pytest.fixture(params=[hidden, overwritten, uninstalled], ids=lambda install: install.__name__)
def site(request, tmp_path):
    """A folder with our packages, as site-packages would hold them, but for autograd."""
    for package in ("nn", "minigan", "experiments"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.h5"))
    request.param(tmp_path)
    return tmp_path


def python(site, *arguments):
    """A process that sees `site` and the standard library (-S), whatever is installed."""
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=site, env={"PYTHONPATH": str(site)}, timeout=60)


@pytest.mark.parametrize("module", ["minigan", "minigan.losses"])
def test_an_import_fails_with_one_sentence(site, module):
    done = python(site, "-c", f"import {module}")
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert last.startswith("ImportError: `import autograd` finds ") and CURE in last


@pytest.mark.parametrize("module", ["experiments.mnist", "experiments.poster", "experiments.fid"])
def test_a_command_ends_with_one_sentence_and_status_2(site, module):
    done = python(site, "-m", module, "--help")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: `import autograd` finds ") and CURE in line


def test_the_sentence_names_the_other_package(tmp_path):
    shutil.copytree(ROOT / "minigan", tmp_path / "minigan", ignore=shutil.ignore_patterns("__pycache__", "*.h5"))
    hidden(tmp_path)
    assert f"finds another package ({tmp_path / 'autograd'})" in python(tmp_path, "-c", "import minigan").stderr


def test_looking_does_not_load_numpy():
    code = "import sys, minigan, experiments; sys.exit('numpy' in sys.modules or 'autograd' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
