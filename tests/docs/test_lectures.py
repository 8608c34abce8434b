"""Every lecture runs, prints what it shows, draws its picture, and has the form of docs/lectures/README.md."""

import re
import time
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from pages import run_page
from PIL import Image
from slow import slow_but_the_first

from experiments import lectures
from experiments.lectures import minutes

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "lectures"
LECTURES = sorted(path.name for path in FOLDER.glob("[0-9]*.md"))
EXERCISES = {path.name for path in (ROOT / "experiments" / "learn" / "exercises").iterdir()}


def test_what_is_made_from_the_lectures_is_current(capsys):
    assert lectures.main(["--check"]) == 0, capsys.readouterr().out


def test_no_picture_and_no_notebook_is_left_over():
    assert {path.name for path in (FOLDER / "figures").iterdir()} == {p for name in LECTURES for p in pictures(name)}
    assert {path.stem for path in (FOLDER / "notebooks").glob("*.ipynb")} == {name[:-3] for name in LECTURES}


def test_the_list_of_lectures_has_their_titles():
    listed = dict(re.findall(r"^\d+\. \[(.+)\]\((\d\d-.+\.md)\)$", read("README.md"), re.M))
    titles = {read(name).partition("\n")[0].partition(". ")[2]: name for name in LECTURES}
    assert titles.items() <= listed.items() and list(listed.values()) == sorted(listed.values())


def read(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def prose(name):
    """The page without its code."""
    return re.sub(r"^```.*?^```$", "", read(name), flags=re.S | re.M)


def pictures(name):
    return re.findall(r"\]\(figures/([^)]+)\)", read(name))


@pytest.fixture
def quiet_figures():
    """Figures are drawn without a window, and end with the test."""
    backend = matplotlib.get_backend()
    matplotlib.use("Agg")
    with matplotlib.rc_context():
        yield
    plt.close("all")
    matplotlib.use(backend)


@pytest.mark.parametrize("name", slow_but_the_first(LECTURES))
def test_it_runs_prints_what_it_shows_and_draws_its_picture(
    name, monkeypatch, tmp_path, quiet_figures, record_property
):
    """It should take less than 60 s of one core: the report of pytest has the figure, and no test races a clock."""
    monkeypatch.chdir(tmp_path)
    start = time.process_time()
    assert run_page(read(name), name) >= 2
    record_property("process_seconds", round(time.process_time() - start, 1))
    assert {path.name for path in tmp_path.glob("[0-9]*.png")} == set(pictures(name))
    for picture in pictures(name):
        with Image.open(tmp_path / picture) as drawn, Image.open(FOLDER / "figures" / picture) as kept:
            assert drawn.size == kept.size


@pytest.mark.parametrize("name", LECTURES)
class TestTheForm:
    def test_a_question_and_a_picture_come_first(self, name):
        title, question, picture, caption, *_ = read(name).split("\n\n")
        assert re.fullmatch(rf"# {int(name[:2])}\. .+", title)
        assert re.match(r"\*\*.+\?\*\* ", question)
        assert re.fullmatch(rf"!\[.{{20,}}\]\(figures/{name[:-3]}\.png\)", picture)
        assert re.fullmatch(r"\*[^*].*\*", caption)

    def test_it_says_how_to_run_it(self, name):
        assert read(name).split("\n\n")[4] == lectures.run_it(name[:-3])

    def test_it_says_what_the_student_can_do_afterwards(self, name):
        (goals,) = re.findall(r"^\*\*After this lecture you can\*\*\n\n((?:- .+\n)+)", read(name), re.M)
        assert len(goals.splitlines()) >= 2

    def test_the_minutes_are_those_of_its_sections(self, name):
        sections = re.findall(r"^## (.+)$", prose(name), re.M)
        whole, short = (minutes(read(name), label) for label in ("Minutes", "In 20 minutes"))
        assert list(whole) == sections
        assert [section for section in sections if section in short] == list(short)
        assert sum(whole.values()) == 45 and sum(short.values()) == 20

    def test_three_questions_have_folded_answers(self, name):
        room = read(name).split("\n## For the room\n")[1].split("\n## ")[0]
        questions = re.findall(r"^\*\*(\d)\. .+\?\*\*", room, re.M)
        answers = re.findall(r"<details><summary>Answer</summary>\n\n.+?\n\n</details>", room, re.S)
        assert questions == ["1", "2", "3"] and len(answers) == 3

    def test_it_ends_with_exercises_that_exist(self, name):
        end = read(name).split("\n## Exercises\n")[1]
        named = re.findall(r"^- `([\w-]+)`", end, re.M)
        assert named and set(named) <= EXERCISES

    def test_links_lead_somewhere(self, name):
        for link in re.findall(r"\]\((?!http|#)([^)#]+)", prose(name)):
            assert (FOLDER / link).exists(), link

    def test_github_leaves_its_mathematics_alone(self, name):
        """It reads formulas as Markdown first: github.com/github/markup/issues/1746."""
        text = re.sub(r"`[^`\n]+`", "", prose(name))
        blocks = re.findall(r"(?<=\n\n)\$\$(.+)\$\$(?=\n\n)", text)
        lines = re.findall(r"(?<![\w$-])\$(?! )([^$\n]+)(?<! )\$(?![\w$])", text)
        assert 4 * len(blocks) + 2 * len(lines) == text.count("$"), "a $ that belongs to no formula"
        for formula in blocks + lines:
            changed = re.findall(r"\\[!-/:-@\[-`{-~]|(?<![A-Za-z0-9])_|\*|\]\(|(?<! )<|<(?! )", formula)
            assert not changed, f"{formula} has {changed}"

    def test_its_pictures_are_small_files_of_a_projector_s_width(self, name):
        for picture in pictures(name):
            path = FOLDER / "figures" / picture
            assert path.stat().st_size < 150_000
            with Image.open(path) as image:
                assert image.width == 1920
                assert np.asarray(image.convert("L")).mean() > 128  # light
