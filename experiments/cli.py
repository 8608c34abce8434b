"""What the commands share: flags, the start of a training run, and errors as one sentence."""

import argparse
import contextlib
import dataclasses
import functools
import math
import os
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.parts.classes import classes_of, count_classes
from experiments.parts.drawn import as_fit, drawing_few
from experiments.parts.plan import Load, Options, Plan, load_again
from experiments.parts.resume import check_run, finished, lay_over, read_resume, read_saved
from experiments.parts.reuse import check_images, networks, read_weights, recorded

if TYPE_CHECKING:
    from minigan.data import Dataset
    from minigan.pace import TimeLimit
    from minigan.step import GAN
    from minigan.train import Run

MOST_MINUTES = 5_256_000
DIVERGED = "training stopped: "  # how the error of a run begins in which a loss is no longer a finite number


def run_main(main: Callable[[list[str]], int], shared: bool = False) -> None:
    """Call `main(arguments)` and exit with its status. An error is one sentence on stderr, never a traceback.

    Exit statuses: 2 for bad input, 3 for a failed computation, 130 after Ctrl-C. shared: `mpiexec` may start several
    processes of this command, which then share its work; an error in one of them ends all.
    """
    from minigan import ranks
    from minigan.streams import protect

    protect()
    failed = True
    try:
        try:
            ranks.join(shared)
            status = main(sys.argv[1:])
            failed = False
        finally:
            sys.stdout.flush()  # a full disk fails here, and not when nobody hears of it
    except BaseException as e:
        status = report(e)
    ranks.leave(status, failed)
    sys.exit(status)


def report(error: BaseException) -> int:
    """Print an error as one sentence; returns the exit status. One that no input should raise goes on as it is."""
    from autograd.arrays import DeviceError
    from minigan import ranks
    from minigan.errors import InputError, NumericalError

    if isinstance(error, KeyboardInterrupt):  # outside training, which catches Ctrl-C and saves
        print("interrupted", file=sys.stderr)
        return 130
    if isinstance(error, NumericalError):
        print(f"error: {error}", file=sys.stderr)
        return 3
    if isinstance(error, (InputError, DeviceError, OSError)):  # OSError: no space, no permission, a file for a folder
        print(f"error: {error}", file=sys.stderr)
        return 2
    if isinstance(error, MemoryError):
        print("error: not enough memory" + (f": {error}" if str(error) else ""), file=sys.stderr)
        return 2
    if ranks.world().size == 1:
        raise error
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):  # by argparse
        return error.code or 0
    traceback.print_exception(error)
    return 1


def without_options(main: Callable[[], None]) -> Callable[[], None]:
    """Decorator: make a function a command that takes no options. --help shows the docstring of its file."""

    @functools.wraps(main)
    def run() -> None:
        program = f"python -m experiments.{Path(main.__code__.co_filename).stem}"

        def without(argv: list[str]) -> int:
            argparse.ArgumentParser(program, description=main.__globals__["__doc__"]).parse_args(argv)
            main()
            return 0

        run_main(without)

    return run


def command_line() -> str:
    """The command as it was typed, so that it can be repeated. A console script is written as the module it runs."""
    spec, script = getattr(sys.modules["__main__"], "__spec__", None), Path(sys.argv[0]).stem
    if spec:
        program = ["-m", spec.name.removesuffix(".__main__")]
    elif script.startswith("minigan-"):
        program = ["-m", "experiments." + script.removeprefix("minigan-").replace("-", "_")]
    else:
        program = sys.argv[:1]
    return shlex.join(["python", *program, *sys.argv[1:]])


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
    run.add_argument("--labels", action="store_true", help="tell both networks the class of every image")
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
        help="what images are compared by (auto: inception with --inception, digits for images of digits, else random)",
    )
    judge.add_argument("--inception", type=Path, metavar="FILE", help="weights of experiments.export_inception: FID")
    judge.add_argument("--mode", choices=["tf", "torch", "clean"], help="how Inception's images are resized (tf)")


def add_config_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for every field of the configuration. It is None if it is not given."""
    from minigan.config import Config, flag_of

    groups = {  # by their first field
        "variant": parser.add_argument_group("what to train"),
        "background": parser.add_argument_group("the networks"),
        "loss": parser.add_argument_group("the losses"),
        "g_lr": parser.add_argument_group("the optimisers"),
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
        default = "" if field.default == "" else f" (small: {field.default})"
        text = (field.metadata["help"] + default).replace("%", "%%")
        group.add_argument(flag_of(field.name), default=None, help=text, **kind)


def add_skip_flag(group: Any) -> None:
    group.add_argument(
        "--skip-unreadable",
        action="store_true",
        default=None,
        help="leave pictures out that cannot be read, and record how many (default: list them, and stop)",
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


def choose_device(name: str, loops: bool = True) -> str:
    """The device of --device, cpu, cuda or auto; DeviceError if it is not there. Switches its fast twins on."""
    from autograd.arrays import best_device, device_module
    from minigan import accelerate
    from minigan.ranks import world

    world().one_gpu()
    device = name
    if name == "auto":
        device = "cuda" if set(world().all(best_device())) == {"cuda"} else "cpu"
    xp = device_module(device)
    if device == "cuda":
        world().use_nccl(xp)
    accelerate.use(None if device == "cpu" and not loops else device)
    return device


# Starting a run --------------------------------------------------------------------------------------------


def start(args: argparse.Namespace, load: Load, options: Options, name: str) -> int:
    """Start or resume a training run from parsed flags; returns the exit status.

    `load(options)` gives the images to train on, and `load(options, "test")` those to compare with; it raises
    InputError where there are none. `options` are kept in the checkpoint, so that --resume needs no other flag; among
    them are "seed" and "note", a sentence for the report or None. `name` is the command's module in `experiments`.
    """
    from minigan.pace import TimeLimit
    from minigan.ranks import world
    from minigan.train import hold_run

    device = choose_device(args.device, loops=not args.no_loops)
    check_flags(args, device)
    limit = TimeLimit(args.minutes) if args.minutes else None  # loading the data counts
    with contextlib.ExitStack() as held:
        if args.resume and not args.dry_run and world().first:
            check_run(args.resume)
            held.enter_context(hold_run(args.resume))  # before the checkpoint is read, or another process may write it
        world().barrier()
        saved = read_saved(args.resume) if args.resume else None
        if saved and args.steps is None and not args.dry_run and finished(args.resume, saved[1], name):
            return 0
        load = loading_once(drawing_few(load) if args.dry_run else load)
        if saved:
            plan = read_resume(args.resume, saved, load, name, device, args.steps, command_line())
        else:
            plan = new_plan(args, load, options, name, limit)
        return start_plan(args, plan, load, name, device, held, limit)


def start_plan(
    args: argparse.Namespace,
    plan: Plan,
    load: Load,
    name: str,
    device: str,
    held: contextlib.ExitStack,
    limit: "TimeLimit | None",
) -> int:
    """`start` from a plan. `held` keeps what is held until the run ends."""
    from autograd import use_tf32
    from minigan.evaluate import make_evaluator
    from minigan.ranks import world
    from minigan.step import GAN
    from minigan.train import Run, hold_run, new_directory

    config, data = plan.config, plan.data
    graph = device != "cpu" and not args.no_graph
    gan = GAN(config, data.images, device, labels=data.labels, graph=graph, world=world())
    with use_tf32(args.tf32):
        if args.dry_run:
            return dry_run(gan, data, limit)
        if gan.graph:
            gan.capture()  # fails here, if it does, before anything is written
        if limit:
            limit.fit(gan)
    evaluation = plan.options.get("evaluation", {})
    before = limit.clock() if limit else 0.0
    evaluator = make_evaluator(config, data, lambda: load(plan.options, "test"), device, world=world(), **evaluation)
    if limit and evaluator is not None:
        seen = evaluator.compared + (evaluator.reference.count or 0)
        limit.keep((limit.clock() - before) * max(1, config.eval_samples / seen))  # the last evaluation sees others
    usual = Path("runs") / f"{name}-{config.variant}-{config.preset}"
    directory = plan.directory or world().first_alone(lambda: new_directory(usual))
    if not args.resume and world().first:
        directory.mkdir(parents=True, exist_ok=True)
        held.enter_context(hold_run(directory))
        refuse_existing(directory)  # again: another process may have been quicker
    run = Run(gan, directory, data, plan.command, evaluator, plan.options, args.tf32, limit, bool(args.track))
    if plan.saved:
        run.load(*plan.saved)
    elif plan.weights:
        run.gan.start_from(plan.weights.arrays, plan.weights.path)
    report_start(run)
    if plan.saved:
        lay_over(run, plan.saved[1]["config"].get("steps", config.steps))
    if evaluator is not None:
        print(evaluator.describe())
    return train(run)


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
    given = {flag for flag, value in vars(args).items() if value is not None and value is not False}
    if args.resume and given - {"resume", "steps", "device", "no_graph", "tf32", "track", "dry_run"}:
        raise InputError(
            "--resume goes on with its own settings: only --steps, --device, --no-graph, --tf32, --track and --dry-run "
            "go with it; a new run takes the weights of another with --init RUN, or its settings with --config RUN"
        )


def refuse_tf32_on_cpu(tf32: bool, device: str) -> None:
    from minigan.errors import InputError

    if tf32 and device == "cpu":
        raise InputError("--tf32 is a way to multiply matrices on a GPU, and this is to run on the CPU")


def new_plan(
    args: argparse.Namespace, load: Load, options: Options, name: str, limit: "TimeLimit | None" = None
) -> Plan:
    """The plan of a new run. InputError if --out holds a run already."""
    from minigan.config import MOST, check, resolve
    from minigan.errors import InputError
    from minigan.ranks import world

    if args.out:
        refuse_existing(args.out)
    options = {**options, "evaluation": evaluation_options(args)}
    saved = None
    if args.config:
        saved, options = recorded(args, options, name)
    elif limit:
        options = world().same(as_fit(limit, load, options, args))
    weights = read_weights(args.init) if args.init else None
    data = load_again(load, options, args.config) if args.config else load(options)
    image = {"image_size": data.images.shape[1], "channels": 3 if data.images.ndim == 4 else 1}
    if args.labels:
        image["classes"] = count_classes(data) if weights is None else classes_of(weights, data)
    given = {**given_options(args), **image}
    if weights:
        check_images(weights.config, data, weights.path)
        given = {**networks(weights.config), **given}
    config = check(dataclasses.replace(saved, **given)) if saved else resolve(**given)
    if args.epochs is not None:
        steps = args.epochs * len(data) / config.batch
        if steps > MOST:
            raise InputError(f"--epochs {args.epochs:g} are more than {MOST:,} steps")
        config.steps = max(1, round(steps))
    return Plan(config, data, options, command_line(), args.out, weights=weights)


def refuse_existing(directory: Path) -> None:
    """InputError if the directory holds a run, or is a file."""
    from minigan.errors import InputError

    if directory.exists() and not directory.is_dir():
        raise InputError(f"--out {directory} is not a directory")
    if any((directory / file).exists() for file in ("checkpoint.h5", "best.h5", "log.jsonl")):
        raise InputError(f"{directory} holds a run already: --resume it, or choose another --out")


def loading_once(load: Load) -> Load:
    """`load` by rank 0, which sends the images to the others, or the place where they are stored."""
    from minigan.errors import NoSuchSplit
    from minigan.ranks import world

    def once(options: Options, split: str = "train") -> "Dataset":
        def found() -> "Dataset | NoSuchSplit":
            try:
                return load(options, split)
            except NoSuchSplit as e:  # which the evaluation expects
                return e

        data = world().first_alone(found)
        if isinstance(data, NoSuchSplit):
            raise data
        return data

    return load if world().size == 1 else once


def report_start(run: "Run") -> None:
    """Print what is trained, and where it is written."""
    from minigan import accelerate

    gan, size = run.gan, run.gan.config.image_size
    how = ", by compiled loops" if accelerate.in_use("cpu") else ""
    how += f", {run.world.size} ranks" if run.world.size > 1 else ""
    print(f"{run.data.name}: {len(run.data):,} images, {size} × {size}; device {gan.device}{how}")
    print(f"G {gan.generator.count():,} and D {gan.discriminator.count():,} parameters; writing to {run.directory}")
    if gan.steps_done:
        print(f"going on at step {gan.steps_done:,}")


def train(run: "Run") -> int:
    """Train a run that is held, and print how it ended; returns the exit status, 128 + its number after a signal."""
    from minigan.train import NonFinite, describe

    try:
        figures = run.train_alone()
    except NonFinite as e:
        print(f"error: {DIVERGED}{e}", file=sys.stderr)
        return 1
    directory = run.directory
    if run.world.first:
        renew_index(directory)
    finished = run.world.same((directory / "samples.h5").exists())
    if run.stop_signal is not None and not finished:
        print(f"stopped and saved at step {run.gan.steps_done}; go on with --resume {directory}", file=sys.stderr)
        return 128 + run.stop_signal
    if figures:
        print(describe(figures))
    print(f"look at {directory / 'samples.png'} and {directory / 'report.html'}")
    return 0


def renew_index(directory: Path) -> None:
    """Write index.html over all runs beside this one, where they lie in a directory named runs."""
    from minigan.errors import InputError
    from minigan.report.runs import find_runs, write_page

    place = directory.parent
    if place.resolve().name != "runs":
        return
    try:
        write_page(place / "index.html", find_runs(place), "Runs", brief=True)
    except (InputError, OSError) as e:  # nothing of the run is lost
        print(f"{place / 'index.html'} is not renewed: {e}", file=sys.stderr)


def dry_run(gan: "GAN", data: "Dataset", limit: "TimeLimit | None") -> int:
    """Time a few steps, and print the configuration, the sizes and the time of the run."""
    from minigan.pace import seconds_per_step, seconds_with_ranks
    from minigan.page.pieces import duration

    print("timing a few steps …", file=sys.stderr)
    pace = limit.fit(gan) if limit else seconds_per_step(gan)
    config = gan.config
    for field, value in dataclasses.asdict(config).items():
        print(f"{field:16} {value}")
    print(f"\n{data.name}: {len(data):,} images, {config.image_size} × {config.image_size}; device {gan.device}")
    print(f"generator      {gan.generator.count():>12,} parameters")
    print(f"discriminator  {gan.discriminator.count():>12,} parameters")
    time, epochs = duration(config.steps * pace), config.steps * config.batch / len(data)
    print(f"{1 / pace:.1f} steps/s: about {time} for {config.steps:,} steps ({epochs:.1f} epochs)")
    if ranks := ranks_to_use(gan):
        faster = seconds_with_ranks(gan, ranks)
        time = duration(config.steps * faster)
        print(
            f"{1 / faster:.1f} steps/s with {ranks} ranks on otherwise idle cores, about {time}: "
            f"mpiexec -n {ranks} python -m mpi4py -m …"
        )
    return 0


def ranks_to_use(gan: "GAN") -> int:
    """How many of the cores could share the steps of a process that is alone; 0 where there is one, or a GPU."""
    config = gan.config
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if gan.world.size > 1 or gan.device != "cpu" or config.cnn_batch_norm:
        return 0
    return max((n for n in range(2, cores + 1) if config.batch % (n * config.accumulate) == 0), default=0)
