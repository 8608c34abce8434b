"""Ranks with a GPU each: the sums go through NCCL, in the captured step. A stand-in plays NCCL and the other rank."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from fake_cuda import fake_cuda
from tiny_models import draw_images, tiny

from autograd.accelerate.gpu.graph import WARM_UP, CaptureError
from minigan.errors import InputError
from minigan.ranks import World
from minigan.step import GAN


class Comm:
    """MPI of two ranks, of which this is one."""

    gpus = [("a", "0000:01"), ("a", "0000:02")]

    def Get_rank(self):
        return 1

    def Get_size(self):
        return 2

    def Split_type(self, kind):
        return self

    def allgather(self, value):
        return self.gpus


class Backend:
    """NCCL whose other rank always has twice what this one has. It notes the sizes, and may fail."""

    def __init__(self, fails_at=None):
        self.sizes, self.fails_at = [], fails_at

    def all_reduce(self, array, out, op):
        assert array is out and op == "sum"
        if len(self.sizes) == self.fails_at:
            raise RuntimeError("NCCL_ERROR_REMOTE_ERROR: remote process exited or there was a network error")
        self.sizes.append(array.size)
        out *= 3  # on the current stream: a replay that left it out would give other numbers


@pytest.fixture
def world():
    return World(Comm(), SimpleNamespace(COMM_TYPE_SHARED=0))


def make(world, device, backend, graph=False):
    world.nccl = backend
    config = tiny(penalty_every=2, augment="translation")
    return GAN(config, draw_images(config), device, graph=graph, world=world)


def test_the_sums_are_captured_in_the_order_of_a_step_and_replayed(world):
    host = make(world, "cpu", Backend())
    for _ in range(4):
        host.step()
    sums = host.world.nccl.sizes
    d, g = host.adam_d.flat.data.size, host.adam_g.flat.data.size
    assert sums == 4 * [d, g, 5]  # the gradients of D and of G, and what the log shows
    with fake_cuda() as cuda:
        device = make(world, "strict", Backend(), graph=True)
        for _ in range(4):
            device.step()
        assert cuda.launches == 4
    # Two graphs, with penalties and without, each after its warm-up: every rank makes the same sums in the same order.
    assert device.world.nccl.sizes == 2 * (WARM_UP + 1) * [d, g, 5]
    (found, _), (expected, _) = device.state(), host.state()
    for group in expected:
        for name, a in expected[group].items():
            np.testing.assert_array_equal(found[group][name], a, err_msg=f"{group} {name}")


def test_a_rank_that_leaves_during_the_capture_is_an_error_and_no_hang(world):
    with fake_cuda():
        gan = make(world, "strict", Backend(fails_at=3 * WARM_UP + 1), graph=True)
        with pytest.raises(CaptureError, match="NCCL_ERROR_REMOTE_ERROR"):
            gan.step()


@pytest.mark.parametrize("given, seen", [(None, "1"), ("2,5", "5"), ("3", "3"), ("GPU-a,GPU-b,", "GPU-b"), ("", "-1")])
def test_each_rank_sees_one_gpu(world, monkeypatch, given, seen):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    world.one_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


def test_ranks_that_share_a_gpu_are_refused(world):
    device = SimpleNamespace(pci_bus_id="0000:01")
    xp = SimpleNamespace(cuda=SimpleNamespace(Device=lambda: device, nccl=SimpleNamespace(available=False)))
    with pytest.raises(InputError, match="has no NCCL"):
        world.use_nccl(xp)
    world.comm.gpus = [("a", "0000:01")] * 2
    with pytest.raises(InputError, match="2 ranks and 1 GPUs"):
        world.use_nccl(xp)
