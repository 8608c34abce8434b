"""--dry-run: what a run would be, and how long it would take."""

import sys
from typing import TYPE_CHECKING

from experiments.parts.describe import say_configuration, say_images
from experiments.parts.device import cores

if TYPE_CHECKING:
    from minigan.data import Dataset
    from minigan.pace import TimeLimit
    from minigan.step import GAN


def dry_run(gan: "GAN", data: "Dataset", limit: "TimeLimit | None") -> int:
    """Time a few steps, and print the configuration, the sizes and the time of the run."""
    from minigan.numbers import duration
    from minigan.pace import seconds_per_step, seconds_with_ranks

    print("timing a few steps …", file=sys.stderr)
    pace = limit.fit(gan) if limit else seconds_per_step(gan)
    config = gan.config
    say_configuration(config)
    print()
    say_images(gan, data)
    print(f"generator      {gan.generator.count():>12,} parameters")
    print(f"discriminator  {gan.discriminator.count():>12,} parameters")
    time, epochs = duration(config.steps * pace), config.steps * config.batch / len(data)
    whole = f"about {time} for {config.steps:,} steps ({epochs:.1f} epochs), evaluations and pictures apart"
    print(f"{1 / pace:.1f} steps/s: {whole}")
    if ranks := ranks_to_use(gan):
        faster = seconds_with_ranks(gan, ranks)
        time = duration(config.steps * faster)
        print(
            f"{1 / faster:.1f} steps/s with {ranks} ranks on otherwise idle cores, about {time}: "
            f"mpiexec -n {ranks} python -m mpi4py -m … (after pip install -e '.[mpi]')"
        )
    return 0


def ranks_to_use(gan: "GAN") -> int:
    """How many of the cores could share the steps of a process that is alone; 0 where there is one, or a GPU."""
    config = gan.config
    if gan.world.size > 1 or gan.device != "cpu" or config.cnn_batch_norm:
        return 0
    return max((n for n in range(2, cores() + 1) if config.batch % (n * config.accumulate) == 0), default=0)
