"""What pyproject.toml promises about the installed package."""

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import minigan
from experiments import NEEDED
from experiments.cli import command_line

tomllib = pytest.importorskip("tomllib")  # Python 3.11

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SCRIPTS = PROJECT["project"]["scripts"]
PACKAGES = ("autograd", "nn", "minigan", "experiments")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_console_script_calls_a_function(script):
    module, _, function = SCRIPTS[script].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert script == "minigan-" + module.split(".")[1].replace("_", "-")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_run_remembers_the_module_of_its_console_script(script, monkeypatch):
    """By the module in its command line, a run knows which command may resume it."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    monkeypatch.setattr(sys, "argv", [f"/usr/local/bin/{script}", "--steps", "2"])
    module = SCRIPTS[script].partition(":")[0].removesuffix(".__main__")
    assert command_line() == f"python -m {module} --steps 2"


def test_every_command_has_a_console_script():
    places = (ROOT / "experiments").iterdir()
    commands = {path.stem for path in places if path.suffix == ".py" or (path / "__main__.py").exists()}
    scripted = {target.split(".")[1].partition(":")[0] for target in SCRIPTS.values()}
    assert scripted == commands - {"__init__", "cli"}


def test_every_file_that_is_not_python_is_packaged():
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for package in PACKAGES:
        found = {path for path in (ROOT / package).rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
        found = {path for path in found if "__pycache__" not in path.parts}
        packaged = {path for glob in data["*"] + data.get(package, []) for path in (ROOT / package).glob(glob)}
        assert packaged >= found and ROOT / package / "py.typed" in found


def test_the_version_is_written_once():
    assert PROJECT["project"]["dynamic"] == ["version"] and "version" not in PROJECT["project"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"]["attr"] == "minigan.__version__"
    assert minigan.__version__.count(".") == 2


def test_the_commands_look_for_the_packages_that_the_project_needs():
    needed = {re.match(r"[\w-]+", line)[0] for line in PROJECT["project"]["dependencies"]}
    assert {name.lower() for name in NEEDED.values()} == needed
