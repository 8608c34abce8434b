"""A memory over time: an LSTM adds the two marked numbers of a sequence (Hochreiter & Schmidhuber, 1997)."""

import numpy as np

import nn
from autograd import Tensor, ops


class Net(nn.Module):
    def __init__(self, hidden=32):
        self.cell, self.out = nn.LSTMCell(2, hidden), nn.Linear(hidden, 1)

    def forward(self, x):  # (B, T, 2)
        state = None
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.out(state[0])[:, 0]


def batches(steps, length=8):
    rng = np.random.default_rng(0)
    for _ in range(steps):
        numbers = rng.uniform(-1, 1, (64, length)).astype("float32")
        marked = np.argsort(rng.random((64, length)), axis=1) < 2  # two in each sequence
        yield Tensor(np.stack([numbers, marked], axis=2)), (numbers * marked).sum(axis=1)


def loss(net, x, y):
    return ops.mse_loss(net(x), y)


def main(steps=300, net=None):
    net, losses = net or Net(), []
    opt = nn.Adam(net.parameters(), lr=0.01)
    for x, y in batches(steps):
        opt.zero_grad()
        value = loss(net, x, y)
        value.backward()
        opt.step()
        losses.append(value.item())
    print(f"mean squared error {value:.4f}, of always answering 0: {(y**2).mean():.4f}")
    return losses


if __name__ == "__main__":
    main()
