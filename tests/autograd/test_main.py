"""python -m autograd."""

import subprocess
import sys
from pathlib import Path

import autograd.__main__ as command


def test_it_says_what_it_is_where_it_lies_and_that_a_gradient_is_right():
    done = subprocess.run([sys.executable, "-W", "error", "-m", "autograd"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the engine of minigan" in done.stdout and "not HIPS autograd" in done.stdout
    assert f"lies in   {Path(command.__file__).resolve().parent}\n" in done.stdout
    assert "python -m pytest tests/test_tiny.py" in done.stdout
    assert ">>> gradcheck(ops.gelu, x)\nright to first and second order" in done.stdout


def test_a_wrong_gradient_is_reported_with_status_1(monkeypatch, capsys):
    def forgets_a_factor(xp, g, x, **options):
        return 0.5 * g

    monkeypatch.setattr(command.ops.gelu.rule, "f", forgets_a_factor)
    assert command.main() == 1
    printed = capsys.readouterr().out
    assert "gradcheck of gelu: the gradient of x is" in printed and "right to" not in printed


def test_the_version_is_that_of_the_distribution(monkeypatch):
    metadata = command.importlib.metadata
    monkeypatch.setattr(metadata, "version", lambda name: {"minigan": "9.8.7"}[name])
    assert command.version() == "minigan 9.8.7"

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert command.version() == "unknown: minigan is not installed"
