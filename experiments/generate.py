"""Images from a training run: python -m experiments.generate RUN

RUN is the directory of a run (its best.h5 is used, or checkpoint.h5 if there is none) or a checkpoint file, from a GPU
or a CPU. Image 17 of a seed is the same image for every --num.
"""

import argparse
import contextlib
import hashlib
import math
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli import run_main
from experiments.parts.describe import listed
from experiments.parts.device import choose_device
from experiments.parts.outputs import export, write_projection

if TYPE_CHECKING:
    import numpy as np

    from minigan.config import Config

Draw = Callable[["np.ndarray", "np.ndarray | None"], "np.ndarray"]  # z (n, latent), classes one-hot (n, K) -> images
Labels = Callable[[Iterable[int]], "np.ndarray | None"]  # numbers of images -> their labels (n,), None without classes
Classes = Labels  # the same as one-hot rows (n, K)

STEPS = 24  # frames of the animation from one image to the next, about a second
STRIP = 8  # frames of them in the still picture
KEYS = 6  # default number of images in the animation
GRID_MOST = 1024  # images that the grid holds at most

EXAMPLES = """examples:
  python -m experiments.generate runs/mnist-vitgan-small                  everything, into generated/ in the run
  python -m experiments.generate RUN --num 50000 --hdf5 --seed 1          images for a metric
  python -m experiments.generate RUN --interpolation 3 17 42              an animation through these images
  python -m experiments.generate RUN --grid --num 64 --truncation 0.7     less variety, more typical images
  python -m experiments.generate RUN --label 7                            sevens, from a run with --labels
  python -m experiments.generate RUN --grid --label all                   a row for each class
  python -m experiments.generate RUN --project face.jpg                   the nearest image, and the way there
  python -m experiments.generate RUN --export weights.safetensors         the weights, for PyTorch and others
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.generate",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("checkpoint", type=Path, metavar="RUN", help="the directory of a run, or a checkpoint file")
    p.add_argument("--num", type=int, default=100, metavar="N", help="number of images (default: 100)")
    p.add_argument("--seed", type=int, default=0, help="of the images: 0 … 2³² - 1 (default: 0)")
    p.add_argument(
        "--truncation",
        type=float,
        default=1.0,
        metavar="PSI",
        help="0 … 1: move every w = mapping(z) towards the mean w; 1 does nothing, 0 gives one image (default: 1)",
    )
    p.add_argument(
        "--label",
        nargs="+",
        metavar="K",
        help="of a run with --labels: the classes that images take in turn, by number or by the name of their folder, "
        "or all (default: drawn by their shares)",
    )
    p.add_argument("--device", default="auto", help="cpu, cuda or auto, the GPU if there is one (default: auto)")
    p.add_argument(
        "--out", type=Path, metavar="DIR", help="a new directory (default: generated, beside the checkpoint)"
    )
    what = p.add_argument_group("what is written (everything, if none of these is given)")
    what.add_argument("--folder", action="store_true", help="images/000000.png, 000001.png, …")
    what.add_argument("--grid", action="store_true", help=f"grid.png: the images in rows, at most {GRID_MOST:,}")
    what.add_argument("--columns", type=int, metavar="C", help="columns of the grid (default: a square grid)")
    what.add_argument("--hdf5", action="store_true", help="samples.h5: the images, their z, and how they were made")
    what.add_argument(
        "--interpolation",
        type=int,
        nargs="*",
        metavar="I",
        help=f"interpolation.gif and .png: from image I to the next and back to the first (default: the first {KEYS})",
    )
    what.add_argument(
        "--project",
        type=Path,
        metavar="IMAGE",
        help="projection.png and .gif: the way to the image nearest to this picture, and .h5: its w",
    )
    what.add_argument(
        "--export", type=Path, metavar="FILE", help="the weights for other programs: FILE.safetensors, at this place"
    )
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    import numpy as np

    from minigan.directories import free_directory
    from minigan.ranks import world
    from minigan.sampling import find_checkpoint, truncate

    asked = args.folder or args.grid or args.hdf5 or args.interpolation is not None or args.project
    if not (asked or args.export):
        args.folder = args.grid = args.hdf5 = True
        args.interpolation = []
    check(args)
    device = choose_device(args.device)
    path = find_checkpoint(args.checkpoint)
    out = args.out or free_directory(path.parent / "generated", unless=is_unfinished)
    if asked or not args.export:
        refuse_filled(out)
    generator, config, names, digest = load_hashed(path, device)
    labels_of = choose_labels(args, generator, names)
    world().check_equal([np.frombuffer(digest.encode(), np.uint8)], f"the files {path}")
    if args.export:
        if world().first:
            export(args.export, generator, config)
        if not asked:
            return 0
    if args.truncation < 1:
        truncate(generator, args.truncation)
    if not world().first:
        for _ in drawn(wanted(args), args.seed, generator, config, labels_of):
            pass
        return 0
    told = f"; label {', '.join(names[k] if names else str(k) for k in args.label)}" if args.label else ""
    print(f"{path}: {config.variant}, {config.image_size} × {config.image_size}{told}; device {device}", flush=True)
    with filled_whole(out) as directory:
        write(args, path, digest, generator, config, labels_of, directory)
        if args.project:
            write_projection(args.project, generator, config, directory)
    print(f"wrote {', '.join(str(out / name) for name in sorted(os.listdir(out)))}")
    return 0


def refuse_filled(out: Path) -> None:
    """InputError unless the directory is new or empty, or as from `refuse_dangling`."""
    from minigan.directories import refuse_dangling
    from minigan.errors import InputError

    refuse_dangling(out)
    if out.exists() and not is_unfinished(out):
        raise InputError(f"{out} exists and is not an empty directory: choose another --out")


def load_hashed(path: Path, device: str) -> tuple[Any, "Config", list[str], str]:
    """The generator, its configuration, the names of its classes ([] without names), and the SHA-256 of its file.

    A training at work may replace the file between two looks at it, so both looks must find the same one.
    """
    from minigan import checkpoint
    from minigan.errors import InputError
    from minigan.sampling import make_generator

    for _ in range(10):
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        arrays, meta = checkpoint.load(path)
        generator, config = make_generator(arrays, meta, path, device)
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            return generator, config, class_names(meta, config), digest
    raise InputError(f"{path} is replaced again and again: copy it first")


def class_names(meta: dict[str, Any], config: "Config") -> list[str]:
    """The names of the classes in the meta of a checkpoint, in their order; [] unless each class has one."""
    names = meta.get("class_names")
    if not isinstance(names, list) or len(names) != config.classes:
        return []
    return names if all(isinstance(name, str) for name in names) else []


def check(args: argparse.Namespace) -> None:
    """InputError for flags out of range."""
    from minigan.errors import InputError
    from minigan.sampling import NUMBERS, SEEDS

    if args.num < 1:
        raise InputError(f"--num must be at least 1, not {args.num}")
    if not 0 <= args.seed < SEEDS:
        raise InputError(f"--seed must be from 0 to 2³² - 1, not {args.seed}")
    if not 0 <= args.truncation <= 1:
        raise InputError(f"--truncation must be from 0 to 1, not {args.truncation}")
    if args.export and args.export.suffix != ".safetensors":
        raise InputError(f"--export {args.export}: name a file that ends in .safetensors")
    if args.project and not args.project.is_file():
        raise InputError(f"--project {args.project} is not a file")
    if args.columns is not None and args.columns < 1:
        raise InputError(f"--columns must be at least 1, not {args.columns}")
    if args.columns is not None and not args.grid:
        raise InputError("--columns goes with --grid")
    if args.interpolation and (len(args.interpolation) < 2 or min(args.interpolation) < 0):
        raise InputError("--interpolation takes the numbers of two or more images, counted from 0")
    if max(args.num, *(args.interpolation or [0])) >= NUMBERS:
        raise InputError("images are numbered from 0 to 2³² - 1")


LITTER = re.compile(r"\.writing(\.\d+)?|\.lock(\.owner(\.claim)?)?")  # what a killed call leaves in its directory


def is_unfinished(directory: Path) -> bool:
    """Whether a directory is empty, but for what a killed call left in it."""
    return directory.is_dir() and all(LITTER.fullmatch(name) for name in os.listdir(directory))


@contextlib.contextmanager
def filled_whole(directory: Path) -> Iterator[Path]:
    """A temporary directory to write into; its files move into `directory` at the end, or vanish after an error."""
    from minigan.errors import InputError
    from minigan.files import remove
    from minigan.lock import hold_lock

    new = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    temporary, lock = directory / ".writing", directory / ".lock"
    try:
        with hold_lock(lock, f"{directory}: another process is writing there"):
            if not is_unfinished(directory):  # another process was quicker
                raise InputError(f"{directory} is not empty any more: choose another --out")
            for litter in directory.glob(".writing*"):
                shutil.rmtree(litter)
            try:
                temporary.mkdir()
                yield temporary
                for entry in temporary.iterdir():
                    os.replace(entry, directory / entry.name)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
                remove(lock)
    finally:
        if new and not any(directory.iterdir()):
            directory.rmdir()


def choose_labels(args: argparse.Namespace, generator: Any, names: list[str]) -> Labels:
    """How images get their classes from --label, which becomes a list of whole numbers, or None.

    A class is its name, or its number if no name is a number.
    """
    import numpy as np

    from minigan.errors import InputError
    from minigan.sampling import image_labels

    if args.label is None:
        return lambda numbers: image_labels(generator, numbers, args.seed)
    if generator.classes is None:
        raise InputError(f"{args.checkpoint} was trained without --labels, so --label has nothing to choose from")
    known = np.flatnonzero(generator.classes.shares.numpy()).tolist()
    numbers = {names[k]: k for k in known if names}
    if not any(name.isdecimal() for name in names):
        numbers |= {str(k): k for k in known}
    asked = args.label
    if "all" in asked and "all" not in names:
        if len(asked) > 1:
            raise InputError("--label all stands alone")
        asked = [names[k] if names else str(k) for k in known]
    if wrong := [word for word in asked if word not in numbers]:
        has = listed([names[k] for k in known]) if names else in_words(known)
        raise InputError(f"--label {wrong[0]}: the run has the classes {has}; give some of them, or all")
    args.label = [numbers[word] for word in asked]
    return lambda numbers: np.array([args.label[i % len(args.label)] for i in numbers])


def in_words(numbers: list[int]) -> str:
    """Ascending whole numbers in words: "0 to 9" where there are no gaps."""
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return listed([*map(str, numbers)])


def wanted(args: argparse.Namespace) -> int:
    """How many images are asked for, beside an animation."""
    return args.num if args.folder or args.grid or args.hdf5 else 0


Batch = tuple[range, "np.ndarray", "np.ndarray | None", "np.ndarray"]  # numbers of images, their z, classes, pixels


def drawn(num: int, seed: int, generator: Any, config: "Config", labels_of: Labels) -> Iterator[Batch]:
    """The first images of a seed in batches, so that memory does not grow with their number; the ranks draw in turn."""
    from minigan.ranks import world
    from minigan.sampling import batch_size, generate, latents

    batch, here = batch_size(config), world()
    for start in range(0, num, batch * here.size):
        first = start + batch * here.rank
        numbers = range(min(first, num), min(first + batch, num))
        found = None
        if numbers:
            z, classes = latents(numbers, config.latent, seed), one_hot_of(labels_of(numbers), config)
            found = (numbers, z, classes, generate(generator, z, batch, fill=True, classes=classes))
        yield from (one for one in here.all(found) if one)


def one_hot_of(labels: "np.ndarray | None", config: "Config") -> "np.ndarray | None":
    """The one-hot rows of labels, float32 (n, K); None for a run without classes."""
    from minigan.labels import one_hot

    return None if labels is None else one_hot(labels, config.classes)


def write(
    args: argparse.Namespace,
    path: Path,
    digest: str,
    generator: Any,
    config: "Config",
    labels_of: Labels,
    directory: Path,
) -> None:
    """Write everything that was asked for into the directory."""
    from minigan.progress import Progress
    from minigan.sampling import batch_size, generate

    batch, images = batch_size(config), wanted(args)
    keys = args.interpolation if args.interpolation != [] else list(range(KEYS))
    with Progress(total=images + STEPS * len(keys or []), unit="image", leave=False) as bar:

        def draw(z: "np.ndarray", classes: "np.ndarray | None") -> "np.ndarray":
            bar.update(len(z))
            return generate(generator, z, batch, fill=True, classes=classes)

        def classes_of(numbers: Iterable[int]) -> "np.ndarray | None":
            return one_hot_of(labels_of(numbers), config)

        def counted() -> Iterator[Batch]:
            for found in drawn(images, args.seed, generator, config, labels_of):
                bar.update(len(found[0]))
                yield found

        if images:
            write_images(args, path, digest, counted(), directory)
        if keys:
            write_interpolation(keys, args.seed, draw, classes_of, batch, config.latent, directory)


def write_images(args: argparse.Namespace, path: Path, digest: str, batches: Iterator[Batch], directory: Path) -> None:
    """Write the folder, the grid and the HDF5 file."""
    import numpy as np

    from minigan.figures import enlargement, image_grid, save_image
    from minigan.hdf5 import writing_hdf5

    shown: list[np.ndarray] = []
    made: dict[str, Any] = {"seed": args.seed, "truncation": args.truncation, "checkpoint": str(path)}
    made["checkpoint_sha256"] = digest
    rows: dict[str, Callable[[np.ndarray], None]] = {}
    with writing_hdf5(directory / "samples.h5", **made) if args.hdf5 else contextlib.nullcontext() as file:
        for numbers, z, classes, images in batches:
            if args.folder:
                for number, image in zip(numbers, images, strict=True):
                    save_image(image, directory / "images" / f"{number:06d}.png")
            if args.grid:
                shown += list(images[: GRID_MOST - len(shown)])
            if file:
                labels = {} if classes is None else {"labels": classes.argmax(axis=1)}
                for name, part in {"images": images, "z": z, **labels}.items():
                    if name not in rows:
                        rows[name] = file.rows(name, (args.num, *part.shape[1:]), part)
                    rows[name](part)
    if args.grid:
        columns = args.columns or math.ceil(math.sqrt(len(shown)))
        if args.label and len(args.label) > 1 and not args.columns:  # a row for each class
            rows_of = [shown[i :: len(args.label)] for i in range(len(args.label))]
            columns = len(rows_of[0])
            blank = np.zeros_like(shown[0])
            shown = [image for row in rows_of for image in [*row, *[blank] * (columns - len(row))]]
        scale = enlargement(image_grid(shown, columns).shape[1])
        save_image(image_grid(shown, columns, scale=scale), directory / "grid.png")


def write_interpolation(
    keys: list[int], seed: int, draw: Draw, classes_of: Classes, batch: int, latent: int, directory: Path
) -> None:
    """Write the animation, and a still picture of it: one row from each key image to the next.

    The class changes along the straight line between the one-hot rows of both.
    """
    import numpy as np

    from minigan.figures import enlargement, image_grid, save_image, save_loop
    from minigan.sampling import closed_path, latents

    z = closed_path(latents(keys, latent, seed), STEPS)
    classes = classes_of(keys)
    if classes is not None:
        part = np.arange(STEPS, dtype=np.float32)[:, None] / STEPS
        classes = np.concatenate(
            [a + part * (b - a) for a, b in zip(classes, np.roll(classes, -1, axis=0), strict=True)]
        )
    parts = [slice(i, i + batch) for i in range(0, len(z), batch)]
    frames = np.concatenate([draw(z[part], None if classes is None else classes[part]) for part in parts])
    save_loop(frames, directory / "interpolation.gif")
    rows = STEPS * np.arange(len(keys))[:, None]
    strip = frames[(rows + np.linspace(0, STEPS, STRIP + 1).astype(int)).ravel() % len(frames)]
    scale = enlargement(image_grid(strip, STRIP + 1).shape[1])
    save_image(image_grid(strip, STRIP + 1, scale=scale), directory / "interpolation.png")


def run() -> None:
    """The console script."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that SIGTERM removes half-written files too
    run_main(main, shared=True)


if __name__ == "__main__":
    run()
