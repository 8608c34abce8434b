"""What the runs of a poster leave, and rows and results as its numbers read them."""

import json
from pathlib import Path

import numpy as np
from job_runs import configured, job

from experiments.parts.jobs import Result, look
from experiments.poster import numbers, plan
from experiments.poster.plan import ABLATION, FIGURES, SCALES, SEEDS
from minigan.figures import image_grid, save_image

RUNS = len(FIGURES) + SEEDS * len(ABLATION)  # without --data


def record(step, distance, key="digit_fid", **figures):
    return {"kind": "eval", "step": step, "seconds": step / 10, key: distance, "floor": 2.0, **figures}


def result(name, records, status="finished", **fields):
    steps = max([r["step"] for r in records], default=10)
    return Result(job(name, steps=steps), Path("nowhere"), status, steps, records=records, **fields)


def row(name, *distances):
    results = [result(f"ablation/{name}-{i}", [record(10, d)]) for i, d in enumerate(distances)]
    (made,) = numbers.ablation_rows(results, [name])
    return made


def leave(out, jobs):
    """Fill the directory with what these runs would have left."""
    rng = np.random.default_rng(0)
    for j in jobs:
        directory = configured(out, j)
        config = json.loads((directory / "config.json").read_text())
        faces = j.name == "figures/faces"
        unknown = faces or j.name == "figures/size32"  # to the digit classifier
        name = "drawn faces" if faces else "mnist" if "--data" in j.flags else "stroke-digits"
        config["data"] = {"name": name}
        config["parameters"] = {"generator": 171_073, "discriminator": 99_713}
        config["machine"] = {"device": "cpu", "cores": 2}
        (directory / "config.json").write_text(json.dumps(config))
        train = [
            {
                "kind": "train",
                "step": s,
                "seconds": 0.06 * s,
                "loss_d": 0.6,
                "loss_g": 0.8,
                "d_real": 1.0,
                "d_fake": 0.5,
            }
            for s in range(50, j.steps + 1, 50)
        ]
        measured = {
            "samples": 5000,
            "reference": 10000,
            "reference_split": "test",
            "kid": 0.01,
            "precision": 0.6,
            "recall": 0.5,
        }
        if not unknown:
            measured |= {"classes": 10, "class_shares": [0.1] * 10}
        key = "random_fid" if unknown else "digit_fid"
        evals = [record(s, 20 * j.steps / s * rng.uniform(1, 2), key, **measured) for s in (j.steps // 2, j.steps)]
        (directory / "log.jsonl").write_text("\n".join(map(json.dumps, [*train, *evals])))
        (directory / "samples.h5").touch()
        if j.name.startswith("figures/"):
            grid = image_grid(rng.integers(0, 256, (100, 8, 8), dtype=np.uint8))
            save_image(grid, directory / "samples" / f"step-{j.steps:06d}.png")
            save_image(grid, directory / "real.png")
    return out


def results(out, **given):
    return [look(j, out) for j in plan.plan(SCALES["quick"], **given)]
