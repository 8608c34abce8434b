"""Data-parallel training: ranks that share a batch compute what one process computes, and end together.

The tests of several processes start them by the mpiexec of the mpich package, oversubscribed. They need mpi4py.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from rank_program import gradients
from slow import slow_but_the_first
from tiny_models import tiny_gan
from tiny_runs import IMAGES, TINY, write_run

from autograd import accelerate
from autograd.random import Part, RandomStream
from minigan import checkpoint
from minigan.config import check_shares
from minigan.errors import InputError
from minigan.log import read_log
from minigan.presets import resolve
from minigan.ranks import One
from minigan.step import GAN

ROOT = Path(__file__).parents[2]
MPIEXEC = shutil.which("mpiexec", path=sysconfig.get_path("scripts"))
together = pytest.mark.skipif(
    find_spec("mpi4py") is None or MPIEXEC is None,
    reason="mpi4py and mpich are not installed: pip install -e '.[mpi]'",
)


def environment(**more):
    paths = [str(ROOT), str(ROOT / "tests" / "support")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1", **more}


def mpiexec(n, *command, **options):
    """Start a command as n ranks; (exit status, stdout, stderr)."""
    call = [MPIEXEC, "-n", str(n), sys.executable, "-m", "mpi4py", *map(str, command)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300, env=environment(), **options)
    return done.returncode, done.stdout, done.stderr


def program(n, what, directory, options):
    directory.mkdir(exist_ok=True)
    return mpiexec(n, ROOT / "tests/support/rank_program.py", what, directory, json.dumps(options))


def difference(a, b):
    """‖a − b‖ / ‖b‖"""
    return np.linalg.norm(a.astype("float64") - b) / np.linalg.norm(b.astype("float64"))


# ---- one process


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize("shape, groups", [((6, 5), 1), ((12, 3, 5), 2), ((8, 1, 7, 7), 2)])
def test_a_part_of_a_draw_is_its_rows_of_the_whole_draw(shape, groups, loops):
    accelerate.use("cpu" if loops else None)
    try:
        for parts in (2, shape[0] // groups):
            for index in range(parts):
                whole, own = RandomStream(3), RandomStream(3)
                part = Part(index, parts, groups)
                for stream in (whole, own):
                    stream.uniform(size=7)  # so that the draw begins anywhere
                expected = part.of(whole.normal(shape))
                rows = np.arange(shape[0]).reshape(groups, parts, -1)[:, index].ravel()
                np.testing.assert_array_equal(part.of(np.arange(shape[0])), rows)
                # Another length of the array may take another path of NumPy's vector loops: 4 ulp of each function.
                np.testing.assert_allclose(own.normal(shape, part=part), expected, rtol=3e-6, atol=1e-6)
                assert own.used == whole.used
    finally:
        accelerate.use(None)


CASES = {
    "adam": {},
    "without penalty": {"penalty": "none"},
    "exact penalty, augmented": {"penalty": "exact", "augment": "translation,cutout,brightness", "augment_p": 0.7},
    "consistency": {"bcr": 1.0, "penalty": "none", "loss": "nonsaturating"},
    "isn": {"d_norm": "isn", "penalty": "none", "max_norm": 1.0},
    "cnn": {"variant": "cnn"},
    "shampoo": {"optimizer": "shampoo", "lookahead": 3, "g_width": 32, "d_width": 32},
}


def bound(option):
    """Of the relative difference of gradients: a few roundings, seen up to 5e-7. Finite differences divide theirs by σ,
    which is 0.05."""
    return 1e-4 if option.get("penalty", "fd") == "fd" else 2e-6


@pytest.mark.parametrize("name", slow_but_the_first(list(CASES)))
def test_a_batch_in_turns_gives_the_gradients_of_the_whole_batch(name):
    option = {**TINY, **CASES[name], "batch": 8}
    whole = GAN(resolve(**option), IMAGES)
    expected = gradients(whole)
    for accumulate in (2, 8):
        turns = GAN(resolve(**option, accumulate=accumulate), IMAGES)
        for ours, theirs in zip(gradients(turns), expected, strict=True):
            assert difference(ours, theirs) < bound(option)
        assert turns.rng.state == whole.rng.state
        np.testing.assert_allclose(turns.stats, whole.stats, rtol=1e-4, atol=1e-5)


def test_a_batch_that_cannot_be_shared_is_refused():
    c = resolve(batch=32, accumulate=2)
    check_shares(c, 16)
    with pytest.raises(InputError, match="--batch 32 .* by 3 ranks and --accumulate 2: give a multiple of 6"):
        check_shares(c, 3)
    with pytest.raises(InputError, match="one rank"):
        tiny_gan("cnn", cnn_batch_norm=True, accumulate=2)


def test_a_process_alone_is_its_own_world():
    a = np.ones(3)
    One().sum(a)
    assert a.tolist() == [1, 1, 1] and One().all(5) == [5] and One().first
    assert [(s.start, s.stop) for s in One().share(7, 3)] == [(0, 3), (3, 6), (6, 7)]


def test_blocks_of_a_share_are_merged_in_the_order_of_the_rows():
    worlds = [One() for _ in range(3)]
    blocks = {}
    for rank, world in enumerate(worlds):
        world.rank, world.size = rank, 3
        blocks[rank] = [list(range(10))[s] for s in world.share(10, 2)]
    worlds[1].all = lambda value: [blocks[0], value, blocks[2]]
    assert worlds[1].merge(blocks[1]) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]


def start_alone(rank, launcher, tmp_path, mpi4py):
    """A command as one process that a launcher says is one of two, with this mpi4py; (exit status, stderr)."""
    (tmp_path / "mpi4py").mkdir(exist_ok=True)
    (tmp_path / "mpi4py" / "__init__.py").write_text(mpi4py)
    size, number = launcher
    env = environment(**{size: "2", number: str(rank)})
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), env["PYTHONPATH"]])
    command = [sys.executable, "-m", "experiments.mnist", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert not done.stdout and not (tmp_path / "run").exists()
    return done.returncode, done.stderr


ALONE = """
class MPI:
    class COMM_WORLD:
        Get_size = staticmethod(lambda: 1)
    Get_library_version = staticmethod(lambda: "MPICH Version:      5.0.2\\nmore")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher, mpi4py, says",
    [
        (("PMI_SIZE", "PMI_RANK"), "raise ImportError", "mpi4py is not installed: pip install -e '.[mpi]'"),
        (("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"), "MPI = None\nraise RuntimeError", "mpi4py finds no MPI library"),
        (("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"), ALONE, "mpi4py sees 1: it uses another MPI"),
    ],
    ids=["not installed", "no library", "another MPI"],
)
def test_processes_that_do_not_find_each_other_say_so_once(tmp_path, launcher, mpi4py, says):
    status, error = start_alone(0, launcher, tmp_path, mpi4py)
    assert status == 2 and error.startswith("error: 2 processes were started together, but") and says in error
    assert error.count("\n") == 1
    assert start_alone(1, launcher, tmp_path, mpi4py) == (0, "")


# ---- several processes


@together
@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 4])
def test_ranks_compute_the_gradients_of_one_process_and_stay_equal(tmp_path, n):
    cases = list(CASES)[:: n // 2]
    options = [dataclasses.asdict(resolve(**{**TINY, **CASES[name], "batch": 8})) for name in cases]
    options[1]["accumulate"] = 2
    status, _, error = program(n, "compare", tmp_path, options)
    assert status == 0, error
    for i, option in enumerate(options):
        found = np.load(tmp_path / f"{i}.npz")
        gan = GAN(resolve(**{**option, "accumulate": 1}), IMAGES)
        for ours, theirs in zip((found["d"], found["g"]), gradients(gan), strict=True):
            assert difference(ours, theirs) < bound(option), cases[i]
        assert found["digests"].shape == (10, n)
        assert (found["digests"] == found["digests"][:, :1]).all()  # bit for bit, at every step
        assert len(set(found["digests"][:, 0])) == 10  # and they move


def same_state(a, b):
    (left, left_meta), (right, right_meta) = (checkpoint.load(d / "checkpoint.h5") for d in (a, b))
    assert (left_meta["steps_done"], left_meta["rng"]) == (right_meta["steps_done"], right_meta["rng"])
    for group in right:
        for name in right[group]:
            np.testing.assert_array_equal(left[group][name], right[group][name], err_msg=f"{group}/{name}")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A run of ten steps by two ranks."""
    directory = tmp_path_factory.mktemp("ranks") / "unbroken"
    status, _, error = program(2, "train", directory, {"steps": 10})
    assert status == 0, error
    return directory


@together
@pytest.mark.slow
def test_a_signal_to_one_rank_stops_all_after_one_step_and_the_run_goes_on_bit_for_bit(tmp_path, unbroken):
    run = tmp_path / "run"
    status, _, error = program(2, "train", run, {"steps": 10, "act": "signal"})
    assert status == 143 and error.count("stopped and saved at step 5") == 1, error
    assert program(2, "train", run, {})[0] == 0
    same_state(run, unbroken)
    ours, theirs = (
        [
            [r[k] for k in ("step", "loss_d", "loss_g", "lr_g")]
            for r in read_log(d / "log.jsonl")
            if r["kind"] == "train"
        ]
        for d in (run, unbroken)
    )
    assert ours == theirs != []


@together
@pytest.mark.slow
def test_a_killed_rank_ends_all_and_the_last_checkpoint_goes_on(tmp_path, unbroken):
    run = tmp_path / "run"
    assert program(2, "train", run, {"steps": 10, "act": "kill"})[0] not in (0, 2)
    assert checkpoint.load(run / "checkpoint.h5")[1]["steps_done"] == 5
    assert program(2, "train", run, {})[0] == 0
    same_state(run, unbroken)


@together
@pytest.mark.slow
@pytest.mark.parametrize(
    "act, status, says",
    [
        ("full disk", 2, "error: cannot write"),
        ("nan", 1, "error: training stopped: step 3: loss_d is nan"),
        ("drift", 2, "error: the states of the run differ between the ranks"),
        ("bug", 1, "rank 1: IndexError: list index out of range"),
    ],
)
def test_what_stops_one_rank_stops_all_with_one_message(tmp_path, act, status, says):
    found, _, error = program(2, "train", tmp_path / "run", {"steps": 10, "act": act})
    assert found == status and error.count(says) == 1, error
    assert act == "bug" or "Traceback" not in error
    kept = checkpoint.load(tmp_path / "run" / "checkpoint.h5")[1]["steps_done"]
    assert kept == 0  # the whole file from before


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Of a command that takes seconds, on a folder of pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, image in enumerate(IMAGES):
        Image.fromarray(image).save(folder / f"{i}.png")
    sizes = "--g-width 8 --d-width 8 --g-depth 1 --d-depth 1 --g-heads 2 --d-heads 2 --latent 8 --g-head-width 8"
    return ["--data", folder, *f"{sizes} --batch 4 --steps 3 --no-loops --device cpu --eval-samples 40".split()]


@together
@pytest.mark.slow
def test_a_command_by_two_ranks_leaves_one_run(tmp_path, flags):
    run = tmp_path / "run"
    status, out, error = mpiexec(2, "-m", "experiments.mnist", *flags, "--eval-every", 2, "--out", run)
    assert status == 0 and out.count("writing to") == 1, error
    assert json.loads((run / "config.json").read_text())["machine"]["ranks"] == 2
    assert [r["kind"] for r in read_log(run / "log.jsonl")] == ["eval", "train", "eval"]
    assert (run / "report.html").exists()


@together
@pytest.mark.slow
@pytest.mark.parametrize(
    "command, says",
    [("mnist", "--batch 4 cannot be divided equally by 3 ranks"), ("fid", "runs as one process, and 3 were started")],
)
def test_an_error_of_all_ranks_is_said_once(tmp_path, flags, command, says):
    options = [*flags, "--out", tmp_path / "run"] if command == "mnist" else ["--help"]
    status, out, error = mpiexec(3, "-m", f"experiments.{command}", *options)
    assert status == 2 and says in error and error.count("\n") == 1 and not out
    assert not (tmp_path / "run").exists()


@together
@pytest.mark.slow
def test_ranks_share_samples_and_features_which_are_those_of_one_process(tmp_path):
    option = dataclasses.asdict(resolve(**TINY))
    for n in (1, 3):  # both by programs with one BLAS thread: more of them round differently
        (tmp_path / str(n)).mkdir()
        status, _, error = program(n, "sample", tmp_path / str(n), {**option, "batch": 3})
        assert status == 0, error
    one, three = (np.load(tmp_path / n / "samples.npz") for n in "13")
    assert one["images"].shape == (700, 28, 28) and one["features"].shape == (700, 64)
    for name in ("images", "features"):  # the same batches, so the same rounding
        np.testing.assert_array_equal(three[name], one[name])


@together
@pytest.mark.slow
def test_ranks_generate_the_images_of_one_process(tmp_path):
    write_run(tmp_path)
    for n in (1, 2):
        options = ["--num", 600, "--hdf5", "--out", tmp_path / str(n)]
        status, out, error = mpiexec(n, "-m", "experiments.generate", tmp_path, *options)
        assert status == 0 and out.count("wrote") == 1, error
    with h5py.File(tmp_path / "1/samples.h5") as one, h5py.File(tmp_path / "2/samples.h5") as two:
        for name in ("images", "z"):
            np.testing.assert_array_equal(two[name][:], one[name][:])
