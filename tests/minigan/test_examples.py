"""The ten tasks of docs/examples: each runs, and trains as the same network in PyTorch does, loss for loss."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from slow import slow_but_the_first

import nn

FOLDER = Path(__file__).parents[2] / "docs" / "examples"
NAMES = ["two_moons", *sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "two_moons")]
STEPS = 6


def load(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        from autograd.registry import OPS

        OPS.pop("squash", None)  # the op of own_op.py is of that file alone
    nn.manual_seed(0)
    return module


def network(example):
    return example.model() if hasattr(example, "model") else example.Net()


def test_there_are_ten_and_each_is_forty_lines_of_code():
    assert len(NAMES) == 10
    for name in NAMES:
        lines = [line for line in (FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines() if line.strip()]
        assert len(lines) <= 40, name
        assert f"({name}.py)" in (FOLDER / "README.md").read_text(encoding="utf-8")


def in_torch(torch, name, ours):  # as a student writes them there
    """The network, its loss, and the optimiser with its options, in PyTorch."""
    from torch import nn as tnn
    from torch.nn import functional as F

    letters = ours.letter.weight.shape[0] if hasattr(ours, "letter") else 1

    class RNN(tnn.Module):
        def __init__(self):
            super().__init__()
            self.letter, self.cell, self.out = tnn.Embedding(letters, 64), tnn.GRUCell(64, 64), tnn.Linear(64, letters)

        def forward(self, ids):
            h, hs = torch.zeros(len(ids), 64), []
            for t in range(ids.shape[1]):
                h = self.cell(self.letter(ids[:, t]), h)
                hs.append(h)
            return self.out(torch.stack(hs, dim=1))

    class GPT(tnn.Module):
        def __init__(self, d=32):
            super().__init__()
            self.letter, self.place = tnn.Embedding(letters, d), tnn.Embedding(16, d)
            self.norm1 = tnn.LayerNorm(d)
            self.query, self.key, self.value = (tnn.Linear(d, d, bias=False) for _ in range(3))
            self.project = tnn.Linear(d, d)
            self.norm2, self.up, self.down = tnn.LayerNorm(d), tnn.Linear(d, 4 * d), tnn.Linear(4 * d, d)
            self.out = tnn.Linear(d, letters)

        def forward(self, ids):
            h = self.letter(ids) + self.place(torch.arange(ids.shape[1]))
            x = self.norm1(h)
            q, k, v = (f(x).unflatten(-1, (4, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            h = h + self.project(y.transpose(1, 2).flatten(2))
            return self.out(h + self.down(F.gelu(self.up(self.norm2(h)))))

    class LSTM(tnn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out = tnn.LSTMCell(2, 32), tnn.Linear(32, 1)

        def forward(self, x):
            state = None
            for t in range(x.shape[1]):
                state = self.cell(x[:, t], state)
            return self.out(state[0])[:, 0]

    def next_letter(net, ids):
        return F.cross_entropy(net(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())

    def classes(net, x, y):
        return F.cross_entropy(net(x), y)

    def squares(net, x, y):
        return F.mse_loss(net(x), y)

    def again(net, x):
        return F.binary_cross_entropy_with_logits(net(x), x)

    line, optim = tnn.Linear, torch.optim
    spiral = [line(2, 64), tnn.BatchNorm1d(64), tnn.Tanh(), line(64, 64), tnn.BatchNorm1d(64), tnn.Tanh(), line(64, 3)]
    conv = [tnn.Conv2d(1, 8, 3, 2, 1), tnn.ReLU(), tnn.Conv2d(8, 16, 3, 2, 1), tnn.ReLU(), tnn.Flatten(), line(784, 10)]
    coder = [line(784, 64), tnn.GELU(), line(64, 8), line(8, 64), tnn.GELU(), line(64, 784)]
    return {
        "two_moons": (tnn.Sequential(line(2, 32), tnn.ReLU(), line(32, 2)), classes, (optim.Adam, {"lr": 0.02})),
        "spirals": (tnn.Sequential(*spiral), classes, (optim.Adam, {"lr": 0.02})),
        "logistic_regression": (line(784, 10), classes, (optim.SGD, {"lr": 0.1, "momentum": 0.9})),
        "convolutional": (tnn.Sequential(*conv), classes, (optim.Adam, {"lr": 0.003})),
        "autoencoder": (tnn.Sequential(*coder), again, (optim.AdamW, {"lr": 0.003})),
        "char_rnn": (RNN(), next_letter, (optim.SGD, {"lr": 0.5, "momentum": 0.9, "nesterov": True})),
        "char_gpt": (GPT(), next_letter, (optim.AdamW, {"lr": 0.01})),
        "lstm": (LSTM(), squares, (optim.Adam, {"lr": 0.01})),
        "own_op": (tnn.Sequential(line(1, 32), tnn.Softsign(), line(32, 1)), squares, (optim.Adam, {"lr": 0.02})),
        "save_and_load": (tnn.Sequential(line(2, 16), tnn.Tanh(), line(16, 2)), classes, (optim.SGD, {"lr": 0.5})),
    }[name]


@pytest.mark.parametrize("name", slow_but_the_first(NAMES))
def test_losses_are_those_of_pytorch(name, capsys):
    torch = pytest.importorskip("torch")
    example = load(name)
    ours = network(example)
    net, loss, (make, options) = in_torch(torch, name, ours)
    with torch.no_grad():
        for p, q in zip(ours.parameters(), net.parameters(), strict=True):
            q.copy_(torch.tensor(p.data))
    opt, expected = make(net.parameters(), **options), []
    for batch in example.batches(STEPS):
        arrays = [torch.tensor(np.asarray(getattr(x, "data", x))) for x in batch]
        value = loss(net, *arrays)
        opt.zero_grad()
        value.backward()
        if name == "char_rnn":
            torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        opt.step()
        expected.append(value.item())
    found = example.main(steps=STEPS, net=ours)
    assert len(found) == STEPS and found[-1] < found[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # float32 over a few updates


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_they_learn(name, capsys):
    losses = load(name).main()
    assert losses[-1] < 0.8 * losses[0]
