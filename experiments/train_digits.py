"""Train the classifier behind digit-FID: python -m experiments.train_digits

It learns drawn pen-stroke digits, from seeds that no GAN here is trained or tested on, and with --data also the
training images of MNIST. It must also be unsure of images that are not digits. So a part of each batch is blends of two
digits, labelled with their shares, and shuffled tiles and noise on plain grey, labelled with ten equal probabilities.
"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli import run_main

if TYPE_CHECKING:
    import numpy as np

    from autograd.random import RandomStream
    from minigan.metrics.digits import DigitClassifier

TRAIN_STREAM, TEST_STREAM = 2 << 32, 3 << 32  # added to the seed; minigan.data uses 0 and 1 << 32
TEST_IMAGES = 5000
ODD_ONES = 0.3  # non-digits per digit in a batch
LEARNING_RATE = 4e-3


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.train_digits",
        description=__doc__,
        epilog="The shipped weights: python -m experiments.train_digits --data DIR --out minigan/metrics/digits.h5\n"
        "with the four published files of MNIST in DIR",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--out", type=Path, default=Path("digits.h5"), metavar="FILE", help="weights (default: digits.h5)")
    p.add_argument("--data", type=Path, metavar="DIR", help="MNIST's IDX files, to learn too (default: drawn alone)")
    p.add_argument("--seed", type=int, default=0, help="of the digits, the weights and the order (default: 0)")
    p.add_argument("--epochs", type=int, default=6, help="passes over the digits (default: 6)")
    p.add_argument("--images", type=int, default=16_000, help="drawn digits to train on (default: 16000)")
    p.add_argument("--batch", type=int, default=50, help="digits per update (default: 50)")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    import numpy as np

    from minigan import accelerate
    from minigan.data import content_hash, stroke_digits
    from minigan.errors import InputError
    from minigan.metrics.digits import save_classifier

    if args.epochs < 1 or args.images < 1 or args.batch < 1 or not 0 <= args.seed < 1 << 32:
        raise InputError("--epochs, --images and --batch must be at least 1, and --seed in 0 … 2³² - 1")
    if args.out.is_dir() or not args.out.absolute().parent.is_dir():
        raise InputError(f"--out {args.out} must be a file in an existing directory")
    if args.data:  # before the digits, which take a while
        learned, unseen = (mnist(args.data, split) for split in ("train", "test"))
    images, labels = stroke_digits(args.images, TRAIN_STREAM + args.seed)
    facts: dict[str, Any] = {"drawn_digits": len(images)}
    if args.data:
        images, labels = np.concatenate([images, learned[0]]), np.concatenate([labels, learned[1]])
        facts |= {"mnist_images": len(learned[0]), "mnist_sha256": content_hash(learned[0])}
    accelerate.use("cpu")
    classifier = train(images, labels, args.epochs, args.batch, args.seed)

    facts |= judge(classifier, *stroke_digits(TEST_IMAGES, TEST_STREAM + args.seed), "test", "unseen drawn digits")
    if args.data:
        facts |= judge(classifier, *unseen, "mnist_test", "test images of MNIST")
    save_classifier(args.out, classifier, command=command(args), **facts)
    print(f"wrote {args.out}")
    return 0


def command(args: argparse.Namespace) -> str:
    """The command with all its flags, to be typed again. Where a machine keeps MNIST says nothing, so it is DIR."""
    flags = {name: "DIR" if name == "data" else str(value) for name, value in vars(args).items() if value is not None}
    words = [word for name, value in flags.items() for word in (f"--{name}", value)]
    return shlex.join(["python", "-m", "experiments.train_digits", *words])


def mnist(directory: Path, split: str) -> tuple["np.ndarray", "np.ndarray"]:
    """The images (N, 28, 28) and labels (N,) of one split; InputError unless these are digits of ten classes."""
    import numpy as np

    from minigan.data import load_data
    from minigan.errors import InputError

    data = load_data(directory, split)
    if data.images.shape[1:] != (28, 28) or data.labels is None or data.classes != 10:
        raise InputError(f"--data {directory} does not hold MNIST: 28x28 grey digits with labels 0 to 9")
    return np.asarray(data.images), data.labels


def judge(
    classifier: "DigitClassifier", images: "np.ndarray", labels: "np.ndarray", key: str, words: str
) -> dict[str, float]:
    """Print and return the share of images that are classified right, and of those with a confident class."""
    from minigan.metrics.digits import CONFIDENT, classify

    _, probabilities = classify(classifier, images)
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    confident = float((probabilities.max(axis=1) > CONFIDENT).mean())
    print(f"{accuracy:.2%} of {len(images):,} {words} right, {confident:.2%} confident (above {CONFIDENT})")
    return {f"{key}_accuracy": accuracy, f"{key}_confident": confident}


def train(images: "np.ndarray", labels: "np.ndarray", epochs: int, batch: int, seed: int) -> "DigitClassifier":
    """Train on images uint8 (N, 28, 28) and labels (N,): Adam on the cross-entropy, with a cosine learning rate."""
    import numpy as np

    from autograd import Tensor, grad, ops
    from autograd.random import RandomStream
    from minigan.metrics.digits import DigitClassifier
    from minigan.progress import Progress
    from nn import Adam, learning_rate

    rng = RandomStream(seed)
    classifier = DigitClassifier(rng=rng)
    parameters = classifier.parameters()
    adam = Adam(parameters, LEARNING_RATE)
    one_hot = np.eye(10, dtype=np.float32)[labels]
    per_epoch = -(-len(images) // batch)
    progress = Progress(range(epochs * per_epoch), "training")
    for step in progress:
        if step % per_epoch == 0:
            order = rng.permutation(len(images))
        chosen = order[step % per_epoch * batch :][:batch]
        x, target = make_batch(rng, images[chosen].astype(np.float32) * (2 / 255) - 1, one_hot[chosen])
        loss = -(target * ops.log_softmax(classifier(Tensor(x[:, None])))).sum() * (1 / len(x))
        adam.lr = LEARNING_RATE * learning_rate(step, len(progress), 50, "cosine")
        adam.step(grad(loss, parameters))
        if step % 20 == 0:
            progress.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
    return classifier


def make_batch(rng: "RandomStream", x: "np.ndarray", target: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
    """Moved and noisy digits from x (N, 28, 28) in [−1, 1], then non-digits; and the targets of both.

    Half of the digits are shifted by whole pixels, which keeps them sharp, and the others are turned too. All are a
    little softened and paler, so that the features say which digit it is, and less how its strokes are rendered.
    """
    import numpy as np

    odd, odd_target = non_digits(rng, x, target, round(ODD_ONES * len(x)))
    half = len(x) // 2
    x = np.concatenate([shifted(rng, x[:half]), turned(rng, x[half:]), odd])
    x = paler(rng, softened(rng, x))
    x = x + rng.uniform(0, 0.15, (len(x), 1, 1)) * rng.normal(x.shape)
    return x.clip(-1, 1), np.concatenate([target, odd_target])


def shifted(rng: "RandomStream", x: "np.ndarray", most: int = 2) -> "np.ndarray":
    """Each image moved by up to `most` pixels in both axes; background fills the gap."""
    import numpy as np

    n, h, w = x.shape
    framed = np.pad(x, ((0, 0), (most, most), (most, most)), constant_values=-1)
    down, right = rng.integers(2 * most + 1, (2, n, 1))
    rows, columns = down + np.arange(h), right + np.arange(w)
    return framed[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def softened(rng: "RandomStream", x: "np.ndarray") -> "np.ndarray":
    """Each image (N, H, W) blended with its 3 × 3 binomial blur, by a share of up to a half."""
    import numpy as np

    share = rng.uniform(0, 0.5, (len(x), 1, 1))
    p = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    p = (p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]) / 4
    p = (p[:, :, :-2] + 2 * p[:, :, 1:-1] + p[:, :, 2:]) / 4
    return (x + share * (p - x)).astype(np.float32)


def paler(rng: "RandomStream", x: "np.ndarray") -> "np.ndarray":
    """Each image (N, H, W) with its white lowered by up to 15 %, background kept."""
    return (x + 1) * rng.uniform(0.85, 1, (len(x), 1, 1)) - 1


def turned(rng: "RandomStream", x: "np.ndarray") -> "np.ndarray":
    """Each image turned by up to 10°, scaled by up to a tenth, slanted and shifted, with bilinear interpolation."""
    import numpy as np

    n, h, w = x.shape
    angle, scale, slant, down, right = rng.uniform(-1, 1, (5, n, 1, 1)) * np.array(
        [0.17, 0.1, 0.15, 2, 2], np.float32
    ).reshape(5, 1, 1, 1)
    r, c = (np.arange(h, dtype=np.float32) - (h - 1) / 2)[:, None], np.arange(w, dtype=np.float32) - (w - 1) / 2
    rows = (1 + scale) * (np.cos(angle) * r - np.sin(angle) * c) + down + (h - 1) / 2
    columns = (1 + scale) * (np.sin(angle) * r + np.cos(angle) * c) + slant * r + right + (w - 1) / 2
    framed = np.pad(x, ((0, 0), (1, 2), (1, 2)), constant_values=-1)  # beyond the image is background
    rows, columns = rows.clip(-1, h) + 1, columns.clip(-1, w) + 1
    top, left = rows.astype(np.int64), columns.astype(np.int64)
    down, right = rows - top, columns - left
    each = np.arange(n)[:, None, None]
    above = (1 - right) * framed[each, top, left] + right * framed[each, top, left + 1]
    below = (1 - right) * framed[each, top + 1, left] + right * framed[each, top + 1, left + 1]
    return ((1 - down) * above + down * below).astype(np.float32)


def non_digits(rng: "RandomStream", x: "np.ndarray", target: "np.ndarray", n: int) -> Any:
    """n images, a third each: blends of two digits, digits cut into shuffled tiles, noise on plain grey."""
    import numpy as np

    third = n // 3
    one, two = rng.integers(len(x), (2, third))
    share = rng.uniform(0.4, 0.6, (third, 1, 1))
    blends = share * x[one] + (1 - share) * x[two]
    blend_target = share[:, 0] * target[one] + (1 - share[:, 0]) * target[two]

    tiles = x[rng.integers(len(x), third)].reshape(third, 4, 7, 4, 7).swapaxes(2, 3).reshape(third, 16, 7, 7)
    order = np.argsort(rng.uniform(size=(third, 16)), axis=1)
    tiles = np.take_along_axis(tiles, order[:, :, None, None], axis=1)
    tiles = tiles.reshape(third, 4, 4, 7, 7).swapaxes(2, 3).reshape(third, 28, 28)

    rest = n - 2 * third
    noise = rng.uniform(-1, 1, (rest, 1, 1)) + rng.uniform(0, 1, (rest, 1, 1)) * rng.normal((rest, 28, 28))
    equal = np.full((third + rest, 10), 0.1, np.float32)
    return np.concatenate([blends, tiles, noise]), np.concatenate([blend_target, equal])


def run() -> None:
    """The console script."""
    run_main(main)


if __name__ == "__main__":
    run()
