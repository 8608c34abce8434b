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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli import choose_device, run_main
from experiments.parts.outputs import export, write_projection

if TYPE_CHECKING:
    import numpy as np

    from minigan.config import Config

Draw = Callable[["np.ndarray"], "np.ndarray"]  # z (n, latent) -> images uint8 (n, H, W) or (n, H, W, 3)

STEPS = 24  # frames of the animation from one image to the next, about a second
STRIP = 8  # frames of them in the still picture
KEYS = 6  # default number of images in the animation
GRID_MOST = 1024  # images that the grid holds at most

EXAMPLES = """examples:
  python -m experiments.generate runs/mnist-vitgan-small                  everything, into generated/ in the run
  python -m experiments.generate RUN --num 50000 --hdf5 --seed 1          images for a metric
  python -m experiments.generate RUN --interpolation 3 17 42              an animation through these images
  python -m experiments.generate RUN --grid --num 64 --truncation 0.7     less variety, more typical images
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
    from minigan.errors import InputError
    from minigan.sampling import find_checkpoint, truncate
    from minigan.train import free_directory

    asked = args.folder or args.grid or args.hdf5 or args.interpolation is not None or args.project
    if not (asked or args.export):
        args.folder = args.grid = args.hdf5 = True
        args.interpolation = []
    check(args)
    device = choose_device(args.device)
    path = find_checkpoint(args.checkpoint)
    generator, config, digest = load_hashed(path, device)
    if args.export:
        export(args.export, generator, config)
        if not asked:
            return 0
    out = args.out or free_directory(path.parent / "generated", unless=is_unfinished)
    if out.exists() and not is_unfinished(out):
        raise InputError(f"{out} exists and is not an empty directory: choose another --out")

    print(f"{path}: {config.variant}, {config.image_size} × {config.image_size}; device {device}", flush=True)
    if args.truncation < 1:
        truncate(generator, args.truncation)
    with filled_whole(out) as directory:
        write(args, path, digest, generator, config, directory)
        if args.project:
            write_projection(args.project, generator, config, directory)
    print(f"wrote {', '.join(str(out / name) for name in sorted(os.listdir(out)))}")
    return 0


def load_hashed(path: Path, device: str) -> tuple[Any, "Config", str]:
    """The generator, its configuration, and the SHA-256 of its file.

    A training at work may replace the file between two looks at it, so both looks must find the same one.
    """
    from minigan.errors import InputError
    from minigan.sampling import load_generator

    for _ in range(10):
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        generator, config = load_generator(path, device)
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            return generator, config, digest
    raise InputError(f"{path} is replaced again and again: copy it first")


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


def write(args: argparse.Namespace, path: Path, digest: str, generator: Any, config: "Config", directory: Path) -> None:
    """Write everything that was asked for into the directory."""
    from minigan.progress import Progress
    from minigan.sampling import batch_size, generate

    batch = batch_size(config)
    images = args.num if args.folder or args.grid or args.hdf5 else 0
    keys = args.interpolation if args.interpolation != [] else list(range(KEYS))
    with Progress(total=images + STEPS * len(keys or []), unit="image", leave=False) as bar:

        def draw(z: "np.ndarray") -> "np.ndarray":
            bar.update(len(z))
            return generate(generator, z, batch, fill=True)

        if images:
            write_images(args, path, digest, draw, batch, config.latent, directory)
        if keys:
            write_interpolation(keys, args.seed, draw, batch, config.latent, directory)


def write_images(
    args: argparse.Namespace, path: Path, digest: str, draw: Draw, batch: int, latent: int, directory: Path
) -> None:
    """Write the folder, the grid and the HDF5 file, batch by batch, so that memory does not grow with --num."""
    from minigan.figures import enlargement, image_grid, save_image
    from minigan.hdf5 import writing_hdf5
    from minigan.sampling import latents

    shown: list[np.ndarray] = []
    made: dict[str, Any] = {"seed": args.seed, "truncation": args.truncation, "checkpoint": str(path)}
    made["checkpoint_sha256"] = digest
    rows: dict[str, Callable[[np.ndarray], None]] = {}
    with writing_hdf5(directory / "samples.h5", **made) if args.hdf5 else contextlib.nullcontext() as file:
        for first in range(0, args.num, batch):
            numbers = range(first, min(first + batch, args.num))
            z = latents(numbers, latent, args.seed)
            images = draw(z)
            if args.folder:
                for number, image in zip(numbers, images, strict=True):
                    save_image(image, directory / "images" / f"{number:06d}.png")
            if args.grid:
                shown += list(images[: GRID_MOST - len(shown)])
            if file:
                for name, part in {"images": images, "z": z}.items():
                    if not first:
                        rows[name] = file.rows(name, (args.num, *part.shape[1:]), part)
                    rows[name](part)
    if args.grid:
        columns = args.columns or math.ceil(math.sqrt(len(shown)))
        scale = enlargement(image_grid(shown, columns).shape[1])
        save_image(image_grid(shown, columns, scale=scale), directory / "grid.png")


def write_interpolation(keys: list[int], seed: int, draw: Draw, batch: int, latent: int, directory: Path) -> None:
    """Write the animation, and a still picture of it: one row from each key image to the next."""
    import numpy as np

    from minigan.figures import enlargement, image_grid, save_image, save_loop
    from minigan.sampling import closed_path, latents

    z = closed_path(latents(keys, latent, seed), STEPS)
    frames = np.concatenate([draw(z[i : i + batch]) for i in range(0, len(z), batch)])
    save_loop(frames, directory / "interpolation.gif")
    rows = STEPS * np.arange(len(keys))[:, None]
    strip = frames[(rows + np.linspace(0, STEPS, STRIP + 1).astype(int)).ravel() % len(frames)]
    scale = enlargement(image_grid(strip, STRIP + 1).shape[1])
    save_image(image_grid(strip, STRIP + 1, scale=scale), directory / "interpolation.png")


def run() -> None:
    """The console script."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that SIGTERM removes half-written files too
    run_main(main)


if __name__ == "__main__":
    run()
