"""What `tests/minigan/test_ranks.py` runs under mpiexec: python -m mpi4py rank_program.py WHAT DIRECTORY [OPTIONS]"""

import json
import os
import resource
import signal
import zlib
from pathlib import Path

import numpy as np
from tiny_runs import IMAGES, resume, start

from experiments.cli import run_main
from minigan.config import Config
from minigan.metrics.extractors import DigitExtractor
from minigan.ranks import world
from minigan.step import GAN


def gradients(gan):
    """Take a step that moves no weight; the gradients of D and G as flat arrays.

    Adam's first step is ± lr wherever there is a gradient. So where one is rounding alone, D would move by rounding
    too, and G's gradient would no longer be comparable.
    """
    seen = []

    def record(grads, adam, update):
        seen.append(adam.flat.gather(grads))
        weights = adam.flat.data.copy()
        norm = update(grads)
        adam.flat.data[...] = weights
        return norm

    for adam in (gan.adam_d, gan.adam_g):
        adam.update = lambda grads, adam=adam, update=adam.update: record(grads, adam, update)
    gan.step()
    for adam in (gan.adam_d, gan.adam_g):
        del adam.update
    return seen


def digest(gan):
    arrays, _ = gan.state()
    return zlib.crc32(b"".join(np.ascontiguousarray(a) for group in arrays.values() for a in group.values()))


def compare(directory, options):
    """The gradients of step 1, and what ten steps leave on each rank; for each of several configurations."""
    for i, option in enumerate(options):
        gan = GAN(Config(**option), IMAGES, world=world())
        gan.adam_d.every = gan.adam_g.every = 4  # of Shampoo: its roots are computed twice
        d, g = gradients(gan)
        digests = [world().all(digest(gan))]
        for _ in range(9):
            gan.step()
            digests.append(world().all(digest(gan)))
        if world().first:
            np.savez(directory / f"{i}.npz", d=d, g=g, stats=gan.stats, digests=digests)


def sample(directory, options):
    """Samples and their features, which the ranks share."""
    gan = GAN(Config(**options), IMAGES, world=world())
    extractor = DigitExtractor()
    extractor.world = world()
    images = gan.sample(gan.rng.normal((700, gan.config.latent)), shared=True)
    features = extractor(images)
    world().check_equal([images, features.values], "the samples")
    if world().first:
        np.savez(directory / "samples.npz", images=images, features=features.values)


def at_step(run, rank, k, act):
    """Do something on one rank after step k."""
    step = run.gan.step

    def acting():
        step()
        if run.gan.steps_done == k and world().rank == rank:
            act()

    run.gan.step = acting


def train(directory, options):
    """A run of ten steps. act: what happens on a rank after a step."""
    act = options.pop("act", None)
    if (directory / "checkpoint.h5").exists():
        run = resume(directory, world=world())
    else:
        run = start(directory, world=world(), **options)
    acts = {
        "signal": (1, 5, lambda: os.kill(os.getpid(), signal.SIGTERM)),
        "kill": (1, 7, lambda: os.kill(os.getpid(), signal.SIGKILL)),
        "full disk": (0, 2, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))),
        "nan": (1, 2, lambda: run.gan.discriminator.parameters()[0].data.fill(np.nan)),
        "drift": (1, 2, lambda: run.gan.discriminator.parameters()[0].data.fill(0.5)),
        "bug": (1, 2, lambda: [][0]),
    }
    world().barrier()  # all have looked for a checkpoint
    if act:
        at_step(run, *acts[act])
    from experiments.parts.train import train as train_command

    return train_command(run)


def main(argv):
    what, directory, options = argv[0], Path(argv[1]), json.loads(argv[2])
    return {"compare": compare, "sample": sample, "train": train}[what](directory, options) or 0


if __name__ == "__main__":
    run_main(main, shared=True)
