"""The emulator of CUDA kernels finds what it promises to: broken.cu holds kernels with one mistake each."""

import numpy as np
import pytest
from emulation.emulator import AVAILABLE, HERE, EmulationError, Emulator

from autograd.accelerate.gpu import launch

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="the emulator needs Linux and g++")

MISTAKES = {
    "sound": None,
    "reads_beyond": r"read out of bounds, 256 bytes beyond the start of x \(256 bytes\)",
    "writes_before": "write out of bounds",
    "misaligned": "misaligned access to y at byte 2",
    "reads_unwritten": "read of dynamic shared memory at byte .*, which nothing was written to",
    "reads_too_early": "which nothing was written to|race on shared memory",
    "overwrites_too_early": "race on shared memory at byte .*: (a read .* and a write|a write .* and a read),",
    "trusts_a_shuffle": "race on shared memory at byte .*: a write .* and a read,",
    "blocks_collide": "race on y at byte .*: a write by thread .* of block 0 and a read, .* of block 1",
    "barrier_in_a_branch": "__syncthreads .*: some threads wait there, others have returned",
    "two_barriers": "__syncthreads of block 0: thread .* waits at .* and thread .* at ",
    "shuffle_of_some": "a warp .*: some threads wait there, others have returned",
    "shuffle_beside_barrier": "a warp of block 0: thread .* waits at .* and thread .* at ",
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> tuple[Emulator, dict]:
    source = (HERE / "broken.cu").read_text(encoding="utf-8")
    kernels = launch.parse(source)
    return Emulator(source, kernels, tmp_path_factory.mktemp("broken")), kernels


@pytest.mark.parametrize("name", MISTAKES)
def test_the_emulator_names_the_mistake(name, broken):
    emulator, kernels = broken
    assert kernels.keys() == MISTAKES.keys()
    for seed in range(4):
        emulator.seed = seed
        x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
        args = kernels[name], (2 if name == "blocks_collide" else 1, 1, 1), (64, 1, 1), 256, [x, y, np.int32(64)]
        if MISTAKES[name] is None:
            emulator(*args)
            np.testing.assert_array_equal(y, 2 * (63 - x + 1) + np.where(np.arange(64) % 32 < 16, -16, 16))
        else:
            with pytest.raises(EmulationError, match=f"^{name}: .*({MISTAKES[name]})"):
                emulator(*args)
