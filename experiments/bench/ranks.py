"""A training step shared by processes: ours by mpiexec, PyTorch's by DistributedDataParallel, PyTorch's by threads.

Each side runs in processes of its own, in turns. `python -m experiments.bench.ranks predict` writes the table of
docs/scaling.md: what more ranks would give, from the times of one process and of the network.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from autograd import accelerate
from experiments.bench.case import Case
from experiments.bench.steps import QUICK, STEPS, gan_of
from minigan.pace import take_steps
from minigan.ranks import mpiexec
from minigan.step import GAN

RANKS = 2
NAMES = ("small, batch 32", "small, batch 64", "poster, batch 32", "paper 32², batch 32", "CNN 28²", "CNN 64²")
WARM_UP = 3  # steps; fewer, if they take longer than what is timed
LEAST = 3  # steps that are timed
FEW = 3  # rounds that a slow step has at least
LONG = 180.0  # seconds; after them no further round begins


def cases() -> list[Case]:
    return [RanksCase("ranks", f"{name}, {RANKS} processes", {}, quick=name in QUICK) for name in NAMES]


class RanksCase(Case):
    """plain: DistributedDataParallel with gloo. best: one process with as many threads. Both are the best model."""

    def measure(self, how: argparse.Namespace) -> dict[str, Any]:
        step = self.name.rpartition(",")[0]
        sides = ["one", *how.kinds]
        taken: dict[str, list[float]] = {side: [] for side in sides}
        loops, start = accelerate.in_use("cpu"), time.perf_counter()
        for turn in range(how.rounds):
            if turn >= FEW and time.perf_counter() - start > LONG:
                break
            for side in sides:
                taken[side].append(statistics.median(timed(side, step, how.seconds, loops)))
        gains = [one / two for one, two in zip(taken["one"], taken["ours"], strict=True)]
        alone = taken.pop("one")
        note = f"{statistics.median(gains):.2f} × one rank, {1000 * statistics.median(alone):.3g} ms"
        return self.row(taken, note=note)


def timed(side: str, step: str, seconds: float, loops: bool) -> list[float]:
    """Seconds of some steps of a side, in new processes."""
    python = [sys.executable, "-m"]
    work = ["experiments.bench.ranks", side, step, f"{seconds}", *["--no-loops"] * (not loops)]
    threads = RANKS if side == "best" else 1
    env = {**os.environ, "OPENBLAS_NUM_THREADS": f"{threads}", "OMP_NUM_THREADS": f"{threads}"}
    if side == "ours":
        launcher = mpiexec()
        if launcher is None:
            raise RuntimeError("there is no mpiexec: pip install -e '.[mpi]'")
        return result([started([launcher, "-n", f"{RANKS}", *python, "mpi4py", "-m", *work], env)])
    if side != "plain":
        return result([started([*python, *work], env)])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{free.getsockname()[1]}", "WORLD_SIZE": f"{RANKS}"}
    return result([started([*python, *work], {**env, "RANK": f"{rank}"}) for rank in range(RANKS)])


def started(command: list[str], env: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def result(processes: list[subprocess.Popen]) -> list[float]:
    """What the first process printed last; RuntimeError if one failed."""
    printed = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError(f"a process ended with status {max(abs(p.returncode) for p in processes)}")
    return json.loads(printed[0].splitlines()[-1])


# In these processes ----------------------------------------------------------------------------------------


def work(side: str, name: str, seconds: float) -> list[float]:
    """Seconds of each of some steps."""
    from minigan.ranks import join

    if side in ("one", "ours"):
        world = join()
        return steps_of(gan_of(STEPS[name], "cpu", world=world).step, seconds, world.same)
    import torch
    from torch import distributed

    from experiments.pytorch.distributed import DistributedGAN
    from experiments.pytorch.gan import TorchGAN

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    options, agree = dict(STEPS[name]), lambda value: value
    twin: Any
    if side == "plain":
        distributed.init_process_group("gloo")
        options["batch"] = options.get("batch", 32) // distributed.get_world_size()
        twin = DistributedGAN(gan_of(options, "cpu"))

        def agree(value: int) -> int:
            sent = torch.tensor(value)
            distributed.broadcast(sent, 0)
            return int(sent)
    else:
        twin = TorchGAN(gan_of(options, "cpu"), best=True)
        twin.rng = None
    return steps_of(lambda: twin.step(1e-4, 1e-4, 1.0), seconds, agree)


def steps_of(step: Callable[[], None], seconds: float, agree: Callable[[int], int]) -> list[float]:
    """Times of as many steps as fit into `seconds`. agree(n): what the first process says."""
    start = time.perf_counter()
    for _ in range(WARM_UP):
        step()
        if agree(int(time.perf_counter() - start > seconds)):
            break
    start = time.perf_counter()
    step()
    many = agree(max(LEAST, int(seconds / (time.perf_counter() - start))))
    times = []
    for _ in range(many):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return times


# What more ranks would give --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """The time of an all-reduce of n bytes by R ranks: 2 log₂R latencies, and 2 (R − 1)/R n bytes over the bandwidth.

    That is the ring's traffic, which no algorithm undercuts, with the latencies of a tree (Thakur et al., 2005).
    """

    name: str
    latency: float  # seconds
    bandwidth: float  # bytes a second, out of a rank

    def seconds(self, floats: int, ranks: int) -> float:
        if ranks == 1:
            return 0.0
        return 2 * (ranks - 1).bit_length() * self.latency + 2 * (ranks - 1) / ranks * 4 * floats / self.bandwidth


NETWORKS = (
    Network("shared memory", 3e-6, 2.9e9),  # measured: MPICH, 2 ranks, 0.41 ms for 300,000 floats
    Network("25 GbE", 30e-6, 2.8e9),  # by the data sheet: 25 Gbit/s less a tenth, latency of TCP
    Network("NVLink", 10e-6, 150e9),  # by the data sheets, at half of what they promise
)
PREDICTED = ("small, batch 32", "CNN 28²", "poster, batch 32", "paper 32², batch 32")
COUNTS = (2, 4, 8, 16, 32, 64)  # ranks of the table


def efficiency(alone: float, share: float, exchange: float, ranks: int) -> float:
    """The speed-up by `ranks` ranks over their number. alone, share: seconds of a step on the whole batch and on a
    rank's share of it."""
    return alone / (share + exchange) / ranks


def line_through(points: dict[int, float]) -> tuple[float, float]:
    """The least squares (fixed, each): seconds of a step ≈ fixed + each · images. Relative errors count."""
    import numpy as np

    x, y = np.array(list(points), float), np.array(list(points.values()))
    fixed, each = np.linalg.lstsq(np.stack([1 / y, x / y], axis=1), np.ones(len(x)), rcond=None)[0]
    return float(fixed), float(each)


def predict() -> Iterator[str]:
    """The table of docs/scaling.md, in Markdown. Times are of the processor, so that other processes matter little."""
    head = " | ".join(f"{n}" for n in COUNTS)
    yield f"| step | fixed + each image | gradients | network | exchange | {head} |"
    yield "|---" * (5 + len(COUNTS)) + "|"
    for name in PREDICTED:
        batch = STEPS[name].get("batch", 32)
        gan = gan_of(STEPS[name], "cpu")
        floats = gan.generator.count() + gan.discriminator.count()
        times = {batch: processor_seconds(gan)}
        times |= {n: processor_seconds(gan_of({**STEPS[name], "batch": n}, "cpu")) for n in (batch // 2, batch // 4)}
        fixed, each = line_through(times)
        first = f"{name} | {1e3 * fixed:.3g} + {1e3 * each:.3g} ms | {floats / 1e6:.2g} M"
        for network in NETWORKS:
            exchange = [network.seconds(floats, ranks) for ranks in COUNTS]
            cells = [
                f"{efficiency(fixed + each * batch, fixed + each * batch / ranks, seconds, ranks):.2f}"
                if batch % ranks == 0
                else "–"
                for ranks, seconds in zip(COUNTS, exchange, strict=True)
            ]
            yield f"| {first} | {network.name} | {1e3 * exchange[0]:.2g} ms | {' | '.join(cells)} |"
            first = " | | "


def processor_seconds(gan: GAN) -> float:
    """The median processor time of a step."""
    take_steps(gan, WARM_UP)
    taken: list[float] = []
    while len(taken) < LEAST or sum(taken) < 1:
        start = time.process_time()
        gan.step()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def main() -> None:
    p = argparse.ArgumentParser(prog="python -m experiments.bench.ranks", description=__doc__)
    p.add_argument("side", choices=["one", "ours", "plain", "best", "predict"])
    p.add_argument("step", nargs="?", choices=[*STEPS], default=NAMES[0])
    p.add_argument("seconds", nargs="?", type=float, default=5.0)
    p.add_argument("--no-loops", action="store_true")
    args = p.parse_args()
    accelerate.use(None if args.no_loops else "cpu")
    for line in predict() if args.side == "predict" else [json.dumps(work(args.side, args.step, args.seconds))]:
        print(line, flush=True)


if __name__ == "__main__":
    main()
