"""Commands in places without a terminal: pipes that close, no stderr, other locales, names that are no text."""

import errno
import io
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments import cli
from minigan import streams
from minigan.data import cache
from minigan.data.cache import Recipe, cached
from minigan.errors import InputError
from minigan.progress import Progress

NET = (
    "--g-width 8 --g-heads 2 --g-depth 1 --d-width 8 --d-heads 2 --d-depth 1 --latent 8 --g-head-width 8 --batch 4 "
    "--eval-samples 20 --features none --device cpu --no-loops --size 16 --log-every 1"
).split()


class Gone(io.StringIO):
    """A stream that fails with an error number."""

    def __init__(self, code):
        super().__init__()
        self.code = code

    def write(self, text):
        raise OSError(self.code, os.strerror(self.code))


def test_lines_beside_a_bar_in_a_pipe_bring_no_lines_of_the_bar(capsys):
    bar = Progress(range(3), leave=False)
    for i in bar:
        bar.set_description_str(f"case {i}")
        bar.write(f"row {i}", file=sys.stdout)
    assert capsys.readouterr() == ("row 0\nrow 1\nrow 2\n", "")


@pytest.mark.parametrize("code", [errno.EPIPE, errno.EIO])
def test_a_stream_that_nobody_reads_ends_nothing(code):
    stream = streams.Patient(Gone(code))
    assert stream.write("text") == 4
    stream.flush()


def test_a_full_disk_behind_stdout_is_an_error_and_behind_stderr_none():
    with pytest.raises(OSError, match="space"):
        streams.Patient(Gone(errno.ENOSPC)).write("results")
    streams.Patient(Gone(errno.ENOSPC), lenient=True).write("progress")


def test_commands_go_on_without_stderr(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "argv", ["a script"])

    def main(arguments):
        for _ in Progress(range(3)):
            pass
        raise InputError("nobody reads this")

    with pytest.raises(SystemExit) as stop:
        cli.run_main(main)
    assert stop.value.code == 2 and capsys.readouterr().out == ""
    sys.stderr.stream.close()


def test_a_notebook_with_widgets_gets_the_bar_of_tqdm_auto(monkeypatch):
    made = []

    class Widget:
        def __init__(self, *args, **options):
            made.append((args, options))
            self.container = SimpleNamespace(children=[None, SimpleNamespace(max=options["total"])])

    monkeypatch.setattr("minigan.progress.in_notebook", lambda: True)
    monkeypatch.setattr("tqdm.auto.tqdm", Widget)
    bar = Progress(total=3, unit="step")
    assert isinstance(bar, Widget) and made == [((), {"total": 3, "unit": "step"})]
    bar.set_total(5)
    assert bar.total == bar.container.children[1].max == 5


def test_progress_in_a_file_is_a_line_now_and_then():
    """By a clock of its own: 3 hours of a step a second, and a line of the log after each step."""
    now, file = [0.0], io.StringIO()
    bar = Progress(total=10_800, file=file, unit="step")
    bar._time, bar.start_t, bar.last_print_t = lambda: now[0], 0.0, 0.0
    for _ in range(10_800):
        now[0] += 1
        bar.update()
        bar.set_postfix_str("D 0.1")
    bar.close()
    lines = file.getvalue().split("\n")
    assert 20 < len(lines) <= 10_800 / 60 + 2 and "\r" not in file.getvalue()
    assert all("step" in line for line in lines[:-1])


def test_progress_of_a_short_job_is_one_line_or_none():
    file = io.StringIO()
    for options in ({"delay": 60}, {"leave": False}, {}):
        for _ in Progress(range(1000), "short", file=file, **options):
            pass
    assert file.getvalue().count("\n") == 1 and file.getvalue().startswith("short: 100%")


def test_without_a_home_the_sentence_names_the_flag(tmp_path, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(cache.Path, "home", no_home)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "a.png")
    assert cache.cache_directory() is None
    with pytest.raises(InputError, match="no home directory .* with --cache"):
        cached(tmp_path, Recipe(8))


@pytest.mark.slow
@pytest.mark.parametrize("module", ["autograd", "experiments.fid --help"])
def test_head_ends_no_command_with_a_traceback(module):
    command = f"{sys.executable} -m {module} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes")
def test_names_that_are_no_text_and_the_c_locale(tmp_path):
    for name in ("données".encode(), b"bad\xff"):
        place = os.fsencode(tmp_path) + b"/" + name
        os.mkdir(place)
        for i in range(8):
            noise = np.random.default_rng(i).integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(noise).save(os.fsdecode(place + b"/%d.png" % i))
        flags = [b"--data", place, b"--out", place + b"-run", b"--cache", place + b"-cache", b"--steps", b"1"]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1", "HOME": str(tmp_path)}
        command = [sys.executable, "-m", "experiments.images", *flags, *NET]
        done = subprocess.run(command, env=environment, capture_output=True)
        assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
        assert os.path.exists(place + b"-run/report.html")
        command = [sys.executable, "-m", "experiments.generate", place + b"-run", b"--num", b"2", b"--hdf5"]
        done = subprocess.run(command, env=environment, capture_output=True)
        assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals")
def test_a_closed_terminal_saves_as_sigterm_does(tmp_path):
    for i in range(8):
        Image.fromarray(np.full((16, 16), 30 * i, np.uint8)).save(tmp_path / f"{i}.png")
    out = tmp_path / "run"
    flags = ["--data", str(tmp_path), "--cache", str(tmp_path / "cache"), *NET, "--steps", "1000000", "--out", str(out)]
    command = [sys.executable, "-m", "experiments.images", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        while not (out / "log.jsonl").exists() and process.poll() is None:
            time.sleep(0.05)
        process.stderr.close()  # as a terminal that is gone
        process.send_signal(signal.SIGHUP)
        try:
            assert process.wait(120) == 128 + signal.SIGHUP
        finally:
            process.kill()
    assert (out / "checkpoint.h5").exists() and (out / "report.html").exists()
