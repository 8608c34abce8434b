"""A loss that is no finite number stops the run, and the op where it began is found by replaying the steps."""

import os
import signal

import numpy as np
import pytest
from tiny_runs import start

from minigan import checkpoint
from minigan.non_finite import NonFinite
from minigan.step import GAN


def poison(run, k):
    """After k steps a bias of D is infinite."""
    step = run.gan.step

    def poisoned():
        if run.gan.steps_done == k:
            run.gan.discriminator.head.bias.data[...] = np.inf
        step()

    run.gan.step = poisoned


def test_a_non_finite_loss_stops_the_run_and_names_step_and_term(tmp_path, capsys):
    run = start(tmp_path / "run")
    poison(run, 6)
    with pytest.raises(NonFinite, match=r"step 7: loss_d is .*the checkpoint of step 5 is kept"):
        run.train()
    assert checkpoint.load(tmp_path / "run" / "checkpoint.h5")[1]["steps_done"] == 5
    assert "replaying 2 steps to find the op where it began" in capsys.readouterr().err  # which can take long


def test_divergence_is_replayed_to_the_op_where_it_began(tmp_path):
    run = start(tmp_path / "run", g_lr=1e30, d_lr=1e30, warmup=1, save_every=100)
    with pytest.raises(NonFinite, match=r"it began at step 1 in \w.*\(float32.*the result float32"):
        run.train()


def test_a_signal_ends_the_search_and_the_divergence_is_told(tmp_path, monkeypatch):
    """The search repeats up to `save_every` steps: more than an hour, with a large preset."""
    run = start(tmp_path / "run", save_every=100)
    poison(run, 9)
    replayed, step = [], GAN.step

    def signalled(gan):
        if gan is not run.gan:
            replayed.append(gan.steps_done)
            if len(replayed) == 2:
                os.kill(os.getpid(), signal.SIGTERM)
        step(gan)

    monkeypatch.setattr(GAN, "step", signalled)
    with pytest.raises(NonFinite, match=r"step 10: loss_d is [^;]*; lower --g-lr"):
        run.train()
    assert replayed == [0, 1]


@pytest.mark.parametrize("fault", ["memory", "checkpoint"])
def test_steps_that_cannot_be_replayed_do_not_hide_the_divergence(tmp_path, monkeypatch, fault):
    run = start(tmp_path / "run")
    poison(run, 6)

    def no_memory(*args, **options):
        raise MemoryError("out of device memory")

    def cut_short(path):
        path.write_bytes(path.read_bytes()[:100])
        return load(path)

    load = checkpoint.load
    if fault == "memory":
        monkeypatch.setattr("minigan.non_finite.GAN", no_memory)
    else:
        monkeypatch.setattr("minigan.non_finite.checkpoint.load", cut_short)
    with pytest.raises(NonFinite, match=r"step 7: loss_d is .*the steps before it cannot be replayed \(.*lower --g-lr"):
        run.train()
