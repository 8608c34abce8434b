"""What a training run is made of, before it begins."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigan.checkpoint import Arrays
    from minigan.config import Config
    from minigan.data import Dataset

Options = dict[str, Any]  # how the data of a run are loaded; JSON-able, kept in its checkpoint
Load = Callable[..., "Dataset"]  # (options, split="train"): images to train on; split="test": to compare with


@dataclass
class Weights:
    """The weights of a run."""

    config: "Config"
    arrays: "Arrays"
    path: Path  # of their file


@dataclass
class Plan:
    """What a run is made of, whether it is new or goes on."""

    config: "Config"
    data: "Dataset"
    options: Options
    command: str
    directory: Path | None  # None: a new one in runs/
    saved: tuple["Arrays", dict[str, Any]] | None = None  # the checkpoint to go on from
    weights: "Weights | None" = None  # of a new run: what to start from


def recorded_options(config: dict[str, Any]) -> Options:
    """The data options in a config.json, without the facts about the images that stand beside them."""
    return {k: v for k, v in config.get("data", {}).items() if k not in ("name", "images", "unreadable")}


def check_command(command: Any, name: str, source: Path, flag: str) -> None:
    """InputError if a run was trained by another command than `name`. flag: of the command that would be right."""
    from minigan.errors import InputError

    ours = f"experiments.{name}"
    trained_by = next((word for word in command.split() if word.startswith("experiments.")), ours)
    if trained_by != ours:
        raise InputError(f"{source} is a run of another command: python -m {trained_by} {flag} {source}")


def load_again(load: Load, options: Options, source: Path) -> "Dataset":
    """The images of recorded options; InputError if they are of another version, or were edited."""
    from minigan.errors import InputError

    try:
        return load(options)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise InputError(f"{source}: its data cannot be loaded again ({type(e).__name__}: {e})") from e


def check_evaluation(options: Any, source: Path) -> None:
    """InputError unless these are options as `evaluation_options` gives them."""
    from minigan.errors import InputError

    kinds = {"features": str, "weights": str | None, "mode": str}
    if not isinstance(options, dict) or not all(
        name in kinds and isinstance(value, kinds[name]) for name, value in options.items()
    ):
        raise InputError(f"{source}: its files do not say with which features it was evaluated")
