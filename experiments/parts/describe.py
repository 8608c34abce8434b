"""The lines about the images and the configuration of a run that a command prints."""

import dataclasses
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigan.config import Config
    from minigan.data import Dataset
    from minigan.step import GAN

FEW, OFTEN = 1000, 200  # a run that shows each of fewer than FEW images OFTEN times or more is warned of


def say_images(gan: "GAN", data: "Dataset", how: str = "") -> None:
    """Print what is trained on and `how`, and a warning if this run may learn its few images by heart."""
    config = gan.config
    print(f"{data.name}: {len(data):,} images, {config.image_size} × {config.image_size}; device {gan.device}{how}")
    times = config.steps * config.batch / len(data)
    if len(data) < FEW and times >= OFTEN:
        cure = "use more images or fewer --steps" + ("" if config.augment else ", or --augment translation,cutout")
        print(
            f"warning: D sees each of the {len(data):,} images {times:,.0f} times, and may learn them by heart: {cure}",
            file=sys.stderr,
        )


def listed(words: list[str]) -> str:
    """The first twenty words."""
    return ", ".join(words[:20]) + (" and more" if len(words) > 20 else "")


def optimiser(name: str, lookahead: int) -> str:
    """How both networks are trained, in words."""
    return {"adam": "Adam", "shampoo": "Shampoo"}[name] + (" with Lookahead" if lookahead else "")


def say_configuration(config: "Config") -> None:
    """Print the name and the value of each field: in as many columns as a terminal has room for, or a line each."""
    cells = [f"{field:17}{value}" for field, value in dataclasses.asdict(config).items()]
    width = max(map(len, cells)) + 3
    columns = max(1, shutil.get_terminal_size().columns // width) if sys.stdout.isatty() else 1
    rows = -(-len(cells) // columns)
    for i in range(rows):
        print("".join(f"{cell:{width}}" for cell in cells[i::rows]).rstrip())
