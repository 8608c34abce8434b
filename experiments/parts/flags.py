"""The flags of the training commands: what they are called, which go together, and what they set."""

import argparse
import dataclasses
import math
import textwrap
from pathlib import Path
from typing import Any

from experiments.parts.device import refuse_tf32_on_cpu
from experiments.parts.plan import Options

MOST_MINUTES = 5_256_000


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of a run and of its evaluation that are not fields of the configuration."""
    run = parser.add_argument_group("the run")
    run.add_argument("--device", default="auto", choices=["cpu", "cuda", "auto"], help="auto: the GPU if there is one")
    run.add_argument("--no-graph", action="store_true", help="on a GPU: run every step by itself, not as a CUDA graph")
    run.add_argument("--no-loops", action="store_true", help="on a CPU: NumPy alone, even where numba is installed")
    run.add_argument(
        "--tf32",
        action="store_true",
        help="on a GPU: round the factors of matrix products in training to 10 bits of mantissa, which is faster and "
        "right to three digits; evaluations are exact; a resumed run needs the flag again",
    )
    run.add_argument("--labels", action="store_true", help="tell both networks the class of each image")
    run.add_argument("--out", type=Path, metavar="DIR", help="directory of the run (default: a new one in runs/)")
    run.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="go on with the run in this directory, exactly where it stopped; with --steps N to N steps in all, over "
        "which its schedules are laid anew",
    )
    run.add_argument(
        "--init",
        type=Path,
        metavar="RUN",
        help="start from the weights of this run: its networks, and everything else as flags say",
    )
    run.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="take settings and data from the config.json of a run; flags vary it",
    )
    run.add_argument("--epochs", type=float, help="passes over the data, in place of --steps")
    run.add_argument(
        "--minutes",
        type=float,
        help="train as many steps as fit, in place of --steps: their number follows the pace of the machine, and the "
        "schedules with it; a tenth of the time is for the last evaluation",
    )
    run.add_argument(
        "--track",
        choices=["tensorboard"],
        help="write the log and the sample grids for TensorBoard too: tensorboard --logdir runs",
    )
    run.add_argument("--dry-run", action="store_true", help="print the configuration, the sizes and the time, and stop")
    judge = parser.add_argument_group("the evaluation")
    judge.add_argument(
        "--features",
        choices=["auto", "inception", "digits", "random", "none"],
        help="what images are compared by (auto: inception with --inception, digits for images of digits, else random; "
        "none: no evaluation)",
    )
    judge.add_argument("--inception", type=Path, metavar="FILE", help="weights of experiments.export_inception: FID")
    judge.add_argument("--mode", choices=["tf", "torch", "clean"], help="how Inception's images are resized (tf)")


def add_config_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for every field of the configuration. It is None if it is not given."""
    from minigan.config import Config, flag_of
    from minigan.presets import ADAM, COLOUR

    groups = {  # by their first field
        "variant": parser.add_argument_group("what to train"),
        "background": parser.add_argument_group("the networks"),
        "loss": parser.add_argument_group("the losses"),
        "optimizer": parser.add_argument_group("the optimisers", by_which()),
        "log_every": parser.add_argument_group("what is written when"),
    }
    group = groups["variant"]
    metavars: dict[Any, str] = {int: "N", float: "X", str: "TEXT"}
    for field in dataclasses.fields(Config):
        if field.name in ("image_size", "channels", "classes"):  # the data decide
            continue
        group = groups.get(field.name, group)
        kind: dict[str, Any] = {"type": field.type, "choices": field.metadata["choices"]}
        if field.type is bool:
            kind = {"action": argparse.BooleanOptionalAction}
        elif not kind["choices"]:
            kind["metavar"] = metavars[field.type]
        others = {"with adam": ADAM, "colour": COLOUR}
        other = "".join(f"; {who}: {values[field.name]}" for who, values in others.items() if field.name in values)
        default = "" if field.default == "" else f" (small: {field.default}{other})"
        text = (field.metadata["help"] + default).replace("%", "%%")
        group.add_argument(flag_of(field.name), default=None, help=text, **kind)


def by_which() -> str:
    """Which optimiser trains what, for the help."""
    from nn.shampoo import LARGEST, SMALLEST

    text = (
        "Grey images are trained by shampoo. Colour images, --variant cnn, --preset poster and paper, and runs with a "
        f"network narrower than {SMALLEST} or wider than {LARGEST} are trained by adam, with the values that "
        "stand after 'with adam' below; a variant or a preset may have others."
    )
    return textwrap.fill(text, 76)


def add_skip_flag(group: Any) -> None:
    """--skip-unreadable, for commands that read pictures."""
    group.add_argument(
        "--skip-unreadable",
        action="store_true",
        default=None,
        help="leave pictures out that cannot be read, and record how many (default: list them, and stop)",
    )


def check_flags(args: argparse.Namespace, device: str) -> None:
    """InputError for flags that contradict each other or the device, before any data are loaded."""
    from minigan.errors import InputError
    from minigan.track import check_installed

    refuse_tf32_on_cpu(args.tf32, device)
    if args.track:
        check_installed()
    for flag in ("epochs", "minutes"):
        value = getattr(args, flag)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"--{flag} must be greater than 0 and finite, not {value}")
    if args.minutes is not None and args.minutes > MOST_MINUTES:
        raise InputError(f"--minutes must be at most {MOST_MINUTES:,}, ten years, not {args.minutes:g}")
    if sum(x is not None for x in (args.steps, args.epochs, args.minutes)) > 1:
        raise InputError("give one of --steps, --epochs and --minutes")
    optional = {*given_options(args), "stream"}  # --no-x gives False, and None where it is not given
    given = {f for f, value in vars(args).items() if value is not None and (value is not False or f in optional)}
    if args.resume and given - {"resume", "steps", "device", "no_graph", "tf32", "track", "dry_run"}:
        raise InputError(
            "--resume goes on with its own settings: only --steps, --device, --no-graph, --tf32, --track and --dry-run "
            "go with it; a new run takes the weights of another with --init RUN, or its settings with --config RUN"
        )


def evaluation_options(args: argparse.Namespace) -> Options:
    """The arguments of `minigan.evaluate.make_evaluator` that flags set, JSON-able."""
    from minigan.errors import InputError

    for flag, value in (("inception", args.inception), ("mode", args.mode)):
        if value is not None and args.features not in (None, "auto", "inception"):
            raise InputError(f"--{flag} is for Inception features, so it does not go with --features {args.features}")
    if args.mode and not args.inception:
        raise InputError("--mode says how images are resized for Inception, so it needs --inception")
    weights = None if args.inception is None else str(args.inception.resolve())
    return {"features": args.features or "auto", "weights": weights, "mode": args.mode or "tf"}


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of the configuration that were given as flags."""
    from minigan.config import Config

    names = [f.name for f in dataclasses.fields(Config)]
    return {n: getattr(args, n) for n in names if getattr(args, n, None) is not None}
