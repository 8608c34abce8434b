"""A new run that takes something from another one: --config FILE its settings, --init RUN its weights."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.parts.plan import Options, Weights, check_command, check_evaluation, recorded_options

if TYPE_CHECKING:
    from minigan.config import Config
    from minigan.data import Dataset

# The flags that decide the images, beside --data; each is an option of its own in the record of a run.
DATA_FLAGS = ("size", "crop", "subset", "digits", "faces", "cache", "stream", "skip_unreadable", "holdout")
EVALUATION_FLAGS = ("features", "inception", "mode")
FIRST_OF_NETWORKS, LAST_OF_NETWORKS = "image_size", "cnn_batch_norm"  # fields of Config


def recorded(args: argparse.Namespace, typed: Options, name: str) -> tuple["Config", Options]:
    """The settings and the options of the data that --config FILE records, varied by the flags that were given.

    typed: the options as the flags alone would have them. --data brings all of them; any other flag changes its own.
    """
    from minigan.errors import InputError
    from minigan.log import read_config
    from minigan.presets import saved_config

    for flag in ("variant", "preset"):
        if getattr(args, flag) is not None:
            raise InputError(
                f"--config sets everything that --{flag} would choose: vary it by single settings, such as --d-norm"
            )
    found = read_config(args.config)
    if not found:
        raise InputError(f"{args.config} is neither a config.json nor the directory of a run with one")
    check_command(found.get("command", ""), name, args.config, "--config")
    config = saved_config({"config": found.get("options")}, args.config)
    options = recorded_options(found)
    check_evaluation(options.get("evaluation", {}), args.config)
    if any(getattr(args, flag) is not None for flag in EVALUATION_FLAGS):
        options["evaluation"] = typed["evaluation"]
    if args.seed is not None:
        options["seed"] = args.seed
    if args.data:
        return config, {**typed, "evaluation": options.get("evaluation", typed["evaluation"])}
    given = [flag for flag in DATA_FLAGS if getattr(args, flag, None) is not None and flag in typed]
    if given and options.get("path") is not None:
        options["note"] = None  # it may speak of the size
    return config, {**options, **{flag: typed[flag] for flag in given}}


def read_weights(directory: Path) -> Weights:
    """The weights of --init, a run or a checkpoint."""
    from minigan import checkpoint
    from minigan.errors import InputError
    from minigan.presets import saved_config
    from minigan.sampling import find_checkpoint

    path = find_checkpoint(directory)
    arrays, meta = checkpoint.load(path)
    config = saved_config(meta, path)
    if not {"generator", "discriminator", "ema"} <= arrays.keys():
        raise InputError(f"{path}: a checkpoint, but not of a training run")
    return Weights(config, arrays, path)


def networks(config: "Config") -> dict[str, Any]:
    """The fields of a configuration that say how its networks are built."""
    names = [field.name for field in dataclasses.fields(config)]
    wanted = names[names.index(FIRST_OF_NETWORKS) : names.index(LAST_OF_NETWORKS) + 1]
    wanted.remove("g_level")  # it is measured, not learned, so weights do not decide it
    return {name: getattr(config, name) for name in ("variant", *wanted)}


def check_images(config: "Config", data: "Dataset", path: Path) -> None:
    """InputError unless networks of this configuration, from `path`, take these images."""
    from minigan.errors import InputError

    shape = (data.images.shape[1], 3 if data.images.ndim == 4 else 1)
    if shape != (config.image_size, config.channels):
        kinds = {1: "grey", 3: "RGB"}
        own, these = (f"{size} × {size} {kinds[n]}" for size, n in ((config.image_size, config.channels), shape))
        raise InputError(f"--init {path}: its networks take images of {own}, and {data.name} has {these}")
