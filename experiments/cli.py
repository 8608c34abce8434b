"""What the commands share: flags from the configuration, training runs, bad input as one sentence and status 2."""

import argparse
import dataclasses
import io
import math
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigan.config import Config
    from minigan.data import Dataset


def run_main(main: Callable[[list[str]], int]) -> None:
    """Call `main(arguments)` and exit: bad input is one sentence on stderr and status 2, never a traceback."""
    from autograd.arrays import DeviceError
    from minigan.errors import InputError, NumericalError

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # ± and ∞ where the terminal has none
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # in training the run catches it, and saves
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except NumericalError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(3)
    except (InputError, DeviceError, OSError) as e:  # OSError: no space, no permission, a file where a folder should be
        print(f"error: {e}", file=sys.stderr)
        sys.exit(2)
    except MemoryError as e:
        print("error: not enough memory" + (f": {e}" if str(e) else ""), file=sys.stderr)
        sys.exit(2)


def command_line() -> str:
    """The command as it was typed, to repeat it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["-m", spec.name.removesuffix(".__main__")] if spec else sys.argv[:1]
    return shlex.join(["python", *program, *sys.argv[1:]])


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """Where a run reads, writes and stops."""
    run = parser.add_argument_group("the run")
    run.add_argument("--device", default="auto", choices=["cpu", "cuda", "auto"], help="auto: the GPU if there is one")
    run.add_argument("--no-graph", action="store_true", help="on a GPU: run every step anew, not as a CUDA graph")
    run.add_argument("--no-loops", action="store_true", help="on a CPU: NumPy alone, even where numba is installed")
    run.add_argument(
        "--tf32",
        action="store_true",
        help="on a GPU: round the factors of matrix products in training to 10 bits of mantissa: faster, and right to "
        "three digits; evaluations are exact; give it again with --resume",
    )
    run.add_argument("--out", type=Path, metavar="DIR", help="directory of the run (default: a new one in runs/)")
    run.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in DIR, exactly where it stopped")
    run.add_argument("--epochs", type=float, help="passes over the data, in place of --steps")
    run.add_argument("--minutes", type=float, help="lay the schedule over as many steps as fit, in place of --steps")
    run.add_argument("--dry-run", action="store_true", help="print the configuration, the sizes and the time, and stop")
    judge = parser.add_argument_group("the evaluation")
    judge.add_argument(
        "--features",
        choices=["auto", "inception", "digits", "random", "none"],
        help="what the figures compare (auto: inception with --inception, digits where the images are, else random)",
    )
    judge.add_argument("--inception", type=Path, metavar="FILE", help="weights of experiments.export_inception: FID")
    judge.add_argument("--mode", choices=["tf", "torch", "clean"], help="how Inception's images are resized (tf)")


def add_config_flags(parser: argparse.ArgumentParser) -> None:
    """One flag for every field of the configuration; not given, it is None."""
    from minigan.config import Config

    groups = {
        "variant": parser.add_argument_group("what to train"),
        "background": parser.add_argument_group("the networks"),
        "loss": parser.add_argument_group("the game"),
        "g_lr": parser.add_argument_group("the optimisers"),
        "log_every": parser.add_argument_group("what is written when"),
    }
    group = groups["variant"]
    metavars: dict[Any, str] = {int: "N", float: "X", str: "TEXT"}
    for field in dataclasses.fields(Config):
        if field.name in ("image_size", "channels"):  # the data decides
            continue
        group = groups.get(field.name, group)
        kind: dict[str, Any] = {"type": field.type, "choices": field.metadata["choices"]}
        if field.type is bool:
            kind = {"action": argparse.BooleanOptionalAction}
        elif not kind["choices"]:
            kind["metavar"] = metavars[field.type]
        default = "" if field.default == "" else f" (small: {field.default})"
        text = (field.metadata["help"] + default).replace("%", "%%")
        group.add_argument(f"--{field.name.replace('_', '-')}", default=None, help=text, **kind)


def evaluation_options(args: argparse.Namespace) -> dict[str, Any]:
    """What `minigan.evaluate.make_evaluator` needs, JSON-able."""
    from minigan.errors import InputError

    for flag, value in (("inception", args.inception), ("mode", args.mode)):
        if value is not None and args.features not in (None, "auto", "inception"):
            raise InputError(f"--{flag} is for Inception features, so it does not go with --features {args.features}")
    if args.mode and not args.inception:
        raise InputError("--mode says how images are resized for Inception, so it needs --inception")
    weights = None if args.inception is None else str(args.inception.resolve())
    return {"features": args.features or "auto", "weights": weights, "mode": args.mode or "tf"}


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """The configuration fields that were given as flags."""
    from minigan.config import Config

    names = [f.name for f in dataclasses.fields(Config)]
    return {n: getattr(args, n) for n in names if getattr(args, n, None) is not None}


def start(
    args: argparse.Namespace,
    load: Callable[..., "Dataset"],
    options: dict[str, Any],
    name: str,
) -> int:
    """Start or resume a training run from parsed flags; returns the exit status.

    `load(options, split="train")` gives the images to train on, or with "test" those to compare with (InputError where
    there are none). The checkpoint keeps the JSON-able `options`, so that --resume needs no other flag; "seed" and
    "note", a sentence for the report or None, are among them.
    """
    from autograd import use_tf32
    from autograd.arrays import best_device, device_module
    from minigan import accelerate, checkpoint
    from minigan.config import Config, resolve
    from minigan.errors import InputError
    from minigan.evaluate import make_evaluator
    from minigan.step import GAN
    from minigan.train import UNTIMED, NonFinite, Run, describe, new_directory

    device = best_device() if args.device == "auto" else args.device
    device_module(device)
    accelerate.use(None if args.no_loops and device == "cpu" else device)
    refuse_tf32_on_cpu(args.tf32, device)
    for flag in ("epochs", "minutes"):
        if (value := getattr(args, flag)) is not None and not 0 < value < math.inf:
            raise InputError(f"--{flag} must be greater than 0 and finite, not {value}")
    if sum(x is not None for x in (args.steps, args.epochs, args.minutes)) > 1:
        raise InputError("give one of --steps, --epochs and --minutes")
    if args.resume:
        given = {k for k, v in vars(args).items() if v is not None and v is not False}
        if given - {"resume", "device", "no_graph", "tf32", "dry_run"}:
            raise InputError("--resume goes on with its own settings: only --device, --no-graph and --tf32 go with it")
        arrays, meta = checkpoint.load(args.resume / "checkpoint.h5")
        if "config" not in meta:
            raise InputError(f"{args.resume / 'checkpoint.h5'}: a checkpoint, but not one of a training run")
        directory, options, minutes, command = args.resume, meta["data"], meta["minutes"], meta["command"]
        by = next((word for word in shlex.split(command) if word.startswith("experiments.")), f"experiments.{name}")
        if by != f"experiments.{name}":
            raise InputError(f"{directory} is a run of another command: python -m {by} --resume {directory}")
        try:
            config = Config(**meta["config"])
        except TypeError as e:
            raise InputError(f"{directory / 'checkpoint.h5'}: not of this version ({e})") from e
        data = load(options)
        if device == meta.get("device") == "cpu" and accelerate.use("cpu" if meta["loops"] else None) != meta["loops"]:
            print("the run used numba, which is not here: it goes on, but rounded otherwise", file=sys.stderr)
    else:
        options = {**options, "evaluation": evaluation_options(args)}
        data = load(options)
        image = {"image_size": data.images.shape[1], "channels": 3 if data.images.ndim == 4 else 1}
        config = resolve(**{**given_options(args), **image})
        if args.epochs is not None:
            config.steps = max(1, round(args.epochs * len(data) / config.batch))
        minutes, command = args.minutes, command_line()
        if minutes:
            config.steps = UNTIMED
        directory = args.out
        if directory and any((directory / file).exists() for file in ("checkpoint.h5", "log.jsonl")):
            raise InputError(f"{directory} holds a run already: --resume it, or choose another --out")
    if args.dry_run:
        return dry_run(config, data, device, minutes)

    gan = GAN(config, data.images, device, graph=device != "cpu" and not args.no_graph)
    if gan.graph:  # what fails, fails before anything is written
        with use_tf32(args.tf32):
            gan.capture()
    evaluator = make_evaluator(config, data, lambda: load(options, "test"), device, **options.get("evaluation", {}))
    directory = directory or new_directory(Path("runs") / f"{name}-{config.variant}-{config.preset}")
    run = Run(gan, directory, data, command, evaluator, minutes, options, args.tf32)
    if args.resume:
        run.load(arrays, meta)
    if gan.steps_done >= config.steps and (directory / "samples.h5").exists():
        print(f"the run in {directory} is finished: {gan.steps_done:,} steps")
        return 0
    how = ", by compiled loops" if accelerate.in_use("cpu") else ""
    print(f"{data.name}: {len(data):,} images, {config.image_size} × {config.image_size}; device {device}{how}")
    print(f"G {gan.generator.count():,} and D {gan.discriminator.count():,} parameters; writing to {directory}")
    if args.resume:
        print(f"going on at step {gan.steps_done:,}")
    if evaluator is not None:
        print(evaluator.describe())
    try:
        figures = run.train()
    except NonFinite as e:
        print(f"error: training stopped: {e}", file=sys.stderr)
        return 1
    if run.stop_signal is not None and not (directory / "samples.h5").exists():
        print(f"stopped and saved at step {gan.steps_done}; go on with --resume {directory}", file=sys.stderr)
        return 128 + run.stop_signal
    if figures:
        print(describe(figures))
    print(f"look at {directory / 'samples.png'} and {directory / 'report.html'}")
    return 0


def refuse_tf32_on_cpu(tf32: bool, device: str) -> None:
    from minigan.errors import InputError

    if tf32 and device == "cpu":
        raise InputError("--tf32 is a way to multiply matrices on a GPU, and this is to run on the CPU")


def dry_run(config: "Config", data: "Dataset", device: str, minutes: float | None) -> int:
    from minigan.config import build
    from minigan.train import seconds_per_step

    generator, discriminator = build(config)
    print("timing a step …", file=sys.stderr)
    pace = seconds_per_step(config, device)
    if minutes:
        config.steps = int(60 * minutes / pace)
    for name, value in dataclasses.asdict(config).items():
        print(f"{name:16} {value}")
    print(f"\n{data.name}: {len(data):,} images, {config.image_size} × {config.image_size}; device {device}")
    print(f"generator      {generator.count():>12,} parameters")
    print(f"discriminator  {discriminator.count():>12,} parameters")
    steps = config.steps
    epochs = steps * config.batch / len(data)
    minutes = steps * pace / 60
    long = f"{60 * minutes:.0f} seconds" if minutes < 2 else f"{minutes:.0f} minutes"
    if minutes >= 120:
        long = f"{minutes / 60:.0f} hours"
    print(f"{1 / pace:.1f} steps/s: about {long} for {steps:,} steps ({epochs:.1f} epochs)")
    return 0
