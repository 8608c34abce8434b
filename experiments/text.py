"""A transformer that learns to write, letter by letter, on one page: python -m experiments.text

In a minute on one core it reads seven sonnets of Shakespeare, and prints a few lines of its own. The loss is that of
the next letter, in nats. Beside it stands that of a table of pairs, the chances of each letter after each letter.
"""

import numpy as np

import nn
from autograd import no_grad, ops
from experiments.cli import without_options
from minigan.data.text import letters

STEPS, BATCH, RATE = 600, 16, 3e-3
WIDTH, HEADS, CONTEXT = 64, 4, 32


class Block(nn.Module):
    def __init__(self):
        self.norm1, self.attention = nn.LayerNorm(WIDTH), nn.MultiHeadAttention(WIDTH, HEADS, causal=True)
        self.norm2, self.up, self.down = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, h):  # (B, T, WIDTH)
        h = h + self.attention(self.norm1(h))  # a letter looks at those before it
        return h + self.down(ops.gelu(self.up(self.norm2(h))))


class Writer(nn.Module):
    def __init__(self, alphabet):
        self.letter, self.place = nn.Embedding(alphabet, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm, self.out = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, alphabet)

    def forward(self, ids):  # (B, T)
        h = self.letter(ids) + self.place(np.arange(ids.shape[1]))
        for block in self.blocks:
            h = block(h)
        return self.out(self.norm(h))  # (B, T, alphabet)


def loss_of(model, windows):  # (B, T + 1)
    logits = model(windows[:, :-1])
    return ops.cross_entropy(logits.reshape(-1, logits.shape[-1]), windows[:, 1:].reshape(-1))


def table_of_pairs(text, other, alphabet):
    """The loss on `other` of the frequencies in `text` of each letter after each letter, one added to every count."""
    counts = np.ones((alphabet, alphabet))
    np.add.at(counts, (text[:-1], text[1:]), 1)
    chances = counts / counts.sum(axis=1, keepdims=True)
    return -np.log(chances[other[:-1], other[1:]]).mean()


def write(model, alphabet, rng, start="\n", length=200):
    text = start
    with no_grad():
        for _ in range(length):
            ids = np.array([[alphabet.index(c) for c in text[-CONTEXT:]]])
            chances = ops.softmax(model(ids)[0, -1]).data.astype(float)
            text += alphabet[rng.choice(len(alphabet), p=chances / chances.sum())]
    return text


@without_options
def main():
    rng = np.random.default_rng(0)
    text, alphabet = letters()
    train, held_out = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    model = Writer(len(alphabet))
    opt = nn.AdamW(model.parameters(), lr=RATE, max_norm=1.0)
    schedule = nn.CosineAnnealingLR(opt, STEPS)
    ends = np.arange(CONTEXT + 1)
    for step in range(1, STEPS + 1):
        loss = loss_of(model, train[rng.integers(len(train) - CONTEXT, size=(BATCH, 1)) + ends])
        opt.zero_grad()
        loss.backward()
        opt.step()
        schedule.step()
        if step % 100 == 0 or step == STEPS:
            print(f"step {step}   loss {loss:.3f}")
    with no_grad():
        new = loss_of(model, held_out[np.arange(0, len(held_out) - CONTEXT, CONTEXT)[:, None] + ends])
    for name, ours, other in (("learnt", loss, train), ("held out", new, held_out)):
        print(f"{name}: {ours:.2f}, a table of pairs {table_of_pairs(train, other, len(alphabet)):.2f}")
    print(write(model, alphabet, rng))


if __name__ == "__main__":
    main()
