"""How many images are drawn where no data are given: fewer for a dry run, and for a run of a few minutes."""

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING

from experiments.parts.plan import Load, Options

if TYPE_CHECKING:
    from minigan.data import Dataset
    from minigan.pace import TimeLimit

FEW = 500  # images that a dry run draws, and that are timed
TEST = "test_images"  # the option that counts the images to draw for the evaluation, where they are fewer than usual
LEAST = 2000  # images that a run by the clock draws
SHARE = 0.15  # of its time, for drawing the images to train on


def drawn_kind(options: Options) -> str | None:
    """The option that counts the images to draw, "digits" or "faces"; None for a run on data."""
    return next((name for name in ("digits", "faces") if options["path"] is None and name in options), None)


def drawing_few(load: Load) -> Load:
    """`load` for a dry run: of drawn images the first few stand for all, because drawing all takes a minute."""

    def few(options: Options, split: str = "train") -> "Dataset":
        drawn = drawn_kind(options)
        if drawn is None or options[drawn] <= FEW:
            return load(options, split)
        import numpy as np

        data = load({**options, drawn: FEW}, split)
        rows = np.arange(options[drawn]) % FEW
        labels = None if data.labels is None else data.labels[rows]
        return dataclasses.replace(data, images=data.images[rows], labels=labels)

    return few


def as_fit(limit: "TimeLimit", load: Load, options: Options, args: argparse.Namespace) -> Options:
    """For a run by the clock: draw as many images as SHARE of its time allows, unless a flag gives their number."""
    drawn = drawn_kind(options)
    if drawn is None or getattr(args, drawn) is not None or options[drawn] <= LEAST:
        return options
    load({**options, drawn: 10})  # not timed: it imports and compiles
    start = limit.clock()
    load({**options, drawn: FEW})
    fit = int(SHARE * limit.seconds * FEW / max(limit.clock() - start, 1e-6))
    count = max(LEAST, min(options[drawn], fit // 1000 * 1000))
    if count < options[drawn]:
        print(f"drawing {count:,} {drawn} instead of {options[drawn]:,}, to keep --minutes", file=sys.stderr)
        return {**options, drawn: count, TEST: count // 2}
    return options
