"""Digits by a convolutional network."""

import nn
from autograd import Tensor, ops
from minigan.data import load_data


def model():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(),  # (B, 8, 14, 14)
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),  # (B, 16, 7, 7)
        nn.Flatten(), nn.Linear(16 * 7 * 7, 10),
    )  # fmt: skip


def batches(steps, batch=32):
    data = load_data(n=min(batch * steps, 2000))
    for t in range(steps):
        i = slice(t * batch % len(data), t * batch % len(data) + batch)
        yield Tensor(data.images[i][:, None].astype("float32") / 255), data.labels[i]


def loss(net, x, y):
    return ops.cross_entropy(net(x), y)


def main(steps=100, net=None):
    net, losses = net or model(), []
    opt = nn.Adam(net.parameters(), lr=0.003)
    for x, y in batches(steps):
        opt.zero_grad()
        value = loss(net, x, y)
        value.backward()
        opt.step()
        losses.append(value.item())
    print(f"loss {value:.3f}, {(net(x).argmax(1) == y).mean():.1%} of the last batch are right")
    return losses


if __name__ == "__main__":
    main()
