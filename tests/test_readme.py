"""Every Python block of the README runs and prints what is shown. Links, commands and flags of the docs exist."""

import contextlib
import importlib
import io
import re
from decimal import Decimal
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = {path: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
README, COMMAND_PAGE = PAGES[ROOT / "README.md"], PAGES[ROOT / "docs" / "commands.md"]
BLOCKS = re.findall(r"```(python|text)\n(.*?)```", README, re.S)
NUMBER = re.compile(r"(?<![\w.])(± )?(-?\d+(?:\.\d*)?(?:e[-+]\d+)?)(?!\w)")


def agree(printed, shown):
    """The same text up to the width of columns, and the same numbers up to the rounding that the processor decides."""
    texts = [" ".join(NUMBER.sub("#", text).split()) for text in (printed, shown)]
    pairs = zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=False)
    return texts[0] == texts[1] and all(sign == other and close(a, b, sign) for (sign, a), (other, b) in pairs)


def close(printed, shown, is_an_error):
    """One unit of the last digit, and 1e-7 of the number.

    gradcheck divides its random cotangent by weights that hold 1e6 × the estimated error of a slope, about 1e-4 of the
    slope here. Rounding in exp moves that estimate by some 1e-4 of itself, and so every number printed by some 1e-8.
    An estimate behind "±" is good to its order of magnitude.
    """
    a, b = Decimal(printed), Decimal(shown)
    if is_an_error:
        return b / 10 <= a <= 10 * b
    if not set(".e") & set(printed + shown):
        return a == b
    unit = Decimal(1).scaleb(min(a.as_tuple().exponent, b.as_tuple().exponent))
    return abs(a - b) <= unit + abs(b) / 10**7


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
            assert agree(printed, body), printed
            checked += 1
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(body, "README.md", "exec"), names)
        printed = out.getvalue()
    assert checked >= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    """To a file that exists, and to one of its headings where a heading is named."""
    for link, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", PAGES[page]):
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
