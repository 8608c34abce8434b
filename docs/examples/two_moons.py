"""Two interlocking moons: a small network, as everyone types it."""

import nn
from autograd import Tensor, ops
from minigan.data import loader, two_moons


def model():
    return nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))


def batches(steps):
    points, labels = two_moons(1000, noise=0.1)
    batch = loader(points, labels, batch=100)
    while steps > 0:
        for x, y in list(batch)[:steps]:
            yield Tensor(x), y
        steps -= len(batch)


def loss(net, x, y):
    return ops.cross_entropy(net(x), y)


def main(steps=300, net=None):
    net, losses = net or model(), []
    opt = nn.Adam(net.parameters(), lr=0.02)
    for x, y in batches(steps):
        opt.zero_grad()
        value = loss(net, x, y)
        value.backward()
        opt.step()
        losses.append(value.item())
    print(f"loss {value:.3f}, accuracy {(net(x).argmax(1) == y).mean():.1%}")
    return losses


if __name__ == "__main__":
    main()
