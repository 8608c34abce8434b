"""Training runs: resume bit for bit from any kill, signals, atomic checkpoints."""

import json
import os
import signal

import h5py
import numpy as np
import pytest
from PIL import Image
from slow import slow_but_the_first
from tiny_runs import IMAGES, LABELS, TINY, resume, start, without_report

from autograd import Tensor
from autograd.modes import state
from minigan import checkpoint
from minigan.data import Dataset, content_hash
from minigan.errors import InputError
from minigan.lock import hold_lock
from minigan.log import read_log
from minigan.non_finite import NonFinite
from minigan.pace import TIMED, WARM_UP, TimeLimit, seconds_per_step
from minigan.presets import resolve
from minigan.step import GAN
from minigan.train import Run


def assert_same_state(a, b):
    (left, left_meta), (right, right_meta) = (checkpoint.load(d / "checkpoint.h5") for d in (a, b))
    for meta in (left_meta, right_meta):
        meta.pop("seconds")
    assert left_meta == right_meta
    assert left.keys() == right.keys()
    for group in left:
        for name in left[group]:
            np.testing.assert_array_equal(left[group][name], right[group][name], err_msg=f"{group}/{name}")


def test_tf32_is_on_in_steps_and_off_in_what_is_looked_at(tmp_path):
    run, seen = start(tmp_path, steps=2, sample_every=1), set()
    run.tf32 = True
    for name in ("step", "sample"):
        method = getattr(run.gan, name)
        setattr(run.gan, name, lambda *a, n=name, f=method, **how: seen.add((n, state.tf32)) or f(*a, **how))
    run.train()
    assert seen == {("step", True), ("sample", False)}
    assert json.loads((tmp_path / "config.json").read_text())["machine"]["tf32"] is True


class Killed(BaseException):
    """As good as SIGKILL: nothing after it runs."""


def kill_at(run, k, how):
    step = run.gan.step

    def killing_step():
        step()
        if run.gan.steps_done == k:
            how()

    run.gan.step = killing_step


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "unbroken"
    start(directory, report=True).train()
    return directory


@pytest.mark.parametrize("k", slow_but_the_first([6, 8, 11]))
def test_killed_and_resumed_is_bit_for_bit_the_unbroken_run(tmp_path, unbroken, k):
    def die():
        raise Killed

    run = start(tmp_path / "run")
    kill_at(run, k, die)
    with pytest.raises(Killed):
        run.train()
    resume(tmp_path / "run").train()
    assert_same_state(tmp_path / "run", unbroken)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("k", "number"), slow_but_the_first([(4, signal.SIGTERM), (1, signal.SIGINT), (9, signal.SIGINT)])
)
def test_a_signal_saves_and_the_resumed_run_is_the_unbroken_one(tmp_path, unbroken, k, number):
    report = number == signal.SIGTERM
    run = start(tmp_path / "run", report)
    kill_at(run, k, lambda: os.kill(os.getpid(), number))
    run.train()
    assert run.stop_signal == number and run.gan.steps_done == k
    assert (tmp_path / "run" / "report.html").is_file() == report
    resume(tmp_path / "run").train()
    assert_same_state(tmp_path / "run", unbroken)


@pytest.mark.slow
def test_the_seed_fixes_a_run_and_another_seed_changes_it(tmp_path, unbroken):
    start(tmp_path / "again").train()
    assert_same_state(tmp_path / "again", unbroken)
    start(tmp_path / "other", seed=1).train()
    with pytest.raises(AssertionError):
        assert_same_state(tmp_path / "other", unbroken)


def test_what_a_run_leaves_behind(unbroken):
    config = json.loads((unbroken / "config.json").read_text())
    assert config["options"]["g_width"] == 32 and config["parameters"]["generator"] > 0
    records = [json.loads(line) for line in (unbroken / "log.jsonl").read_text().splitlines()]
    train = [r for r in records if r["kind"] == "train"]
    assert [r["step"] for r in train] == [4, 8, 12] and train[-1]["images"] == 48
    assert all(np.isfinite(r[k]) for r in train for k in ("loss_d", "loss_g", "d_real", "d_fake", "penalty"))
    assert [r["step"] for r in records if r["kind"] == "eval"] == [12]
    assert len(list((unbroken / "samples").glob("step-*.png"))) == 3
    for name in ("samples.png", "samples.gif", "curves.png", "report.html", "real.png"):
        assert (unbroken / name).stat().st_size > 100, name
    with h5py.File(unbroken / "samples.h5") as f:
        assert f["images"].shape == (20, 28, 28) and f["images"].dtype == np.uint8
    assert not list(unbroken.glob("*.tmp"))


def test_the_penalty_shows_in_the_log_only_when_it_is_due(tmp_path):
    run = start(tmp_path / "run", penalty_every=4)
    run.gan.step()
    run.gan.step()
    assert run.gan.stats[0, 3] > 0 and run.gan.stats[1, 3] == 0


def test_a_failed_save_leaves_the_old_checkpoint_whole(tmp_path, monkeypatch):
    run = start(tmp_path / "run")
    run.directory.mkdir()
    run.gan.step()
    run.save()
    before = (tmp_path / "run" / "checkpoint.h5").read_bytes()
    run.gan.step()
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(InputError, match="disk full"):
        run.save()
    assert (tmp_path / "run" / "checkpoint.h5").read_bytes() == before


def test_resuming_on_other_images_or_another_model_is_refused(tmp_path, unbroken):
    arrays, meta = checkpoint.load(unbroken / "checkpoint.h5")
    run = start(tmp_path / "run", g_width=16)
    with pytest.raises(InputError, match="shape"):
        run.load(arrays, meta)
    run = Run(run.gan, tmp_path, Dataset(IMAGES[::-1], LABELS, "others", 10), "")
    with pytest.raises(InputError, match="other images"):
        run.load(arrays, meta)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", None])
def test_bad_checkpoints_are_one_sentence(tmp_path, content):
    path = tmp_path / "checkpoint.h5"
    if content is None:
        with h5py.File(path, "w") as f:
            f["weights"] = np.zeros(3)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="checkpoint"):
        checkpoint.load(path)
    with pytest.raises(InputError, match="there is no such file"):
        checkpoint.load(tmp_path / "missing.h5")


def test_a_truncated_checkpoint_is_one_sentence(tmp_path, unbroken):
    whole = (unbroken / "checkpoint.h5").read_bytes()
    for size in (100, len(whole) // 2, len(whole) - 1000):
        (tmp_path / "cut.h5").write_bytes(whole[:size])
        with pytest.raises(InputError):
            checkpoint.load(tmp_path / "cut.h5")


def test_the_averaged_generator_is_what_is_sampled(tmp_path):
    run = start(tmp_path / "run")
    run.gan.step()
    z = run.showing.fixed_z(4)
    before = run.gan.sample(z)
    run.gan.generator.head.out.bias.data[...] = 100.0
    np.testing.assert_array_equal(run.gan.sample(z), before)
    run.gan.ema.model.head.out.bias.data[...] = 100.0
    assert (run.gan.sample(z) == 255).all()


@pytest.mark.slow
def test_a_run_killed_in_its_last_evaluation_is_not_finished(tmp_path, unbroken):
    def die(samples):
        raise Killed

    run = start(tmp_path / "run", report=True)
    run.evaluate = die
    with pytest.raises(Killed):
        run.train()
    assert not (tmp_path / "run" / "samples.h5").exists() and not (tmp_path / "run" / "report.html").exists()
    again = resume(tmp_path / "run", report=True)
    again.evaluate = lambda samples: {"mean": float(samples.mean())}
    again.train()
    assert [r["step"] for r in read_log(tmp_path / "run" / "log.jsonl") if r["kind"] == "eval"] == [12]
    assert (tmp_path / "run" / "samples.h5").exists() and (tmp_path / "run" / "report.html").exists()
    assert_same_state(tmp_path / "run", unbroken)


def test_the_real_images_shown_are_from_all_over_the_data(tmp_path):
    images = np.repeat(np.arange(250, dtype=np.uint8), 2)[:, None, None] * np.ones((28, 28), np.uint8)  # sorted
    gan = start(tmp_path / "run", steps=1).gan
    without_report(Run(gan, tmp_path / "run", Dataset(images, None, "sorted", None), "")).train()
    with Image.open(tmp_path / "run" / "real.png") as file:
        shown = np.unique(np.asarray(file))
    assert len(shown) > 90 and {0, 249} <= set(shown.tolist())


def test_content_hash_sees_pixels_and_shape():
    x = np.zeros((2, 4, 4), np.uint8)
    y = x.copy()
    y[1, 3, 3] = 1
    assert len({content_hash(x), content_hash(y), content_hash(x.reshape(4, 2, 4))}) == 3


def state_of(gan):
    arrays, counters = gan.state()
    return {(group, name): a.tobytes() for group in arrays for name, a in arrays[group].items()}, counters


class OnDisk:
    """Images that are not in memory: their batches are fetched ahead, by a thread."""

    shape, dtype = IMAGES.shape, IMAGES.dtype

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, rows):
        return IMAGES[rows]


@pytest.mark.parametrize(
    "options, images",
    [({}, IMAGES), ({}, OnDisk()), ({"variant": "cnn", "cnn_batch_norm": True, "penalty_every": 3}, IMAGES)],
)
def test_measuring_the_pace_leaves_no_trace(options, images):
    measured, plain = (GAN(resolve(**{**TINY, **options}), images) for _ in range(2))
    for gan in (measured, plain):
        gan.step()
    assert 0 < seconds_per_step(measured, 2) < 5
    assert state_of(measured) == state_of(plain)
    for gan in (measured, plain):
        gan.step()
    assert state_of(measured) == state_of(plain)


def test_whole_cycles_of_the_penalty_are_timed(monkeypatch):
    gan, penalised = GAN(resolve(**{**TINY, "penalty_every": 4}), IMAGES), []
    step = gan.step
    monkeypatch.setattr(gan, "step", lambda: penalised.append(gan.penalised) or step())
    seconds_per_step(gan, steps=6)
    timed = penalised[WARM_UP:]
    assert len(timed) == 8 and sum(timed) == 2


def test_the_pace_waits_for_the_device_before_it_reads_the_clock(tmp_path, monkeypatch):
    """Replays are only queued when the host goes on: without a wait the time would be that of queueing them."""
    order = []
    gan = start(tmp_path / "run").gan
    step = gan.step
    monkeypatch.setattr(gan, "step", lambda: order.append("step") or step())
    monkeypatch.setattr("minigan.pace.to_host", lambda a: order.append("wait"))
    monkeypatch.setattr("minigan.pace.time.perf_counter", lambda: order.append("clock") or 0.0)
    seconds_per_step(gan, 2)
    assert order == ["step"] * WARM_UP + ["wait", "clock"] + ["step"] * 2 + ["wait", "clock"]


def test_minutes_lays_the_schedule_over_the_steps_that_fit(tmp_path, monkeypatch):
    run = start(tmp_path / "run")
    clock = iter([0.0, 1.0, 1.0 + 0.4 * TIMED, 10.0])  # a step takes 0.4 seconds, all of the measurement 10
    monkeypatch.setattr("minigan.pace.time.perf_counter", lambda: next(clock))
    assert TimeLimit(0.5).fit(run.gan) == pytest.approx(0.4)
    assert run.gan.config.steps == int((0.9 * 30 - 10) / 0.4) and run.gan.steps_done == 0


@pytest.mark.slow
def test_a_run_of_minutes_is_one_of_as_many_steps_bit_for_bit_resumed_or_not(tmp_path, unbroken, monkeypatch):
    def slow_pace(gan):
        seconds_per_step(gan, 2)
        return 1000.0

    monkeypatch.setattr("minigan.pace.seconds_per_step", slow_pace)
    run = start(tmp_path / "run", steps=100)
    TimeLimit(12_500 / 54).fit(run.gan)
    assert run.gan.config.steps == 12
    kill_at(run, 4, lambda: os.kill(os.getpid(), signal.SIGINT))
    run.train()
    assert run.gan.steps_done == 4
    resume(tmp_path / "run").train()
    assert_same_state(tmp_path / "run", unbroken)


def test_samples_are_uint8_images_of_the_tanh_range():
    gan = GAN(resolve(**TINY), IMAGES)
    gan.ema.model.forward = lambda z: Tensor(np.full((len(z), 1, 28, 28), -1.0, np.float32))
    assert (gan.sample(np.zeros((3, 8), np.float32)) == 0).all()
    gan.ema.model.forward = lambda z: Tensor(np.full((len(z), 1, 28, 28), 1.0, np.float32))
    assert (gan.sample(np.zeros((3, 8), np.float32)) == 255).all()


@pytest.mark.slow
def test_a_signal_during_the_last_evaluation_finds_the_run_saved(tmp_path):
    run = start(tmp_path / "run", report=True)
    run.evaluate = lambda samples: os.kill(os.getpid(), signal.SIGTERM) or {"mean": float(samples.mean())}
    run.train()
    assert checkpoint.load(tmp_path / "run" / "checkpoint.h5")[1]["steps_done"] == 12
    assert run.stop_signal == signal.SIGTERM and (tmp_path / "run" / "report.html").is_file()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_checkpoint_that_is_not_finite_never_replaces_a_good_one(tmp_path):
    run = start(tmp_path / "run", save_every=2, log_every=12)
    kill_at(run, 3, lambda: run.gan.discriminator.head.bias.data.fill(np.nan))
    with pytest.raises(NonFinite, match="step 4: loss_d is nan.*the checkpoint of step 2 is kept"):
        run.train()


def test_a_half_written_line_of_the_log_swallows_no_other(tmp_path):
    run = start(tmp_path / "run")
    run.directory.mkdir()
    run.append({"kind": "train", "step": 4})
    with open(run.directory / "log.jsonl", "a") as f:
        f.write('{"kind": "tra')
    run.append({"kind": "train", "step": 8})
    assert [r["step"] for r in read_log(run.directory / "log.jsonl")] == [4, 8]


@pytest.mark.slow
def test_two_processes_do_not_train_one_run(tmp_path):
    run = start(tmp_path / "run")
    run.directory.mkdir()
    with (
        hold_lock(run.directory / ".lock", "ours"),
        pytest.raises(InputError, match="another process is training"),
    ):
        run.train()
    assert not (run.directory / "config.json").exists()
    run.train()
