"""Letters by a recurrent network: an embedding, a GRU cell, and gradients of bounded norm."""

import numpy as np

import nn
from autograd import ops
from minigan.data import letters

TEXT, ALPHABET = letters()


class Net(nn.Module):
    def __init__(self, hidden=64):
        self.letter, self.cell = nn.Embedding(len(ALPHABET), hidden), nn.GRUCell(hidden, hidden)
        self.out = nn.Linear(hidden, len(ALPHABET))

    def forward(self, ids):  # (B, T)
        h, hs = None, []
        for t in range(ids.shape[1]):
            h = self.cell(self.letter(ids[:, t]), h)
            hs.append(h)
        return self.out(ops.stack(hs, axis=1))  # (B, T, alphabet)


def batches(steps, rng=None):
    rng = rng or np.random.default_rng(0)
    for _ in range(steps):
        yield (TEXT[rng.integers(len(TEXT) - 17, size=(16, 1)) + np.arange(17)],)


def loss(net, ids):
    return ops.cross_entropy(net(ids[:, :-1]).reshape(-1, len(ALPHABET)), ids[:, 1:].reshape(-1))


def main(steps=200, net=None):
    net, losses = net or Net(), []
    opt = nn.SGD(net.parameters(), lr=0.5, momentum=0.9, nesterov=True)
    for (ids,) in batches(steps):
        opt.zero_grad()
        value = loss(net, ids)
        value.backward()
        nn.clip_grad_norm_(net.parameters(), 0.5)
        opt.step()
        losses.append(value.item())
    print(f"loss {value:.3f}")
    return losses


if __name__ == "__main__":
    main()
