"""Training by several processes, which share every batch: data-parallel, over MPI.

`mpiexec -n R python -m experiments.mnist` starts R processes, the ranks 0 … R − 1. Each computes the gradient of its
rows of the batch, and all add up what they have. The losses are means over the batch, so the mean of the ranks'
gradients is the gradient of the whole batch. Weights need not be sent: equal starts and equal sums keep them equal.

`World` is what a rank knows of the others. A process alone has a `One`, and needs no MPI.
"""

import io
import os
import platform
import shutil
import sys
import sysconfig
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan.errors import InputError

# What launchers tell a process: how many there are, and its number.
LAUNCHERS = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),  # mpiexec of Open MPI
    ("PMI_SIZE", "PMI_RANK"),  # mpiexec of MPICH and Intel MPI
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),  # srun
)
POLL = 0.002  # seconds between two looks of a rank that waits for long
PATIENCE = 2.0  # seconds that rank 0 has to report an error that all ranks make, before another rank reports it
KEPT = 20_000  # characters of stderr that a rank other than 0 keeps for a report
FORWARDED = 0.5  # seconds that the launcher has to pass on what a rank said, before it ends all and drops the rest


class One:
    """A process alone: every sum is its own."""

    rank, size, local = 0, 1, 0  # its number, the number of processes, its number on its machine

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which alone writes files and shows anything."""
        return self.rank == 0

    def sum(self, array: Any) -> None:
        """Add the arrays of all ranks, of one shape, in place: afterwards each rank has the same bits."""

    def same(self, value: Any) -> Any:
        """The value of rank 0."""
        return value

    def most(self, number: int) -> int:
        """The largest number of all ranks."""
        return number

    def all(self, value: Any) -> list[Any]:
        """The values of all ranks, by rank."""
        return [value]

    def barrier(self) -> None:
        """Wait until every rank has come here."""

    def first_alone(self, make: Callable[[], Any]) -> Any:
        """What rank 0 makes, sent to all. The others wait, so a file that it writes is written once."""
        made = make() if self.first else None
        self.barrier()
        return self.same(made)

    def share(self, n: int, size: int) -> list[slice]:
        """The blocks of at most `size` of n rows that this rank works on. A block is the same for any number of ranks,
        so that it is rounded in the same way."""
        return [slice(i, min(i + size, n)) for i in range(self.rank * size, n, self.size * size)]

    def merge(self, blocks: Sequence[Any]) -> list[Any]:
        """The results for the blocks of `share` from all ranks, in the order of the rows."""
        by_rank = self.all(list(blocks))
        return [by_rank[i % self.size][i // self.size] for i in range(sum(map(len, by_rank)))]

    def one_gpu(self) -> None:
        """Let this rank see one GPU of its machine. It has to come before CuPy is imported."""

    def use_nccl(self, xp: Any) -> None:
        """Sum arrays of CuPy by NCCL from now on; InputError where ranks share a GPU, or CuPy has no NCCL."""

    def check_equal(self, arrays: Sequence[np.ndarray], what: str) -> None:
        """InputError unless the arrays, of any shape, are equal bit for bit on all ranks; `what` names them."""
        if self.size > 1:
            sums = self.all([zlib.crc32(a.tobytes()) for a in arrays])
            if any(s != sums[0] for s in sums):
                raise InputError(f"{what} differ between the ranks: are these machines of one kind, with one version?")


class World(One):
    """The ranks of an MPI communicator `comm` of mpi4py; `mpi` is the module."""

    def __init__(self, comm: Any, mpi: Any):
        self.comm, self.rank, self.size = comm, comm.Get_rank(), comm.Get_size()
        self.MPI = mpi  # the module
        self.local = comm.Split_type(self.MPI.COMM_TYPE_SHARED).Get_rank()
        self.nccl: Any = None

    def sum(self, array: Any) -> None:
        if self.nccl is None:
            self.comm.Allreduce(self.MPI.IN_PLACE, array)
        else:  # on the current stream, so a CUDA graph captures it; all ranks capture the same sums in the same order
            self.nccl.all_reduce(array, array, "sum")

    def one_gpu(self) -> None:
        given = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", f"{self.local}").split(",") if name]
        if len(given) != 1:  # a launcher such as srun may have given each rank one
            given = given[self.local : self.local + 1]
        os.environ["CUDA_VISIBLE_DEVICES"] = given[0] if given else "-1"

    def use_nccl(self, xp: Any) -> None:
        gpus = self.all((platform.node(), xp.cuda.Device().pci_bus_id))
        if len(set(gpus)) < self.size:
            raise InputError(
                f"{self.size} ranks and {len(set(gpus))} GPUs: start one rank for each GPU, or use --device cpu"
            )
        if not xp.cuda.nccl.available:
            raise InputError("this CuPy has no NCCL, by which ranks add up: pip install nvidia-nccl-cu12, or -cu13")
        from cupyx.distributed import NCCLBackend

        self.nccl = NCCLBackend(self.size, self.rank, use_mpi=True)

    def same(self, value: Any) -> Any:
        return self.comm.bcast(value)

    def most(self, number: int) -> int:
        return self.comm.allreduce(number, self.MPI.MAX)

    def all(self, value: Any) -> list[Any]:
        return self.comm.allgather(value)

    def barrier(self) -> None:
        request = self.comm.Ibarrier()
        while not request.Test():  # MPI's own barrier would keep a core busy
            time.sleep(POLL)


# The start and the end of a process ------------------------------------------------------------------------

_world: list[One] = []  # that of this process, once it is known
_kept = io.StringIO()  # the stderr of a rank other than 0


def world() -> One:
    """The world of this process: `One` unless `join` found others."""
    return _world[0] if _world else One()


def mpiexec() -> str | None:
    """MPI's launcher: the one beside this Python, where pip puts it, or the one in PATH."""
    return shutil.which("mpiexec", path=sysconfig.get_path("scripts")) or shutil.which("mpiexec")


def launched() -> tuple[int, int]:
    """How many processes a launcher started, and the number of this one."""
    for size, rank in LAUNCHERS:
        if os.environ.get(size, "").isdigit() and os.environ.get(rank, "").isdigit():
            return int(os.environ[size]), int(os.environ[rank])
    return 1, 0


def join(shared: bool = True) -> One:
    """Find the other processes that a launcher started; the world of this process.

    InputError if they are not found, or if the work is not `shared` among processes.
    From here on a rank other than 0 writes nothing to stdout. It keeps what it writes to stderr for the report of an
    error.
    """
    n, rank = launched()
    if n == 1 or _world:
        return world()
    if rank:
        sys.stdout, sys.stderr = open(os.devnull, "w", encoding="utf-8"), _kept
    if not shared:
        raise InputError(f"this command runs as one process, and {n} were started together: start it without mpiexec")
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as e:  # RuntimeError: mpi4py is there, and finds no MPI
        why = "mpi4py is not installed" if isinstance(e, ImportError) else "mpi4py finds no MPI library"
        raise InputError(f"{n} processes were started together, but {why}: pip install -e '.[mpi]'") from e
    found = MPI.COMM_WORLD.Get_size()
    if found != n:
        library = MPI.Get_library_version().split("\n")[0].strip("\0 ")
        raise InputError(
            f"{n} processes were started together, but mpi4py sees {found}: it uses another MPI ({library}) than this "
            "mpiexec or srun; use the mpiexec beside this python"
        )
    _world.append(World(MPI.COMM_WORLD, MPI))
    return world()


def leave(status: int, failed: bool) -> None:
    """Part from the other ranks, before this process exits with `status`.

    failed: the process ends by an error, which the other ranks may not have made. They would wait for this one, so all
    of them are ended.
    """
    if not _world:
        if launched()[1]:  # rank 0 has the same error, and the launcher would end it before it says so
            sys.exit(0)
        return
    here: Any = _world[0]
    if not (failed and status):
        here.barrier()
        here.MPI.Finalize()
        return
    if here.rank and sys.__stderr__ is not None:
        time.sleep(PATIENCE)
        lines = _kept.getvalue()[-KEPT:].splitlines()
        sys.__stderr__.write("".join(f"rank {here.rank}: {line}\n" for line in lines))
        sys.__stderr__.flush()
    time.sleep(FORWARDED)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # our own sentence has said what is wrong
    here.comm.Abort(status)
