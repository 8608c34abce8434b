"""The site: its sources, and, where Sphinx and Chromium are, the built pages as a phone and a projector show them."""

import contextlib
import shutil
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser

from experiments.docs import sources
from experiments.docs.__main__ import main
from experiments.docs.api import page, prose, reference
from experiments.docs.site import MARK, check_place, dead_links, put_in_place
from experiments.docs.sources import Sources
from minigan.errors import InputError


def test_prose_is_no_markup():
    assert prose("x_i *xs |x| <b> `a_b`") == r"x\_i \*xs \|x\| \<b\> `a_b`"
    assert prose("First.\n\n    y = 2 x\n\nLast.") == "First.\n\n```text\n    y = 2 x\n```\n\nLast."


def test_an_entry_shows_signature_and_methods():
    text = page("nn.linear", reference()["nn"]["nn.linear"])
    assert "{py:class} nn.linear.Linear(in_features: int, out_features: int" in text
    assert "{py:method} nn.linear.Linear.product(x: Tensor)" in text


def linked(text, name="docs/tour.md"):
    made = Sources()
    return sources._linked(text, name, {"docs/tour.md", "README.md"}, made), made


def test_links_lead_to_pages_code_and_files():
    assert linked("[a](../README.md#x)")[0] == "[a](../README.md#x)"
    text, made = linked("[a](../nn/linear.py)")
    assert text == "[a](../source/nn/linear.py.md)" and made.code == {"nn/linear.py"}
    text, made = linked("[its page](poster.html)")
    assert text == '<a href="poster.html">its page</a>' and made.files == {"docs/poster.html"}
    assert linked("![d](digits.png)")[1].pictures == {"docs/digits.png"}
    assert linked("`[a](nowhere.py)`\n\n```text\n[a](nowhere.py)\n```")[1].code == set()
    nested = "````markdown\n```python\n```\n[a](nowhere.py)\n````\n[a](../nn/linear.py)"
    assert linked(nested)[1].code == {"nn/linear.py"}


def test_a_dead_link_is_an_error():
    with pytest.raises(InputError, match=r"docs/tour.md links to gone.md, and there is no docs/gone.md"):
        linked("[a](gone.md)")


def test_dead_links_of_built_pages_are_found(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#here"></a><a href="b.html#gone"></a><img src="no.png">')
    (tmp_path / "b.html").write_text('<p id="here"></p><a href="https://example.org/x"></a>')
    assert dead_links(tmp_path) == ["a.html: b.html#gone", "a.html: no.png"]


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").touch()
    (tmp_path / ".nojekyll").touch()  # other sites have it too
    with pytest.raises(InputError, match="holds something else than a site of this command"):
        main(["--out", str(tmp_path)])
    assert (tmp_path / "thesis.txt").exists()


def pages(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_site_is_replaced_as_a_whole(tmp_path):
    first, second, out = tmp_path / "first", tmp_path / "second", tmp_path / "to" / "site"
    for built, name in ((first, "a.html"), (second, "b.html")):
        built.mkdir()
        (built / name).touch()
    out.mkdir(parents=True)
    for built in (first, second):
        check_place(out)
        put_in_place(built, out)
        assert pages(out) == [MARK, *pages(built)] and pages(out.parent) == ["site"]


@pytest.mark.parametrize("killed_at", range(6))
def test_a_kill_leaves_the_old_site_or_the_new_one(killed_at, tmp_path, monkeypatch):
    """Killed before the first, the second … of five steps: copying, marking, two renames, deleting."""
    out, built = tmp_path / "site", tmp_path / "built"
    changes = 0

    def counted(f):
        def change(*args, **options):
            nonlocal changes
            changes += 1
            if changes > killed_at:
                raise KeyboardInterrupt
            return f(*args, **options)

        return change

    built.mkdir()
    for name in ("index.html", "other.html"):
        (built / name).write_text("old")
    put_in_place(built, out)
    (built / "index.html").write_text("new")
    (built / "other.html").unlink()
    with monkeypatch.context() as patched:
        for place, name in ((shutil, "copytree"), (shutil, "rmtree"), (Path, "rename"), (Path, "write_text")):
            patched.setattr(place, name, counted(getattr(place, name)))
        with contextlib.suppress(KeyboardInterrupt):
            put_in_place(built, out)
    kept = out if out.exists() else tmp_path / ".site.old"
    text = (kept / "index.html").read_text()
    assert pages(kept) == [MARK, "index.html", *["other.html"] * (text == "old")]
    put_in_place(built, out)
    assert pages(out) == [MARK, "index.html"] and pages(tmp_path) == ["built", "site"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("sphinx")
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    pytest.importorskip("latex2mathml")
    out = tmp_path_factory.mktemp("built") / "site"
    assert main(["--out", str(out)]) == 0  # no warning, no dead link
    return out


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of Sphinx and its themes are not ours
def test_the_pages_fit_and_fetch_nothing(site, tmp_path):
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    browser = Browser(tmp_path)
    try:
        lectures = sorted((site / "docs" / "lectures").glob("[0-9]*.html"))[:1]
        for page in (site / "index.html", *lectures, site / "ops" / "softmax.html", site / "api" / "nn.linear.html"):
            for width, height in ((390, 844), (1920, 1080)):
                browser.open(page, width, height)
                assert browser.ask("document.documentElement.scrollWidth") <= width, page
                asked = [
                    e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"
                ]
                assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
                assert browser.ask("document.querySelectorAll('h1').length") == 1
    finally:
        browser.close()
