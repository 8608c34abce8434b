"""Digits through a narrow layer and back: an autoencoder."""

import nn
from autograd import Tensor, ops
from minigan.data import load_data


def model():
    encoder = [nn.Linear(28 * 28, 64), nn.GELU(), nn.Linear(64, 8)]
    return nn.Sequential(*encoder, nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 28 * 28))


def batches(steps, batch=32):
    images = load_data(n=min(batch * steps, 2000)).images[:]
    for t in range(steps):
        i = slice(t * batch % len(images), t * batch % len(images) + batch)
        yield (Tensor(images[i].reshape(-1, 28 * 28).astype("float32") / 255),)


def loss(net, x):
    return ops.binary_cross_entropy_with_logits(net(x), x)


def main(steps=200, net=None):
    net, losses = net or model(), []
    opt = nn.AdamW(net.parameters(), lr=0.003)
    for (x,) in batches(steps):
        opt.zero_grad()
        value = loss(net, x)
        value.backward()
        opt.step()
        losses.append(value.item())
    print(f"loss {value:.3f}")
    return losses


if __name__ == "__main__":
    main()
