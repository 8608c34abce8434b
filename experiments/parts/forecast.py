"""What a command that trains many runs would train, and how long that takes."""

import shlex
from pathlib import Path

from experiments.parts.jobs import Job, counted, look
from experiments.parts.settings import configuration

OVERHEAD = 9.0  # seconds of a run beside its steps: loading or drawing the data, the last evaluation, the report
EVALUATION = 2.5  # seconds of each evaluation before the last


def forecast(jobs: list[Job], out: Path, at_once: int, device: str) -> int:
    """List the runs and the time that each still takes, by a few steps of each kind on this machine."""
    import numpy as np

    from minigan.numbers import duration
    from minigan.pace import seconds_per_step
    from minigan.step import GAN

    paces: dict[str, float] = {}
    times: list[float] = []
    for job in jobs:
        result = look(job, out)
        kind = job.name.rpartition("-")[0] or job.name  # runs of another seed take as long
        config = configuration(job)
        if kind not in paces:
            size = (64, config.image_size, config.image_size) + ((3,) if config.channels == 3 else ())
            paces[kind] = seconds_per_step(
                GAN(config, np.zeros(size, np.uint8), device, graph=device != "cpu"), steps=3
            )
        left, pace = job.steps - result.step, paces[kind]
        needed = left * pace + OVERHEAD + (left // config.eval_every * EVALUATION if config.eval_every else 0)
        needed = 0.0 if result.status in ("finished", "diverged") else needed
        times.append(needed)
        print(f"{job.name:<22} {result.status:<9} {duration(needed):>10}   {shlex.join(job.flags)}", flush=True)
    print(f"{counted(jobs)}, {at_once} at once: about {duration(max(sum(times) / at_once, *times, 0.0))}")
    return 0
