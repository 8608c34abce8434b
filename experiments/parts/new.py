"""The plan of a new run: its flags, its images, and what --config and --init take from another run."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import command_line
from experiments.parts.classes import classes_of, count_classes
from experiments.parts.drawn import as_fit
from experiments.parts.flags import evaluation_options, given_options
from experiments.parts.plan import Load, Options, Plan, load_again
from experiments.parts.reuse import check_images, networks, read_weights, recorded

if TYPE_CHECKING:
    from minigan.pace import TimeLimit


def new_plan(
    args: argparse.Namespace, load: Load, options: Options, name: str, limit: "TimeLimit | None" = None
) -> Plan:
    """The plan of a new run. InputError if --out holds a run already."""
    from minigan.config import MOST, check_values
    from minigan.errors import InputError
    from minigan.presets import resolve, vary
    from minigan.ranks import world

    if args.out:
        refuse_existing(args.out)
    check_values(given_options(args))  # before the data, which may take long to load
    options = {**options, "evaluation": evaluation_options(args)}
    saved = None
    if args.config:
        saved, options = recorded(args, options, name)
    elif limit:
        options = world().same(as_fit(limit, load, options, args))
    weights = read_weights(args.init) if args.init else None
    data = load_again(load, options, args.config) if args.config else load(options)
    image = {"image_size": data.images.shape[1], "channels": 3 if data.images.ndim == 4 else 1}
    if weights:
        image["classes"] = classes_of(weights, data, args.labels)
    elif args.labels:
        image["classes"] = count_classes(data)
    given = {**given_options(args), **image}
    if weights:
        check_images(weights.config, data, weights.path)
        given = {**networks(weights.config), **given}
    config = vary(saved, **given) if saved else resolve(**given)
    if args.epochs is not None:
        steps = args.epochs * len(data) / config.batch
        if steps > MOST:
            raise InputError(f"--epochs {args.epochs:g} are more than {MOST:,} steps")
        config.steps = max(1, round(steps))
    return Plan(config, data, options, command_line(), args.out, weights=weights)


def refuse_existing(directory: Path) -> None:
    """InputError if the directory holds a run, is a file, or lies behind a link that leads nowhere."""
    from minigan.directories import refuse_dangling
    from minigan.errors import InputError

    refuse_dangling(directory)
    if directory.exists() and not directory.is_dir():
        raise InputError(f"--out {directory} is not a directory")
    if any((directory / file).exists() for file in ("checkpoint.h5", "best.h5", "log.jsonl")):
        raise InputError(f"{directory} holds a run already: --resume it, or choose another --out")
