"""Every Python block of the README runs and prints what is shown. Links, commands and flags of the docs exist."""

import importlib
import re
from pathlib import Path

import pytest
from pages import agree, run_page

ROOT = Path(__file__).parent.parent
PAGES = {path: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
README, COMMAND_PAGE = PAGES[ROOT / "README.md"], PAGES[ROOT / "docs" / "commands.md"]


def test_agree_allows_rounding_and_nothing_else():
    shown = "x[1, 0]   0.5683938  6.072  -6.15544504 ± 8e-09"
    assert agree("x[1, 0] 0.5683937  6.071  -6.15544512 ± 2e-09\n", shown)
    for right, wrong in {
        "[1, 0]": "[1, 1]",
        "0.5683938": "0.568395",
        "6.072": "6.07",
        "-6.155": "6.155",
        "-6.15544504": "-6.155447",
        "8e-09": "9e-08",
        "± ": "",
        "[": "(",
    }.items():
        assert not agree(shown.replace(right, wrong), shown), wrong


def test_the_first_screen_has_the_picture_and_the_commands():
    first = README[:2500]
    assert "docs/digits.png" in first
    assert "python3 -m venv .venv && source .venv/bin/activate\npip install -e '.[fast,lectures]'\n" in first
    assert "docs/lectures/01-one-op.md" in first
    assert (
        "python3 -m venv .venv && .venv/bin/pip install -e '.[fast]' && .venv/bin/python -m experiments.mnist\n"
        in first
    )
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest\n" in first


def test_every_python_block_runs_and_prints_what_is_shown(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run_page(README, "README.md") >= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    """To a file that exists, and to one of its headings where a heading is named."""
    prose = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.S | re.M)
    for link, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", prose):
        target = (page.parent / link).resolve() if link else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), (link, anchor)


def anchors(page):
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def flags_of(command):
    module = importlib.import_module(f"experiments.{command}")
    module = module if hasattr(module, "parser") else importlib.import_module(f"experiments.{command}.__main__")
    return {flag for action in module.parser()._actions for flag in action.option_strings}


COMMANDS = {
    path.stem: flags_of(path.stem)
    for path in (ROOT / "experiments").iterdir()
    if path.suffix == ".py"
    and path.stem not in ("__init__", "cli", "minimal", "text")
    or (path / "__main__.py").exists()
}


def test_every_command_is_in_the_readme_or_the_page_of_commands():
    assert {name for name in COMMANDS if f"experiments.{name}" not in README + COMMAND_PAGE} == set()


def test_every_flag_that_is_named_there_exists():
    """In a line with a command it is a flag of that command, elsewhere of any."""
    everywhere = set().union(*COMMANDS.values())
    for line in (README + COMMAND_PAGE).splitlines():
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", line.partition("  # ")[0]))
        command = re.search(r"python -m experiments\.(\w+)", line)
        known = COMMANDS.get(command[1], set()) if command else everywhere
        assert flags <= known, (line, flags - known)
