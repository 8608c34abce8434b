"""Every layer and optimiser on the device."""

import numpy as np
from strict_device import StrictArray, strict
from tensors import normal, rng
from tiny_models import shake

from autograd import Tensor, grad, ops
from nn import (
    EMA,
    Adam,
    BatchNorm2d,
    Buffer,
    Conv2d,
    ConvTranspose2d,
    FourierFeatures,
    LayerNorm,
    Linear,
    Module,
    MultiHeadAttention,
    SelfModulatedLayerNorm,
    SirenLayer,
    pixel_coordinates,
    power_iteration,
)


class Everything(Module):
    """Every layer, on images (B, 2, 8, 8)."""

    def __init__(self):
        g = rng(1)
        self.down = Conv2d(2, 4, 4, 2, 1, norm="isn", rng=g)
        self.batch_norm = BatchNorm2d(4)
        self.up = ConvTranspose2d(4, 2, 4, 2, 1, rng=g)
        self.embed = Linear(16, 8, norm="sn", rng=g)
        self.modulated = SelfModulatedLayerNorm(8, 8, rng=g)
        self.attention = [MultiHeadAttention(8, 2, s, rng=g) for s in ("dot", "l2", "l1", "l2_printed")]
        self.norm = LayerNorm(8)
        self.siren = SirenLayer(8, 8, rng=g)
        self.features = FourierFeatures(2, 8, rng=g)
        self.where = Buffer(pixel_coordinates(2, 4))

    def forward(self, x):
        x = self.up(ops.relu(self.batch_norm(self.down(x))))
        h = self.embed(x.reshape(len(x), 8, 16)) + self.features(self.where)
        for attention in self.attention:
            h = h + attention(self.modulated(h, *self.modulated.style(h[:, 0])))
        return self.siren(self.norm(h)).mean(axis=1)


def test_every_layer_and_optimiser_runs_on_the_device_and_gives_the_same_numbers():
    def run(device, x, g, guard):
        net = Everything()
        assert net.to(device) is net
        adam = Adam(net.parameters(), lr=0.01, max_norm=1.0)
        ema = EMA(net)
        with guard:
            for _ in range(2):
                power_iteration(net)
                norm = adam.step(grad(net(Tensor(x)), net.parameters(), g=g))
                ema.step(adam.flat, 0.5)
        return net, adam, ema, norm

    x, g = normal(3, 2, 8, 8, dtype="float32"), normal(3, 8, seed=1, dtype="float32")
    net, adam, ema, norm = run("strict", strict.asarray(x), strict.asarray(g), strict.step())
    for _, t in [*net.named_tensors(), *ema.model.named_tensors()]:
        assert type(t.data) is StrictArray
    assert type(norm) is StrictArray and type(adam.flat.data) is StrictArray
    host, host_adam, host_ema, host_norm = run("cpu", x, g, strict.step())
    for mine, theirs in ((net, host), (ema.model, host_ema.model), (adam, host_adam)):
        state = mine.state_dict()
        assert state
        for name, expected in theirs.state_dict().items():
            assert type(state[name]) is np.ndarray
            np.testing.assert_array_equal(state[name], expected, err_msg=name)
    assert float(norm) == host_norm
    net.to("cpu")
    for (name, a), (_, b) in zip(net.named_tensors(), host.named_tensors(), strict=True):
        assert type(a.data) is np.ndarray and a.dtype == b.dtype, name
        np.testing.assert_array_equal(a.data, b.data)


def test_load_state_dict_fills_a_model_on_the_device():
    net, source = Everything().to("strict"), shake(Everything())
    arrays = [t.data for _, t in net.named_tensors()]
    net.load_state_dict(source.state_dict())
    for (name, t), a in zip(net.named_tensors(), arrays, strict=True):
        assert t.data is a
        np.testing.assert_array_equal(strict.asnumpy(a), source.state_dict()[name])
