"""Starting a training run, or going on with one, from parsed flags."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import command_line
from experiments.parts.describe import listed, optimiser, say_images
from experiments.parts.device import choose_device
from experiments.parts.drawn import drawing_few
from experiments.parts.dry_run import dry_run
from experiments.parts.flags import check_flags
from experiments.parts.new import new_plan, refuse_existing
from experiments.parts.plan import Load, Options, Plan
from experiments.parts.resume import check_run, finished, lay_over, read_resume, read_saved
from experiments.parts.train import train

if TYPE_CHECKING:
    from minigan.data import Dataset
    from minigan.pace import TimeLimit
    from minigan.train import Run


def start(args: argparse.Namespace, load: Load, options: Options, name: str) -> int:
    """Start or resume a training run from parsed flags; returns the exit status.

    `load(options)` gives the images to train on, and `load(options, "test")` those to compare with; it raises
    InputError where there are none. `options` are kept in the checkpoint, so that --resume needs no other flag; among
    them are "seed" and "note", a sentence for the report or None. `name` is the command's module in `experiments`.
    """
    from minigan import accelerate
    from minigan.directories import hold_run
    from minigan.pace import TimeLimit
    from minigan.ranks import world

    device = choose_device(args.device, loops=not args.no_loops)
    check_flags(args, device)
    limit = TimeLimit(args.minutes) if args.minutes else None  # loading the data counts
    with contextlib.ExitStack() as held:
        if world().first:
            held.enter_context(accelerate.when_compiling(say_compiling))
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
    from minigan.directories import hold_run, new_directory
    from minigan.evaluate import LEAST, make_evaluator
    from minigan.ranks import world
    from minigan.step import GAN
    from minigan.train import Run

    config, data = plan.config, plan.data
    graph = device != "cpu" and not args.no_graph
    gan = GAN(config, data.images, device, labels=data.labels, graph=graph, world=world())
    if plan.weights:
        gan.start_from(plan.weights.arrays, plan.weights.path)
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
    report_start(run)
    if plan.weights:
        told = f", with its {config.classes} classes" if config.classes else ""
        print(f"starting from the weights of {plan.weights.path}{told}")
    if plan.saved:
        lay_over(run, plan.saved[1]["config"].get("steps", config.steps))
    if evaluator is not None:
        print(evaluator.describe())
    elif evaluation.get("features") != "none":
        print(f"not evaluated: that takes at least {LEAST} real images")
    return train(run)


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


def say_compiling() -> None:
    """Say why nothing moves, above a bar if there is one."""
    from minigan.progress import Progress

    Progress.write("compiling the loops, which takes up to half a minute the first time …", file=sys.stderr)


def report_start(run: "Run") -> None:
    """Print what is trained, and where it is written."""
    from minigan import accelerate

    gan = run.gan
    how = ", by compiled loops" if accelerate.in_use("cpu") else ""
    how += f", {run.world.size} ranks" if run.world.size > 1 else ""
    say_images(gan, run.data, how)
    sizes = f"G {gan.generator.count():,} and D {gan.discriminator.count():,} parameters"
    by = optimiser(gan.config.optimizer, gan.config.lookahead)
    print(f"{sizes}, by {by}; writing to {run.directory}")
    if gan.config.classes and run.data.class_names:
        print(f"classes: {listed(run.data.class_names)}")
    if gan.steps_done:
        print(f"going on at step {gan.steps_done:,}")
