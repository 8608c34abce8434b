"""A GAN of two small transformers on one page: python -m experiments.minimal

In a minute on one core it learns to draw digits (pen strokes, not MNIST), and shows eighty of them in runs/minimal.png.
"""

import numpy as np

import nn
from autograd import Tensor, grad, no_grad, ops
from experiments.cli import without_options
from minigan.data import stroke_digits
from minigan.figures import image_grid, save_image

DIGITS, STEPS, BATCH, RATE, GAMMA = 10_000, 800, 32, 4e-3, 1.0
LATENT, WIDTH, TOKENS = 32, 64, 16  # an image of 28 × 28 pixels is 4 × 4 patches of 7 × 7, a token each


class Block(nn.Module):
    def __init__(self):
        self.norm1, self.attention = nn.LayerNorm(WIDTH), nn.MultiHeadAttention(WIDTH, heads=4)
        self.norm2, self.up, self.down = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, h):  # (B, TOKENS, WIDTH)
        h = h + self.attention(self.norm1(h))  # every token looks at all tokens
        return h + self.down(ops.gelu(self.up(self.norm2(h))))  # then at itself


class Generator(nn.Module):
    def __init__(self):
        self.map, self.start = nn.Linear(LATENT, WIDTH, gain=1.4), nn.Linear(WIDTH, TOKENS * WIDTH, gain=1.0)
        self.block, self.norm, self.out = Block(), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 7 * 7)

    def forward(self, z):  # (B, LATENT)
        h = self.start(ops.leaky_relu(self.map(z), 0.2)).reshape(-1, TOKENS, WIDTH)
        patches = self.out(self.norm(self.block(h))).reshape(-1, 4, 4, 7, 7)
        return ops.tanh(patches.swapaxes(2, 3).reshape(-1, 1, 28, 28))  # pixels in (−1, 1)


class Discriminator(nn.Module):
    def __init__(self, rng):
        self.embed = nn.Linear(13 * 13, WIDTH, gain=1.0)
        self.position = nn.Parameter(rng.standard_normal((TOKENS, WIDTH), np.float32) / 5)
        self.block, self.norm, self.out = Block(), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, x):  # (B, 1, 28, 28)
        patches = ops.unfold(x + 1, 13, padding=3, stride=7).swapaxes(1, 2)  # each reaches 3 pixels into the next
        h = self.block(self.embed(patches) + self.position)
        return self.out(self.norm(h).mean(axis=1))  # (B, 1), above 0 for "real"


@without_options
def main():
    rng = np.random.default_rng(0)
    images = stroke_digits(DIGITS, seed=0)[0][:, None] / np.float32(127.5) - 1  # (DIGITS, 1, 28, 28) in [−1, 1]
    G, D = Generator(), Discriminator(rng)
    adam_G, adam_D = (nn.Adam(network.parameters(), betas=(0.0, 0.99)) for network in (G, D))
    for step in range(1, STEPS + 1):
        adam_G.lr = adam_D.lr = RATE * min(1, 2 - 2 * step / STEPS)  # falls to 0 in the second half
        z = rng.standard_normal((2, BATCH, LATENT), np.float32)

        # D learns to tell real from fake. r1 = ‖∂D/∂x‖² keeps it smooth at real x: a gradient of the gradient `slope`.
        real = Tensor(images[rng.integers(DIGITS, size=BATCH)], requires_grad=True)
        with no_grad():
            fake = G(z[0])
        on_real, on_fake = D(real), D(fake)
        (slope,) = grad(on_real.sum(), [real], create_graph=True)
        r1 = (slope * slope).sum() / BATCH
        loss_D = ops.softplus(-on_real).mean() + ops.softplus(on_fake).mean() + GAMMA / 2 * r1
        adam_D.step(grad(loss_D, D.parameters()))

        # G learns to be taken for real.
        loss_G = ops.softplus(-D(G(z[1]))).mean()
        adam_G.step(grad(loss_G, G.parameters()))
        if step % 100 == 0 or step == STEPS:
            print(f"step {step}   loss of D {float(loss_D):.3f}   loss of G {float(loss_G):.3f}")

    with no_grad():
        x = G(rng.standard_normal((80, LATENT), np.float32)).data
    save_image(image_grid(np.uint8(127.5 * (x[:, 0] + 1)), columns=10, scale=2), "runs/minimal.png")
    print("look at runs/minimal.png")


if __name__ == "__main__":
    main()
