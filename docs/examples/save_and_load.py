"""Weights in a file: half a training, saved with np.savez, loaded into a new network, and the other half."""

import tempfile
from pathlib import Path

import numpy as np

import nn
from autograd import Tensor, ops
from minigan.data import two_moons


def model():
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))


def batches(steps):
    points, labels = two_moons(200)
    for _ in range(steps):
        yield Tensor(points), labels


def loss(net, x, y):
    return ops.cross_entropy(net(x), y)


def main(steps=100, net=None):
    net, losses = net or model(), []
    opt = nn.SGD(net.parameters(), lr=0.5)
    for t, (x, y) in enumerate(batches(steps)):
        if t == steps // 2:
            with tempfile.TemporaryDirectory() as folder:
                np.savez(path := Path(folder, "weights.npz"), **net.state_dict())
                net = model()  # another one
                net.load_state_dict(np.load(path))
            opt = nn.SGD(net.parameters(), lr=0.5)
        value = loss(net, x, y)
        value.backward()
        opt.step()
        opt.zero_grad()
        losses.append(value.item())
    return losses


if __name__ == "__main__":
    main()
