"""Three spirals: batch norm, and a learning rate that falls in steps."""

import nn
from autograd import Tensor, ops
from minigan.data import spirals


def model():
    layers = [nn.Linear(2, 64), nn.BatchNorm1d(64), nn.Tanh(), nn.Linear(64, 64), nn.BatchNorm1d(64), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(64, 3))


def batches(steps):
    points, labels = spirals(300)
    for _ in range(steps):  # all points at once
        yield Tensor(points), labels


def loss(net, x, y):
    return ops.cross_entropy(net(x), y)


def main(steps=200, net=None):
    net, losses = net or model(), []
    opt = nn.Adam(net.parameters(), lr=0.02)
    schedule = nn.StepLR(opt, step_size=100, gamma=0.3)
    for x, y in batches(steps):
        opt.zero_grad()
        value = loss(net, x, y)
        value.backward()
        opt.step()
        schedule.step()
        losses.append(value.item())
    net.eval()  # the running statistics of batch norm
    print(f"loss {value:.3f}, accuracy {(net(x).argmax(1) == y).mean():.1%}")
    return losses


if __name__ == "__main__":
    main()
