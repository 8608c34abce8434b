"""Letters by a transformer of one block: causal attention."""

import numpy as np

import nn
from autograd import ops
from minigan.data import letters

TEXT, ALPHABET = letters()


class Net(nn.Module):
    def __init__(self, d=32):
        self.letter, self.place = nn.Embedding(len(ALPHABET), d), nn.Embedding(16, d)
        self.norm1, self.attention = nn.LayerNorm(d), nn.MultiHeadAttention(d, 4, causal=True)
        self.norm2, self.up, self.down = nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.out = nn.Linear(d, len(ALPHABET))

    def forward(self, ids):  # (B, T)
        h = self.letter(ids) + self.place(np.arange(ids.shape[1]))
        h = h + self.attention(self.norm1(h))
        return self.out(h + self.down(ops.gelu(self.up(self.norm2(h)))))


def batches(steps):
    rng = np.random.default_rng(0)
    for _ in range(steps):
        yield (TEXT[rng.integers(len(TEXT) - 17, size=(16, 1)) + np.arange(17)],)


def loss(net, ids):
    return ops.cross_entropy(net(ids[:, :-1]).reshape(-1, len(ALPHABET)), ids[:, 1:].reshape(-1))


def main(steps=200, net=None):
    net, losses = net or Net(), []
    opt = nn.AdamW(net.parameters(), lr=0.01)
    for (ids,) in batches(steps):
        opt.zero_grad()
        value = loss(net, ids)
        value.backward()
        opt.step()
        losses.append(value.item())
    print(f"loss {value:.3f}")
    return losses


if __name__ == "__main__":
    main()
