"""What a training step costs a GPU before any arithmetic: the nodes of its CUDA graph, which must not creep up."""

import numpy as np
import pytest
from fake_cublas import FakeCublas, multiply_by
from node_count import counted
from slow import slow_but_the_first
from strict_device import strict
from tiny_models import draw_images

import minigan.accelerate.twins  # noqa: F401 - adds its own kernels
from autograd.accelerate.gpu import launch, twins  # noqa: F401 - fills the table of kernels
from autograd.accelerate.twin import GPU
from minigan.presets import resolve
from minigan.step import GAN

MOST = {  # options, and the most nodes of each kind
    "small": ({}, {"kernel": 164, "product": 158, "copy": 40, "fill": 28, "elementwise": 133, "reduction": 24}),
    "Adam": (  # a copy and two products less for each of eight shapes, and no Lookahead
        {"optimizer": "adam"},
        {"kernel": 152, "product": 142, "copy": 40, "fill": 28, "elementwise": 133, "reduction": 24},
    ),
    "CNN": (
        {"variant": "cnn", "image_size": 64, "channels": 3},
        {"kernel": 84, "product": 65, "copy": 55, "fill": 11, "elementwise": 98, "reduction": 20},
    ),
    "exact penalty": (
        {"penalty": "exact", "optimizer": "adam"},
        {"kernel": 243, "product": 506, "copy": 98, "fill": 52, "elementwise": 1609, "reduction": 246},
    ),
    "paper": (
        {"preset": "paper"},
        {"kernel": 198, "product": 179, "copy": 41, "fill": 31, "elementwise": 122, "reduction": 26},
    ),
}


class IdleCublas(FakeCublas):
    """Its products count, and are not computed."""

    def cublasGemmStridedBatchedEx(self, handle, *args):
        strict.work(lambda: None, name="product")
        return 0


@pytest.fixture
def idle(monkeypatch) -> None:
    """Device strict becomes a GPU on which kernels and products do nothing."""
    monkeypatch.setitem(launch.RUNNERS, strict, lambda *args: strict.work(lambda: None))
    multiply_by(monkeypatch, IdleCublas(), GPU)


def nodes_of_a_step(**options):
    config = resolve(batch=2, **options)
    gan = GAN(config, draw_images(config), "strict")
    with np.errstate(all="ignore"):  # nothing is computed, so the numbers are nonsense
        gan.update()  # the first step makes tables
        with counted() as nodes:
            gan.update()
    return nodes


@pytest.mark.parametrize("name", slow_but_the_first(MOST))
def test_the_nodes_of_a_step(name, idle):
    """With two images in a batch. With many, each of a GPU's large maps of one x is a product of its own."""
    options, most = MOST[name]
    nodes = nodes_of_a_step(**options)
    assert {k: n for k, n in nodes.by_kind.items() if n > most[k]} == {}, str(nodes)


def test_what_counts_as_a_node():
    x = strict.asarray(np.ones((4, 6), np.float32))
    with counted() as nodes:
        x.T, x.reshape(2, 12), x[1:], strict.ascontiguousarray(x), strict.empty(3)  # views, and memory alone
        assert nodes.total == 0
        x.T.reshape(2, 12), strict.ascontiguousarray(x.T), strict.zeros(3), x.sum(), x + 1
        x[:2] = 0
        x[:2] = x[2:]
        strict.stack([x, x, x])
    assert nodes.by_kind == {"copy": 6, "fill": 2, "reduction": 1, "elementwise": 1}, str(nodes)
