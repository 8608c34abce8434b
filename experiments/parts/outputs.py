"""What experiments.generate writes on request: the projection of an image, and the weights for other programs."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigan.config import Config

PICTURES = 8  # on the way to the nearest w, in the still picture
FRAMES = 100  # of the film


def write_projection(image: Path, generator: Any, config: "Config", directory: Path) -> None:
    """Find the w nearest to a picture; write projection.png, projection.gif and projection.h5 into the directory.

    The picture is cropped to its central square and resized. Left in the film stands the picture, right the way there.
    """
    import numpy as np

    from minigan.data.decoding import pixels
    from minigan.figures import enlargement, evenly, image_grid, save_image, save_loop
    from minigan.hdf5 import writing_hdf5
    from minigan.progress import Progress
    from minigan.projection import STEPS, project
    from minigan.sampling import batch_size

    target = pixels(image, image, "RGB" if config.channels == 3 else "L", config.image_size)
    with Progress(total=STEPS, desc="projecting", unit="step", leave=False) as bar:
        found = project(generator, target, batch_size(config), STEPS, each=bar.update)
    shown = [target, *found.frames[np.unique(np.geomspace(1, STEPS + 1, PICTURES).astype(int)) - 1]]
    scale = enlargement(image_grid(shown, len(shown)).shape[1])
    save_image(image_grid(shown, len(shown), scale=scale), directory / "projection.png")
    film = [image_grid([target, frame], 2) for frame in evenly(found.frames, FRAMES)]
    save_loop(film, directory / "projection.gif")
    with writing_hdf5(directory / "projection.h5", distance=found.distance, image=str(image)) as file:
        file.array("w", found.w)
        file.array("target", target)
        file.array("nearest", found.frames[-1])
    print(
        f"{image}: mean squared error {found.distance:.4f} of pixels from -1 to 1; "
        f"{found.first:.4f} for the nearest of the random w"
    )


def export(path: Path, generator: Any, config: "Config") -> None:
    """Write the weights of the averaged generator as safetensors, and its configuration into their metadata."""
    from minigan.safetensors import write_safetensors

    settings = json.dumps(dataclasses.asdict(config))
    write_safetensors(path, generator.state_dict(), {"format": "pt", "config": settings})
    print(f"wrote {path}: {generator.count():,} parameters; docs/runs.md loads them in PyTorch")
