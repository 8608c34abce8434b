"""The lines about the images and the configuration of a run that a command prints."""

import dataclasses
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigan.config import Config
    from minigan.data import Dataset
    from minigan.step import GAN

FEW = 1000  # images: below, a run that shows each of them OFTEN times draws copies of them
OFTEN = 200


def say_images(gan: "GAN", data: "Dataset", how: str = "") -> None:
    """Print what is trained on, and a warning if a run of this length would learn so few images by heart."""
    config = gan.config
    print(f"{data.name}: {len(data):,} images, {config.image_size} × {config.image_size}; device {gan.device}{how}")
    times = config.steps * config.batch / len(data)
    if len(data) < FEW and times >= OFTEN:
        print(
            f"warning: D sees each of the {len(data):,} images {times:,.0f} times, and learns so few by heart: use "
            "more images, fewer --steps, or --augment translation,cutout",
            file=sys.stderr,
        )


def say_configuration(config: "Config") -> None:
    """Print the name and the value of each field, in as many columns as the terminal has room for."""
    cells = [f"{field:17}{value}" for field, value in dataclasses.asdict(config).items()]
    width = max(map(len, cells)) + 3
    columns = max(1, shutil.get_terminal_size((width, 0)).columns // width)
    rows = -(-len(cells) // columns)
    for i in range(rows):
        print("".join(f"{cell:{width}}" for cell in cells[i::rows]).rstrip())
