"""Digits by one linear layer: logistic regression with momentum."""

import nn
from autograd import Tensor, no_grad, ops
from minigan.data import load_data


def model():
    return nn.Linear(28 * 28, 10)


def digits(split, n):
    data = load_data(split=split, n=n)  # or load_data("data/mnist"): drawn digits are not MNIST
    return Tensor(data.images[:].reshape(-1, 28 * 28).astype("float32") / 255), data.labels


def batches(steps, batch=100):
    x, y = digits("train", min(batch * steps, 2000))
    for t in range(steps):
        i = slice(t * batch % len(y), t * batch % len(y) + batch)
        yield x[i], y[i]


def loss(net, x, y):
    return ops.cross_entropy(net(x), y)


def main(steps=200, net=None):
    net, losses = net or model(), []
    opt = nn.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for x, y in batches(steps):
        opt.zero_grad()
        value = loss(net, x, y)
        value.backward()
        opt.step()
        losses.append(value.item())
    x, y = digits("test", 100)
    with no_grad():
        print(f"loss {value:.3f}, {(net(x).argmax(1) == y).mean():.1%} of new digits are right")
    return losses


if __name__ == "__main__":
    main()
