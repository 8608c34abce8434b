"""Every Python block of the README runs, in order, in one process; printed output shown there is what it prints."""

import contextlib
import importlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|text)\n(.*?)```", README, re.S)


def test_the_first_screen_has_the_picture_and_the_two_commands():
    first = README[:2500]
    assert "docs/digits.png" in first
    assert (
        "python3 -m venv .venv && .venv/bin/pip install -e '.[fast]' && .venv/bin/python -m experiments.mnist\n"
        in first
    )
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest\n" in first


def test_every_python_block_runs_and_prints_what_is_shown(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "readme"}
    printed, checked = "", 0
    for kind, body in BLOCKS:
        if kind == "text":  # the output of the block before
            assert [x.rstrip() for x in printed.strip().split("\n")] == [x.rstrip() for x in body.strip().split("\n")]
            checked += 1
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(body, "README.md", "exec"), names)
        printed = out.getvalue()
    assert checked >= 2


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)", README))))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()


def flags_of(command):
    if command == "minimal":
        return set()
    module = importlib.import_module(f"experiments.{command}")
    module = module if hasattr(module, "parser") else importlib.import_module(f"experiments.{command}.__main__")
    return {flag for action in module.parser()._actions for flag in action.option_strings}


COMMANDS = {
    path.stem: flags_of(path.stem)
    for path in (ROOT / "experiments").iterdir()
    if path.stem not in ("__init__", "cli", "__pycache__")
}


def test_every_command_is_in_the_readme():
    assert {name for name in COMMANDS if f"experiments.{name}" not in README} == set()


def test_every_flag_named_in_the_readme_exists():
    """In a line with a command it is a flag of that command, elsewhere of any."""
    everywhere = set().union(*COMMANDS.values())
    for line in README.splitlines():
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", line.partition("  # ")[0]))
        command = re.search(r"python -m experiments\.(\w+)", line)
        known = COMMANDS[command[1]] if command else everywhere
        assert flags <= known, (line, flags - known)
