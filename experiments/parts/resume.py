"""Going on with a run: --resume RUN, and --resume RUN --steps N for another number of steps."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.parts.plan import Load, Options, Plan, check_command, check_evaluation, load_again, recorded_options

if TYPE_CHECKING:
    from minigan.checkpoint import Arrays
    from minigan.train import Run


def check_run(directory: Path) -> None:
    """InputError unless there is something to go on with, before a lock file is made there."""
    from minigan.errors import InputError

    if not any((directory / file).is_file() for file in ("checkpoint.h5", "best.h5", "config.json")):
        missing = "there is no checkpoint to go on with" if directory.exists() else "there is no such folder"
        if directory.is_file():
            missing = f"this is a file: give the folder of the run, {directory.parent}"
        raise InputError(f"{directory}: {missing}")


def trained_with(meta: dict[str, Any], directory: Path, name: str) -> tuple[str, Options]:
    """The command line and the data of a run. InputError if another command than `name` has to go on with it."""
    from minigan.errors import InputError

    command, options = meta.get("command"), meta.get("data")
    if not isinstance(command, str) or not isinstance(options, dict):
        raise InputError(f"{directory}: its files do not say which command and which data it was trained with")
    check_command(command, name, directory, "--resume")
    return command, options


def finished(directory: Path, meta: dict[str, Any], name: str) -> bool:
    """Whether the run in `directory` has all of its steps and its samples; says so, before any data are loaded."""
    from minigan.presets import saved_config

    if not all((directory / file).is_file() for file in ("checkpoint.h5", "samples.h5")):
        return False
    trained_with(meta, directory, name)
    steps = meta.get("steps_done")
    if not isinstance(steps, int) or steps < saved_config(meta, directory).steps:
        return False
    print(f"the run in {directory} is finished: {steps:,} steps; --steps N lengthens it")
    return True


def read_saved(directory: Path) -> tuple["Arrays", dict[str, Any]]:
    """checkpoint.h5, or where it is missing best.h5, or the settings in config.json of a run without any step."""
    from minigan import checkpoint
    from minigan.log import read_config

    check_run(directory)
    for name in ("checkpoint.h5", "best.h5"):
        if (directory / name).is_file():
            if name != "checkpoint.h5":
                print(f"{directory} has no checkpoint.h5: going on from {name}", file=sys.stderr)
            return checkpoint.load(directory / name)
    print(f"{directory} has no checkpoint: starting again from its config.json", file=sys.stderr)
    found = read_config(directory)
    machine = found.get("machine", {})
    return {}, {
        "config": found.get("options"),
        "command": found.get("command"),
        "data": recorded_options(found),
        "loops": machine.get("loops"),
        "device": machine.get("device"),
    }


def read_resume(
    directory: Path,
    saved: tuple["Arrays", dict[str, Any]],
    load: Load,
    name: str,
    device: str,
    steps: int | None = None,
    typed: str = "",
) -> Plan:
    """The plan of the run in `directory`. saved: what `read_saved` gave. InputError if it is of another command.

    steps: of the whole run, in place of its own; the command line that asks for it, `typed`, joins the run's own.
    """
    from minigan import accelerate
    from minigan.config import check
    from minigan.errors import InputError
    from minigan.presets import saved_config
    from minigan.ranks import world

    arrays, meta = saved
    config = saved_config(meta, directory)
    command, options = trained_with(meta, directory, name)
    check_evaluation(options.get("evaluation", {}), directory)
    done = meta.get("steps_done", 0)
    if steps is not None and isinstance(done, int) and steps <= done:
        raise InputError(f"--steps {steps}: the run in {directory} has {done:,} steps already; give more")
    if steps is not None and steps != config.steps:
        config, command = check(dataclasses.replace(config, steps=steps)), f"{command}\n{typed}"
    data = load_again(load, options, directory)
    if config.classes and (data.labels is None or data.labels.max(initial=0) >= config.classes):
        raise InputError(f"{directory}: the run was trained on other images than these ({data.name})")
    loops = bool(meta.get("loops"))
    if device == meta.get("device") == "cpu" and accelerate.use("cpu" if loops else None) != loops:
        print("the run used numba, which is not installed: it goes on, but its rounding changes", file=sys.stderr)
    before, now = meta.get("ranks", 1), world().size
    if before != now:
        print(f"the run had {before} ranks and has {now} now: it goes on, but its rounding changes", file=sys.stderr)
    return Plan(config, data, options, command, directory, (arrays, meta) if arrays else None)


def lay_over(run: "Run", before: int) -> None:
    """Write down and say that the schedules of a loaded run, laid over `before` steps so far, are laid over others."""
    from nn import learning_rate

    c, k = run.gan.config, run.gan.steps_done
    if c.steps == before:
        return
    run.note_schedule()
    run.save()  # so that a kill before the next checkpoint does not shorten it again
    old, new = (c.g_lr * learning_rate(k, steps, c.warmup, c.decay, c.g_final_lr) for steps in (before, c.steps))
    print(
        f"the schedules are laid over {c.steps:,} steps, not {before:,}: "
        f"at step {k:,} the learning rate of G goes from {old:.3g} to {new:.3g}"
    )
