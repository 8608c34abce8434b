"""Training runs of seconds on 64 drawn digits, and a directory as a run leaves it."""

from dataclasses import asdict

from tiny_models import tiny_gan

from minigan import checkpoint
from minigan.config import Config
from minigan.data import Dataset, stroke_digits
from minigan.presets import resolve
from minigan.step import GAN
from minigan.train import Run

IMAGES, LABELS = stroke_digits(64, seed=5)
DATA = Dataset(IMAGES, LABELS, "drawn digits", 10)
TINY = {
    **{f"{net}_{k}": v for net in "gd" for k, v in {"width": 32, "depth": 1, "heads": 2}.items()},
    **{"g_head_width": 8, "latent": 8, "cnn_width": 4, "batch": 4, "eval_samples": 20},
    **{"steps": 12, "log_every": 4, "sample_every": 6, "save_every": 5, "eval_every": 0, "penalty_every": 2},
}


def start(directory, report=False, world=None, **options):
    """A new run in `directory`; train() runs it. report: whether it ends with pictures and a report, which take 1 s."""
    gan = GAN(resolve(**{**TINY, **options}), IMAGES, world=world)
    run = Run(gan, directory, DATA, "python -m experiments.mnist", evaluate=lambda x: {"mean": x.mean()})
    return run if report else without_report(run)


def resume(directory, report=False, world=None):
    """The run as its last checkpoint left it."""
    arrays, meta = checkpoint.load(directory / "checkpoint.h5")
    run = Run(GAN(Config(**meta["config"]), IMAGES, world=world), directory, DATA, meta["command"])
    run.load(arrays, meta)
    return run if report else without_report(run)


def without_report(run):
    run.summarise = lambda: None
    return run


def save(gan, path):
    """The GAN's state as a checkpoint."""
    arrays, meta = gan.state()
    checkpoint.save(path, arrays, meta | {"config": asdict(gan.config)})


def write_run(directory):
    """The checkpoints of a run whose best generator (step 20) and last one (step 10) differ."""
    for name, seed in (("checkpoint.h5", 1), ("best.h5", 2)):
        gan = tiny_gan("cnn", seed=seed)
        gan.steps_done = 10 * seed
        save(gan, directory / name)
    return directory
