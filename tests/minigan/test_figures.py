"""Pictures of a run: grids, animations and curves, the log behind them and the report that shows them."""

import base64
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from slow import slow_but_the_first

from minigan.charts import TWINS, Chart, Line, chart_grid, smooth
from minigan.curves import curves_png, run_charts
from minigan.errors import InputError
from minigan.figures import image_grid, save_animation, save_image
from minigan.files import write_bytes
from minigan.log import read_log
from minigan.page import film
from minigan.report import write_report


def noise(*shape, seed=0):
    """Images without a black pixel: black belongs to the gaps."""
    return np.random.default_rng(seed).integers(1, 256, shape, dtype=np.uint8)


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def write_log(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def train_records(steps):
    rng = np.random.default_rng(1)
    keys = ("loss_d", "loss_g", "d_real", "d_fake", "penalty")
    return [
        {"kind": "train", "step": step, "images": 32 * step, "seconds": 0.5 * step, "images_per_second": 64.0}
        | {key: float(rng.normal()) for key in keys}
        for step in range(1, steps + 1)
    ]


EVALUATION = {
    "kind": "eval",
    "step": 40,
    "digit_fid": 186.0,
    "floor": 9.3,
    "classes": 9,
    "confident": 0.87,
    "class_shares": [0.0, 0.2, *[0.1] * 8],
    "class_kl": 0.0223,
    "bright": 0.0519,
    "faint": 0.0157,
    "real_bright": 0.0653,
    "real_faint": 0.0101,
    "samples": 1000,
    "reference": 7500,
    "reference_split": "test",
    "features": "digits",
    "kid": 0.0123,
    "kid_std": 0.0045,
    "precision": 0.61,
    "recall": 0.42,
    "density": 0.71,
    "coverage": 0.52,
}


# Grids


@pytest.mark.parametrize("channels", [(), (3,)])
def test_grid_places_every_pixel(channels):
    images = noise(5, 4, 3, *channels)
    grid = image_grid(images, columns=2, scale=2)
    assert grid.shape == (2 * (3 * 4 + 4), 2 * (2 * 3 + 2), *channels)
    small = grid[::2, ::2]
    np.testing.assert_array_equal(grid, small.repeat(2, axis=0).repeat(2, axis=1))
    for i, image in enumerate(images):
        top, left = i // 2 * 6, i % 2 * 5
        np.testing.assert_array_equal(small[top : top + 4, left : left + 3], image)
    assert np.count_nonzero(small) == images.size  # the gaps and the end of the ragged last row are black


def test_grid_is_no_wider_than_its_images():
    assert image_grid(noise(3, 8, 8), columns=10).shape == (8, 28)


def test_grid_refuses_what_is_not_images():
    sizes = ((0, 4, 4), (4, 4), (4, 3, 3, 7), (4, 3, 3, 1))
    for images in (np.zeros((2, 4, 4)), *(np.zeros(size, np.uint8) for size in sizes)):
        with pytest.raises(ValueError, match="uint8"):
            image_grid(images)


def test_saved_image_reads_back(tmp_path):
    for array in (noise(7, 5), noise(7, 5, 3)):
        save_image(array, tmp_path / "new" / "image.png")
        np.testing.assert_array_equal(read(tmp_path / "new" / "image.png"), array)


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(TypeError):
        write_bytes(path, "not bytes")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# Animation


def frames_of(path):
    with Image.open(path) as image:
        shown = []
        for i in range(image.n_frames):
            image.seek(i)
            shown.append((np.asarray(image.convert("RGB")), image.info["duration"]))
        return shown, image.info.get("loop")


def grids(directory, frames):
    """Sample grids as a run writes them: every 10 steps."""
    paths = [directory / "samples" / f"step-{10 * i:06d}.png" for i in range(len(frames))]
    for frame, path in zip(frames, paths, strict=True):
        save_image(frame, path)
    return paths


@pytest.mark.slow
@pytest.mark.parametrize("channels", [(), (3,)])
def test_animation_shows_grids_and_their_steps(tmp_path, channels):
    made = [noise(40, 400, *channels, seed=i) for i in range(90)]
    save_animation(grids(tmp_path, made), tmp_path / "samples.gif")
    frames, loop = frames_of(tmp_path / "samples.gif")
    assert (len(frames), loop) == (60, 0)
    assert [duration for _, duration in frames] == [100] * 59 + [1500]
    assert frames[0][0].shape == (40 + 32, 400, 3)  # the frame and the strip of the caption
    if channels == ():
        for frame, i in ((frames[0][0], 0), (frames[-1][0], 89)):  # the first and the last are among those chosen
            assert np.abs(frame[:40, :, 0].astype(int) - made[i]).max() <= 9  # 16 greys
    assert np.any(frames[0][0][40:, :80] != frames[-1][0][40:, :80])  # "step 0", "step 890"


@pytest.mark.slow
def test_animation_of_pure_noise_stays_small(tmp_path):
    save_animation(grids(tmp_path, [noise(300, 400, seed=seed) for seed in range(40)]), tmp_path / "noise.gif")
    assert (tmp_path / "noise.gif").stat().st_size < 1_500_000
    assert len(frames_of(tmp_path / "noise.gif")[0]) == 12


def test_animation_enlarges_small_frames(tmp_path):
    frames = [noise(20, 298, seed=seed) // 17 * 17 for seed in range(2)]  # greys the palette has
    save_animation(grids(tmp_path, frames), tmp_path / "small.gif")
    for frame, (shown, _) in zip(frames, frames_of(tmp_path / "small.gif")[0], strict=True):
        np.testing.assert_array_equal(shown[:40, :, 0], frame.repeat(2, axis=0).repeat(2, axis=1))


def test_animation_refuses_no_frames_and_mixed_sizes(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        save_animation([], tmp_path / "none.gif")
    first, second, last = grids(tmp_path, [noise(8, 8), noise(9, 8), noise(9, 8)])
    second.write_bytes(b"")
    save_animation([first, second, last], tmp_path / "mixed.gif")  # the damaged one and the smaller one are left out
    with Image.open(tmp_path / "mixed.gif") as animation:
        assert animation.n_frames == 1
    last.write_bytes(b"")
    with pytest.raises(ValueError, match="no frame"):
        save_animation([second, last], tmp_path / "none.gif")
    assert [path.name for path in tmp_path.glob("*.gif")] == ["mixed.gif"]


# Log and curves


def test_log_keeps_the_last_record_of_a_step_and_passes_over_cut_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    lines = [
        '{"kind": "train", "step": 10, "loss_d": 1.0}',
        '{"kind": "train", "step": 20, "loss_d": 2.0}',
        '{"kind": "eval", "step": 20, "floor": 9.0}',
        '{"kind": "tr{"kind": "train", "step": 10, "loss_d": 7.0}',  # cut by a kill, then resumed
        '{"kind": "train", "step": 15, "loss_d": NaN}',
        '{"kind": "train", "step": 20, "loss_d": 3.0}',
        '{"kind": "train", "step": 30, "lo',
    ]
    path.write_text("\n".join(lines))
    records = read_log(path)
    assert [(r["kind"], r["step"]) for r in records] == [
        ("train", 10),
        ("train", 15),
        ("train", 20),
        ("eval", 20),
    ]
    assert records[0]["loss_d"] == 1.0
    assert records[2]["loss_d"] == 3.0


def test_log_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_log(tmp_path / "log.jsonl")
    (tmp_path / "log.jsonl").write_text("step,loss\n1,2\n")
    with pytest.raises(InputError, match="not the log of a run"):
        read_log(tmp_path / "log.jsonl")
    (tmp_path / "log.jsonl").write_text("")
    assert read_log(tmp_path / "log.jsonl") == []


def test_smooth_is_the_mean_around_each_point():
    values = np.random.default_rng(2).normal(size=200)
    np.testing.assert_allclose(smooth(values)[100], values[96:105].mean())
    np.testing.assert_allclose(smooth(values)[-1], values[-5:].mean())
    np.testing.assert_array_equal(smooth(values[:10]), values[:10])


def coloured(path, hexadecimal):
    """How many pixels of a picture are of this colour, as exactly as a palette of 256 colours keeps it."""
    rgb = [int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5)]
    with Image.open(path) as image:
        off = np.asarray(image.convert("RGB")).astype(int) - rgb
    return np.all(abs(off) <= 8, axis=-1).sum()


def test_curves_show_what_was_logged(tmp_path):
    records = train_records(50)
    for name, *arguments in (("train", records), ("full", [*records, EVALUATION], "vitgan")):
        write_bytes(tmp_path / f"{name}.png", curves_png(*arguments))
    write_bytes(tmp_path / "vanilla.png", curves_png([*records, EVALUATION], "vanilla"))
    train, full, vanilla = (tmp_path / f"{name}.png" for name in ("train", "full", "vanilla"))
    (height, width), (higher, as_wide) = read(train).shape, read(full).shape
    assert as_wide == width and abs(higher - 3 * height) < 3  # rows of three charts; each may lose part of a pixel
    discriminator, generator, red, blue = "#00808a", "#8a3fb5", "#d62828", "#2563c9"
    assert coloured(train, discriminator) > 500 and coloured(train, generator) > 500
    assert coloured(full, red) > 50 and coloured(full, blue) == 0
    assert coloured(vanilla, blue) > 50 and coloured(vanilla, red) == 0


@pytest.mark.parametrize(
    "records",
    [
        [],
        [{"kind": "train", "step": 1}],
        [{"kind": "train", "step": 1, "loss_d": float("nan"), "loss_g": 0.7, "penalty": None}],
        [{"kind": "eval", "step": 0, "digit_fid": 0.0, "floor": 0.0}],
        [{"kind": "eval", "step": 5, "classes": 3}],
        [{"kind": "eval", "step": 5, "kid": 0.5, "kid_std": 0.1, "class_shares": [1.0, 0.0]}],
    ],
)
def test_curves_of_next_to_nothing(records):
    assert curves_png(records).startswith(b"\x89PNG")


@pytest.mark.slow
def test_every_colour_of_a_chart_has_a_twin_for_dark_paper():
    html = chart_grid(run_charts([*train_records(50), EVALUATION], "cnn"))
    pairs = re.findall(r"light-dark\((#\w{6}), (#\w{6})\)", html)
    assert set(pairs) <= TWINS.items() and len(set(pairs)) == 6  # ink, quiet, grid, D, G and the run
    alone = set(re.findall(r"(?:fill|stroke): (#\w{3,6})", html))
    assert alone <= {"#000000"}  # of shapes that are not painted


def test_a_spike_does_not_flatten_a_smoothed_line():
    values = np.random.default_rng(0).normal(1, 0.1, 500)
    values[77] = 900.0
    low, high = Chart("loss", [Line("loss", "#00808a", np.arange(500.0), values, smoothed=True)]).limits()
    assert low < 1 < high < 3
    low, high = Chart("loss", [Line("loss", "#00808a", np.arange(500.0), values)]).limits()
    assert high > 900


def test_all_charts_of_a_page_share_the_last_step():
    steps = np.array([1.0, 40.0])
    charts = [Chart(name, [Line(name, "#00808a", n * steps, steps)]) for n, name in ((1, "a"), (3, "b"))]
    assert chart_grid(charts).count("var(--step) / 120)") == 2
    assert chart_grid([]) == ""


def test_the_charts_of_a_long_log_stay_small():
    rng = np.random.default_rng(5)
    lines = [
        Line(name, "#00808a", np.arange(0.0, 200_000, 10), rng.normal(size=20_000), smoothed=True) for name in "ab"
    ]
    assert len(chart_grid([Chart("a title", lines)])) < 200_000


def test_text_of_a_chart_is_text():
    evil = "</svg><script>alert(1)</script><img src=x>"
    html = chart_grid([Chart(evil, [Line(evil, "#00808a", np.ones(1), np.ones(1))], note=evil)])
    assert "<script" not in html and "<img" not in html and html.count("&lt;script&gt;") == 3


# Report


class Page(HTMLParser):
    """What a page would load, the tags it has, and the text a reader sees."""

    def __init__(self, path):
        super().__init__()
        self.links, self.tags, self.words, self.script = [], [], "", ""
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for key, value in attributes if key in ("src", "srcset", "href", "data")]

    def handle_data(self, data):
        if self.tags[-1:] == ["script"]:
            self.script += data
        elif self.tags[-1:] != ["style"]:
            self.words += data


def full_run(run):
    grid = image_grid(noise(4, 7, 7), columns=2)
    for step in range(0, 60, 5):
        save_image(grid, run / "samples" / f"step-{step:06d}.png")
    save_image(grid, run / "samples.png")
    save_image(grid, run / "real.png")
    save_animation(sorted((run / "samples").iterdir()), run / "samples.gif")
    write_log(run / "log.jsonl", [*train_records(50), EVALUATION])
    config = {
        "command": "python -m experiments.mnist --seed 0 --note 'a < b'",
        "variant": "relu",
        "preset": "small",
        "parameters": {"generator": 224001, "discriminator": 154113},
        "data": {"note": "Drawn by <hand> & pen.", "size": 28},
        "generator": {"width": 64, "siren": {"omega": 30.0}, "norm": None},
    }
    (run / "config.json").write_text(json.dumps(config))


def test_report_holds_everything_and_loads_nothing(tmp_path):
    full_run(tmp_path / "vitgan")
    path = write_report(tmp_path / "vitgan")
    assert path == tmp_path / "vitgan" / "report.html"
    page = Page(path)
    images = [link for link in page.links if not link.startswith("#")]  # "#…" is a shape of a chart, drawn repeatedly
    assert len(images) == 2 + 12  # the last samples and real ones, the film
    assert all(image.startswith("data:image/png;base64,") for image in images)
    assert not re.search(r"https?:(?!//www.w3.org/)|url\((?!#)|@import|<link|<script src", page.html)
    shown = [
        "vitgan",
        "digit-FID 186",
        "20 ×",
        "9 of 10 classes",
        "87%",
        "1,600",
        "25 s",
        "64",
        "224,001",
        "20.0",
    ]
    shown += ["step 55", "siren.omega", "30.0", "none", "Drawn by <hand> & pen.", "--note 'a < b'"]
    shown += [
        "not the Inception FID",
        "0.0123",
        "± 0.0045, digit features",
        "0.61",
        "coverage 0.52",
        "0.0223",
        "against 7,500 test",
        *("5.2%", "above 250; real: 6.5%", "1.6%", "from 1 to 19; real: 1.0%"),
        *(
            "KID 0.0123 ± 0.0045",
            "precision 0.61",
            "real against real 9.3",
            "9 of 10 classes found",
            "Gradient penalty",
        ),
    ]
    assert [words for words in shown if words not in page.words] == []
    assert page.tags.count("svg") == 8
    assert "#cc6a00" in page.html  # the colour of the ReLU runs


def test_report_escapes_what_it_is_told(tmp_path):
    evil = "<script>alert(1)<"
    run = tmp_path / evil
    run.mkdir()
    config = {
        evil: evil,
        "variant": evil,
        "command": evil,
        "parameters": {evil: 3},
        "data": {evil: evil, "note": evil},
    }
    (run / "config.json").write_text(json.dumps(config))
    page = Page(write_report(run))
    assert page.tags.count("script") == 1
    assert page.words.count(evil) == 11


def test_report_of_a_run_stopped_at_step_3(tmp_path):
    write_log(tmp_path / "log.jsonl", train_records(3))
    save_image(noise(20, 20), tmp_path / "samples" / "step-000003.png")
    (tmp_path / "samples.gif").write_bytes(b"GIF89a, cut")
    page = Page(write_report(tmp_path))
    assert "Step 3, without figures." in page.words
    assert "Generated from the same noise, step 3" in page.words
    assert "digit-FID" not in page.words
    assert sum(link.startswith("data:") for link in page.links) == 1  # the grid
    assert page.tags.count("svg") == 3  # losses, outputs of D, penalty


def test_report_of_an_empty_directory(tmp_path):
    page = Page(write_report(tmp_path))
    assert "Not trained yet." in page.words
    assert page.links == []
    assert "h2" not in page.tags


def test_report_refuses_what_is_not_a_run(tmp_path):
    with pytest.raises(InputError, match="not the directory"):
        write_report(tmp_path / "absent")


def test_report_leaves_out_what_is_damaged_and_says_so(tmp_path, capsys):
    full_run(run := tmp_path / "run")
    grid = sorted((run / "samples").iterdir())[1]
    grid.write_bytes(b"")
    (run / "real.png").write_bytes((run / "real.png").read_bytes()[:60])
    (run / "config.json").write_text("[" * 100_000)
    log = (run / "log.jsonl").read_text()
    odd = ["[1, 2]", '{"kind": "eval", "step": "7"}', '{"kind": ["eval"], "step": 7}', "{" * 100_000, '"text"']
    odd += ['{"kind": "eval", "step": 20, "features": [], "class_shares": {"a": 1}, "fid": "low", "kid": 1e400}']
    (run / "log.jsonl").write_text("\n".join(odd) + "\n" + log)
    html = Page(write_report(run)).html
    said = capsys.readouterr().err
    for what in ("config.json", "6 damaged lines of log.jsonl", "real.png", f"samples/{grid.name}"):
        assert what in said and what in html
    assert "traceback" not in html.lower() and "digit-FID" in html


def test_drawing_libraries_wait_until_they_are_needed():
    code = "import minigan.report, sys; sys.exit('matplotlib' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    "key, label, says",
    slow_but_the_first(
        [
            ("digit_fid", "digit-FID", "It is not the Inception FID"),
            ("fid", "FID", "FID Inception network"),
            ("random_fid", "random-FID", "it is not FID"),
        ]
    ),
)
def test_a_distance_is_called_by_its_features(tmp_path, key, label, says):
    evals = [
        {"kind": "eval", "step": step, key: value, "floor": 9.3, "samples": 500}
        for step, value in ((10, 40.0), (20, 31.5), (30, 37.2))
    ]
    write_log(tmp_path / "log.jsonl", evals)
    (tmp_path / "best.h5").write_bytes(b"")
    page = Page(write_report(tmp_path))
    assert f"{label} 37.2, 4 × the floor of 9.3 between real images" in page.words
    assert f"best {label}31.5at step 20, kept in best.h5" in page.words
    assert says in page.words
    names = set(re.findall(r"(?:digit-|random-)?FID(?= ?\d)", page.words))
    assert names == {label}
    assert [chart.title for chart in run_charts(evals)] == [label]


def test_charts_leave_out_what_was_not_measured(tmp_path):
    nothing = {
        "kind": "eval",
        "step": 5,
        "kid": 0.5,
        "kid_std": math.nan,
        "precision": math.nan,
        "fid": -math.inf,
        "class_kl": math.inf,
    }
    assert run_charts([nothing, {"kind": "train", "step": 5, "loss_d": math.nan}]) == []
    write_log(tmp_path / "log.jsonl", [nothing])
    assert "class=charts" not in Page(write_report(tmp_path)).html
    drawn = run_charts([{"kind": "train", "step": 5, "loss_g": 2.5, "grad_norm_d": 0.0}])
    assert [(c.title, line.label, line.steps, line.values) for c in drawn for line in c.lines] == [
        ("Loss", "generator 2.5", [5], [2.5])
    ]


def film_steps(html):
    return [int(step) for step in re.findall(r"<figure data-step=(\d+)", html)]


def test_a_film_keeps_every_grid_that_the_budget_allows(tmp_path):
    frames = [(step, tmp_path / f"step-{step:06d}.png") for step in range(0, 600, 10)]
    for step, path in frames:
        save_image(noise(60, 60, seed=step), path)
    whole = film(frames)
    assert film_steps(whole) == list(range(0, 600, 10))
    assert whole.count("data:image/png") == 61 and whole.count("hidden") == 52
    assert base64.b64encode(frames[7][1].read_bytes()).decode() in whole  # as it is
    half = film(frames, budget=len(whole) // 4 * 3)
    steps = film_steps(half)
    assert 40 <= len(steps) < 60 and {0, 590} <= set(steps) and max(np.diff(steps)) == 20
    assert "data:image/png" in half and len(half) < len(whole)


@pytest.mark.slow
def test_large_grids_are_compressed_to_the_budget(tmp_path):
    frames = [(step, tmp_path / f"step-{step:06d}.png") for step in range(50)]
    smooth_noise = np.add.outer(np.arange(200), np.arange(200))[..., None] / 2 + np.array([0, 20, 40])
    for step, path in frames:
        save_image((smooth_noise + noise(200, 200, 3, seed=step) // 4).clip(0, 255).astype(np.uint8), path)
    html = film(frames, budget=1_000_000)
    assert len(film_steps(html)) == 50 and film_steps(html)[-1] == 49
    assert "data:image/webp" in html and "data:image/png" not in html
    assert len(html) < 1_100_000 < sum(path.stat().st_size for _, path in frames)


def test_a_film_of_nothing_and_of_a_broken_file(tmp_path):
    assert film([], beside="<p>") == "<p>"
    (tmp_path / "cut.png").write_bytes(b"\x89PNG, cut")
    assert film([(0, tmp_path / "cut.png")]) == ""
    save_image(noise(9, 9), tmp_path / "whole.png")
    one = film([(0, tmp_path / "cut.png"), (5, tmp_path / "whole.png")])
    assert "step 5" in one and "input" not in one
