"""What to train: the runs of the figures, the rows of the ablation, and their lengths at each scale."""

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from experiments.parts.jobs import Job
from minigan.data.celeba import find_celeba
from minigan.errors import InputError


@dataclass(frozen=True)
class Scale:
    """The flags that all runs of a kind get: how long they train, and on which data."""

    figures: str  # the runs on digits
    faces: str
    ablation: str


SCALES = {
    "quick": Scale(
        figures="--steps 4500 --eval-every 450",
        faces="--steps 4500 --eval-every 450 --size 32",
        ablation="--steps 1200 --eval-every 0 --digits 20000",
    ),
    "cpu": Scale(
        figures="--steps 8000 --eval-every 800",
        faces="--steps 8000 --eval-every 800 --size 64",
        ablation="--steps 4000 --eval-every 0",
    ),
    "gpu": Scale(
        figures="--steps 46900 --eval-every 2345 --preset poster",  # 100 epochs of 60,000
        faces="--steps 46900 --eval-every 2345 --preset poster --size 64",
        ablation="--steps 8000 --eval-every 0",
    ),
}

FIGURES = {  # name: flags
    "faces": "",  # the longest starts first, so that nothing waits for it at the end
    "cnn": "--variant cnn",
    "vitgan": "--variant vitgan",
    "vanilla": "--variant vanilla",
    "relu": "--variant relu",
}
BESIDE = {  # the same of the runs that stand beside these where --data gives the digits
    "size32": "--variant vitgan --size 32",  # the poster's size
    "drawn": "--variant vitgan",  # without --data
}

ABLATION = {  # name: flags in addition to those of the full ViTGAN
    "base": "",
    "no-sln": "--no-g-modulated",
    "linear": "--g-head linear",
    "one-point": "--g-points 1",
    "dot": "--d-similarity dot",
    "l1": "--d-similarity l1",
    "l2-printed": "--d-similarity l2_printed",
    "sn": "--d-norm sn",
    "bound": "--d-norm bound",
    "no-norm": "--d-norm none",
    "no-overlap": "--d-overlap 0",
    "relu": "--activation relu",
    "vanilla": "--variant vanilla",
    "vanilla-paper": "--variant vanilla-paper",
    "adam": "--optimizer adam",
    "no-lookahead": "--lookahead 0",
    "bcr": "--bcr 10",
    "diffaug": "--augment translation,cutout,brightness,contrast --augment-p 0.8",
}
SEEDS = 3
AS_TRAINED = "--no-g-level"  # of all runs: the CNN has no level, and the others are not to be ahead by that


def plan(scale: Scale, data: Path | None = None, faces: Path | None = None, inception: Path | None = None) -> list[Job]:
    """The jobs of a scale, in the order in which they start."""
    judge = [AS_TRAINED, *(["--inception", str(inception)] if inception else [])]
    digits = ["--data", str(data)] if data else []
    jobs = []
    for name, flags in (FIGURES | BESIDE if data else FIGURES).items():
        command, common, images = "mnist", scale.figures, [] if name == "drawn" else digits
        if name == "faces":
            common, (command, images) = scale.faces, pictures_of(faces)
        jobs.append(Job(f"figures/{name}", command, (*flags.split(), *common.split(), *images, *judge)))
    common = scale.ablation
    if data:  # no digits are drawn
        common = common.partition(" --digits")[0]
    for name, flags in ABLATION.items():
        for seed in range(SEEDS):
            words = (*flags.split(), *common.split(), "--seed", str(seed), *digits, *judge)
            jobs.append(Job(f"ablation/{name}-{seed}", "mnist", words))
    return jobs


def pictures_of(faces: Path | None) -> tuple[str, list[str]]:
    """The command that trains on these faces, and its flags for them. CelebA is known by its published names.

    Its central 140 pixels are taken, as experiments.celeba does. Of other pictures, it would cut the middle out of a
    large face: they are for experiments.images, which takes the whole square and keeps a tenth for the evaluation.
    """
    if faces is None:
        return "celeba", []
    source, partition = find_celeba(faces)
    if partition or source.absolute().stem == "img_align_celeba":
        return "celeba", ["--data", str(faces)]
    return "images", ["--data", str(faces), "--holdout", "0.1"]


def chosen(jobs: list[Job], only: list[str] | None, ablation: bool = True) -> list[Job]:
    """The jobs that --only and --no-ablation leave. InputError for a pattern that matches none.

    A pattern is a name ("cnn", "ablation/sn-0"), a kind ("figures") or a row of the ablation ("ablation/sn"), and may
    hold the wildcards * and ?.
    """
    if not ablation:
        jobs = [job for job in jobs if not job.name.startswith("ablation/")]
    if only is None:
        return jobs

    def matches(job: Job, pattern: str) -> bool:
        return any(fnmatch(job.name, p) for p in (pattern, f"{pattern}/*", f"{pattern}-?", f"figures/{pattern}"))

    patterns = [pattern.strip("/") for pattern in only]
    for pattern in patterns:
        if not any(matches(job, pattern) for job in jobs):
            raise InputError(f"--only {pattern}: no run is called that; the runs are {', '.join(j.name for j in jobs)}")
    return [job for job in jobs if any(matches(job, pattern) for pattern in patterns)]
