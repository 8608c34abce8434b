"""The page of a run in a real browser: opened in headless Chromium and driven by key presses and the mouse."""

import json
import time

import numpy as np
import pytest
from browser import CHROMIUM, Browser

from minigan.figures import image_grid, save_image
from minigan.report import write_report

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


STEPS = range(0, 121, 10)  # of the sample grids
EVALS = (40, 80, 120)
TRAIN = ("loss_d", "loss_g", "d_real", "d_fake", "penalty", "grad_norm_d", "grad_norm_g")


def records():
    rng = np.random.default_rng(3)
    made = [
        {"kind": "train", "step": step, "images": 32 * step, "seconds": 0.5 * step, "images_per_second": 64.0}
        | {key: round(float(rng.gamma(2)), 6) for key in TRAIN}
        for step in range(2, 121, 2)
    ]
    keys = (
        "digit_fid",
        "floor",
        "kid",
        "kid_std",
        "precision",
        "recall",
        "density",
        "coverage",
        "class_kl",
        "confident",
    )
    for step in EVALS:
        figures = {key: float(rng.uniform(0.1, 0.9)) for key in keys}
        counts = {
            "samples": 500,
            "reference": 7500,
            "reference_split": "test",
            "classes": 9,
            "class_shares": [0.1] * 10,
        }
        made.append({"kind": "eval", "step": step, "features": "digits", **figures, **counts})
    return made


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "a run"
    rng = np.random.default_rng(4)
    for step in STEPS:
        save_image(
            image_grid(rng.integers(1, 256, (9, 8, 8), dtype=np.uint8), columns=3), run / f"samples/step-{step:06}.png"
        )
    save_image(image_grid(rng.integers(1, 256, (9, 8, 8), dtype=np.uint8), columns=3), run / "real.png")
    (run / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records()))
    (run / "config.json").write_text(json.dumps({"command": "python -m experiments.mnist", "variant": "relu"}))
    return write_report(run)


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(tab, page):
    """The tab for a test that opens the page; in the end nothing may have been fetched, nor gone wrong."""
    yield tab
    tab.settle()
    wrong = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    assert [event["params"] for event in tab.events if event["method"] in wrong] == []
    sent = [e["params"]["request"]["url"] for e in tab.events if e["method"] == "Network.requestWillBeSent"]
    assert page.as_uri() in sent
    assert [url for url in sent if url != page.as_uri() and not url.startswith("data:")] == []


def shown(browser):
    """What the film says and shows: (step, source of the picture)."""
    step, source = browser.ask(
        "[document.querySelector('.controls output').textContent, document.querySelector('.shown img').src]"
    )
    return int(step.removeprefix("step ")), source


def picture(browser, step):
    return browser.ask(f"document.querySelector('.strip [data-step=\"{step}\"] img').src")


CHART = "[...document.querySelectorAll('.chart')].find(c => c.textContent.includes('Gradient norm'))"


def mark(browser):
    """Where the mark of a chart stands between its first and its last step, by the ends of the axis that is drawn."""
    return browser.ask(
        f"((chart) => {{ const axis = chart.querySelector('[id=patch_3]').getBoundingClientRect();"
        " const mark = chart.querySelector('.mark').getBoundingClientRect();"
        f" return (mark.x - axis.x) / axis.width }})({CHART})"
    )


def test_arrow_keys_move_the_film(browser, page):
    browser.open(page)
    assert shown(browser) == (120, picture(browser, 120))
    browser.click(".controls input", across=0.5)
    assert shown(browser) == (60, picture(browser, 60))
    browser.key("ArrowLeft")
    assert shown(browser) == (50, picture(browser, 50))
    for _ in range(2):
        browser.key("ArrowRight")
    assert shown(browser) == (70, picture(browser, 70))
    browser.key("Home")
    assert shown(browser) == (0, picture(browser, 0))
    browser.key("ArrowLeft")
    assert shown(browser) == (0, picture(browser, 0))
    browser.click("h1")  # no slider in focus
    browser.key("ArrowRight")
    assert shown(browser) == (10, picture(browser, 10))
    browser.click(".strip figure:not([hidden]) ~ figure:not([hidden])")
    assert shown(browser) == (20, picture(browser, 20))
    assert len({picture(browser, step) for step in STEPS}) == len(STEPS)


def test_play_runs_until_it_is_paused_or_at_its_end(browser, page):
    browser.open(page)
    browser.ask(
        "void (window.moved = new Promise(done => {"
        " const slider = document.querySelector('.controls input');"
        " const pause = (_, observer) => { if (+slider.value > 0) {"
        "   observer.disconnect(); document.querySelector('.play').click(); done() } };"
        " new MutationObserver(pause).observe(slider, {attributes: true}) }))"
    )  # the page itself pauses at the first picture that follows: however slow we are, it does not play on
    browser.click(".play")  # at the end: from the beginning
    browser.ask("window.moved")
    assert shown(browser) == (10, picture(browser, 10))
    time.sleep(1)  # two pictures' time
    assert shown(browser) == (10, picture(browser, 10))
    browser.click(".controls input", across=0.85)
    browser.click(".play")
    until = time.monotonic() + 60
    while browser.ask("document.querySelector('.play').ariaLabel") == "Pause":
        assert time.monotonic() < until
    assert shown(browser) == (120, picture(browser, 120))


def test_the_charts_are_marked_at_the_step_of_the_film(browser, page):
    browser.open(page)
    assert browser.ask("document.querySelectorAll('.chart svg').length") == 9
    assert browser.ask("document.querySelectorAll('.mark').length") == 8  # all charts but the one of the classes
    for step, across in ((0, 0.0), (60, 0.5), (90, 0.75)):
        browser.click(".controls input", across=0.01 + 0.98 * across)
        assert shown(browser)[0] == step
        assert mark(browser) == pytest.approx(step / 120, abs=0.01)
    browser.key("ArrowRight")
    assert mark(browser) == pytest.approx(100 / 120, abs=0.01)


@pytest.mark.parametrize("width", [1280, 700])
@pytest.mark.parametrize("dark", [False, True])
def test_light_and_dark_and_narrow(browser, page, width, dark):
    browser.open(page, width=width, dark=dark)
    paper = (27, 29, 32) if dark else (255, 255, 255)
    accent = (255, 171, 64) if dark else (204, 106, 0)  # of the ReLU runs
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth")
    for selector in (".shown", ".chart:nth-child(2)"):
        browser.place(selector)
        pixels = browser.screenshot()
        assert tuple(pixels[5, 5]) == paper
        assert 0.02 < (pixels != paper).any(axis=-1).mean() < 0.9
        assert (pixels == accent).all(axis=-1).sum() > 300


def test_without_script_the_last_grid_the_strip_and_the_curves(browser, page):
    browser.open(page, script=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)  # of the page; asking needs it
    visible = "e => e.checkVisibility() && e.getBoundingClientRect().width > 50"
    assert browser.ask(f"[...document.querySelectorAll('.strip img')].filter({visible}).length") == 8
    assert browser.ask("document.querySelector('.shown img').src") == picture(browser, 120)
    assert browser.ask(f"[...document.querySelectorAll('.chart svg')].filter({visible}).length") == 9
    assert not browser.ask("[...document.querySelectorAll('.controls, .mark')].some(e => e.checkVisibility())")


def test_no_other_script_would_run(tab, page):
    tab.open(page)
    tab.ask("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    tab.ask("document.body.insertAdjacentHTML('beforeend', '<img src=data:, onerror=\"window.ran = 1\">')")
    tab.settle()
    assert tab.ask("window.ran") is None
    assert tab.ask("fetch('http://127.0.0.1:9/').then(() => 'fetched', error => 'refused')") == "refused"
    refused = [e["params"]["entry"]["text"] for e in tab.events if e["method"] == "Log.entryAdded"]
    assert sum("Content Security Policy" in text for text in refused) >= 3


def test_names_of_a_run_are_text(tab, tmp_path):
    evil = "<img src=x onerror=ran=1>"
    run = tmp_path / evil
    run.mkdir()
    config = {"variant": evil, "command": evil, "parameters": {evil: 3}, "data": {evil: evil, "note": evil}}
    (run / "config.json").write_text(json.dumps(config))
    (run / "log.jsonl").write_text(json.dumps({"kind": "train", "step": 1, "loss_d": 1.0}) + "\n")
    tab.open(write_report(run))
    assert tab.ask("document.querySelectorAll('img').length") == 0
    assert tab.ask("document.querySelector('h1').textContent") == evil
