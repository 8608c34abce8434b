"""Images read from the disk by row, and training on them: the same run as on held images, bit for bit."""

import gc
import threading
import time

import numpy as np
import pytest
from fake_cuda import fake_cuda
from strict_device import StrictArray
from tiny_models import tiny

from autograd.random import RandomStream
from minigan import checkpoint
from minigan.data import Dataset, stored, stream
from minigan.data.stored import StoredImages, allocate, block_slices, checksum, open_arrays
from minigan.data.stream import Prefetch, batch_rows, fits, hold_or_stream
from minigan.errors import InputError
from minigan.step import GAN
from minigan.train import Run

IMAGES = np.random.default_rng(0).integers(0, 256, (21, 28, 28, 3), dtype=np.uint8)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """IMAGES in six blocks, the last of one image."""
    monkeypatch.setattr(stored, "BLOCK_BYTES", 4 * IMAGES[0].nbytes + 5)
    (tmp_path / "images").mkdir()
    return fill(tmp_path / "images", IMAGES)


def fill(directory, values):
    allocate(directory, values.shape)
    images, checksums = open_arrays(directory, "r+")
    for block, rows in enumerate(block_slices(values.shape)):
        images[rows] = values[rows]
        checksums[block] = checksum(block, values[rows])
    return directory


@pytest.fixture
def images(path):
    return StoredImages(path)


# ---- which images


def test_a_batch_is_a_function_of_seed_and_step():
    rows = [batch_rows(7, step, 8, 1000) for step in range(6)]
    in_one_go = RandomStream(7 + stream._ROWS_SEED).integers(1000, 48)
    np.testing.assert_array_equal(np.concatenate(rows), in_one_go)  # steps share nothing of the stream
    np.testing.assert_array_equal(batch_rows(7, 3, 8, 1000), rows[3])
    assert (batch_rows(8, 3, 8, 1000) != rows[3]).any()
    assert not set(batch_rows(7, 0, 6, 2**31).tolist()) & set(batch_rows(7, 1, 6, 2**31).tolist())
    assert batch_rows(7, 3, 8, 5).max() < 5
    many = np.bincount(batch_rows(0, 1, 20_000, 10), minlength=10)
    assert abs(many - 2000).max() < 200  # about five standard deviations


def test_a_batch_is_the_same_on_every_device():
    rows = batch_rows(7, 3, 10, 1000, "strict")
    assert type(rows) is StrictArray
    np.testing.assert_array_equal(np.array(rows._host), batch_rows(7, 3, 10, 1000))


# ---- the files


def test_the_files_are_plain_npy(path):
    np.testing.assert_array_equal(np.load(path / "images.npy"), IMAGES)
    assert [rows.stop - rows.start for rows in block_slices(IMAGES.shape)] == [4, 4, 4, 4, 4, 1]
    assert np.load(path / "checksums.npy").all() and len(np.load(path / "checksums.npy")) == 6


def test_rows_are_indexed_like_an_array(images):
    assert len(images) == 21 and images.shape == IMAGES.shape and images.ndim == 4 and images.nbytes == IMAGES.nbytes
    for index in (7, -1, slice(3, 9), slice(None, None, 5), np.array([20, 0, 20, 13]), np.array([], int)):
        np.testing.assert_array_equal(images[index], IMAGES[index])
    with pytest.raises(IndexError):
        images[21]
    np.testing.assert_array_equal(images.hold(), IMAGES)


def test_some_rows_in_any_order(images):
    rows = np.array([19, 3, 4, 3, 0])
    some = images.take(rows)
    np.testing.assert_array_equal(some.hold(), IMAGES[rows])
    np.testing.assert_array_equal(some[1:4], IMAGES[rows[1:4]])
    np.testing.assert_array_equal(some.take(np.array([4, 0])).hold(), IMAGES[[0, 19]])
    digests = {images.digest, some.digest, images.take(rows[::-1]).digest, images.take(rows[:4]).digest}
    assert len(digests) == 4 and images.digest == images.take(np.arange(21)).digest


def test_grey_images_have_no_last_axis(tmp_path):
    grey = IMAGES[..., 0].copy()
    np.testing.assert_array_equal(StoredImages(fill(tmp_path, grey))[5:9], grey[5:9])


def test_what_is_read_may_be_written_into(images):
    for index in (3, slice(2), np.array([1, 1])):
        images[index][...] = 0
    np.testing.assert_array_equal(images.hold(), IMAGES)


@pytest.mark.parametrize("block", [0, 3, 5])
def test_a_damaged_block_is_found_when_an_image_of_it_is_read(path, block):
    open_arrays(path, "r+")[0][4 * block, 3, 4, 1] ^= 1
    images = StoredImages(path)
    rows = np.arange(21)
    np.testing.assert_array_equal(images[rows[rows // 4 != block]], IMAGES[rows // 4 != block])
    with pytest.raises(InputError, match=rf"images is damaged \(block {block}\): delete it"):
        images[np.array([4 * block])]
    with pytest.raises(InputError, match="damaged"):
        StoredImages(path).hold()


def test_two_blocks_in_each_others_place_are_found(path):
    images, checksums = open_arrays(path, "r+")
    images[4:12] = images[[8, 9, 10, 11, 4, 5, 6, 7]]
    checksums[[1, 2]] = checksums[[2, 1]]
    with pytest.raises(InputError, match="damaged"):
        StoredImages(path)[4]


def test_files_that_do_not_fit_together_are_refused(path):
    with open(path / "images.npy", "r+b") as raw:
        raw.truncate(2000)
    with pytest.raises(ValueError, match="length"):
        open_arrays(path)
    for images, checksums in ((IMAGES[:0], 6), (IMAGES.astype(np.int8), 6), (IMAGES[0, 0], 1), (IMAGES, 5)):
        np.save(path / "images.npy", images)
        np.save(path / "checksums.npy", np.ones(checksums, np.uint64))
        with pytest.raises(ValueError, match="does not (hold|fit)"):
            open_arrays(path)


# ---- held or streamed


def test_what_fits_is_held(images, monkeypatch):
    for free, held in ((2 * images.nbytes, True), (2 * images.nbytes - 2, False)):
        monkeypatch.setattr(stream, "_free", lambda device, free=free: free)
        assert isinstance(hold_or_stream(images, None), np.ndarray) == held
        assert isinstance(hold_or_stream(images, False), np.ndarray)
        assert hold_or_stream(images, True) is images


def test_free_memory_is_known_here():
    assert fits(1000) and not fits(2**60)
    assert fits(2**60, "strict")  # a device that does not tell


def test_too_much_to_hold_is_one_sentence(images, monkeypatch):
    def full():
        raise MemoryError

    monkeypatch.setattr(images, "hold", full)
    with pytest.raises(InputError, match="do not fit in memory: use --stream"):
        hold_or_stream(images, False)


# ---- training


def make(images, device="cpu", graph=False, **options):
    return GAN(tiny(channels=3, log_every=20, **options), images, device, graph=graph)


def assert_same_state(one, other):
    (arrays, counters), (expected, expected_counters) = one.state(), other.state()
    assert counters == expected_counters
    for group in expected:
        for name, array in expected[group].items():
            np.testing.assert_array_equal(arrays[group][name], array, err_msg=f"{group}/{name}")


def steps(gan, n):
    for _ in range(n):
        gan.step()
    return gan


def test_streamed_is_held_bit_for_bit(images):
    held, streamed = steps(make(IMAGES), 6), steps(make(images), 6)
    assert held.prefetch is None and streamed.prefetch is not None
    assert_same_state(streamed, held)
    assert_same_state(steps(make(images, "strict"), 6), held)


def test_a_resumed_run_goes_on_with_the_right_batch_held_or_streamed(images):
    straight = steps(make(IMAGES), 6)
    for first, second in ((images, images), (images, IMAGES), (IMAGES, images)):
        half = steps(make(first), 3)
        resumed = make(second)
        steps(resumed, 1)  # its thread has read ahead, for nothing
        resumed.load_state(*half.state())
        assert_same_state(steps(resumed, 3), straight)


@pytest.mark.slow
def test_replays_of_streamed_steps_equal_eager_ones(images):
    """With two graphs: the second is captured while batches are fetched."""
    options = {"penalty_every": 2, "augment": "translation,color"}
    with fake_cuda() as cuda:
        graphed = make(images, "strict", graph=True, **options)
        graphed.capture()
        steps(graphed, 6)
        assert graphed.prefetch is not None and cuda.launches == 6 and len(graphed.graphs) == 2
        assert_same_state(graphed, steps(make(images, "strict", **options), 6))
        graphed.load_state(*steps(make(IMAGES, **options), 3).state())
        assert_same_state(steps(graphed, 2), steps(make(IMAGES, **options), 5))


def test_what_does_not_fit_on_the_device_is_streamed_from_memory(monkeypatch):
    monkeypatch.setattr(stream, "_free", lambda device: 1000)
    streamed = make(IMAGES, "strict")
    assert streamed.prefetch is not None and streamed.images is IMAGES
    assert make(IMAGES).prefetch is None  # it is in memory already
    assert_same_state(steps(streamed, 2), steps(make(IMAGES), 2))


def test_a_checkpoint_of_held_images_is_resumed_streamed(tmp_path, images):
    def run(source, digest=images.digest):
        return Run(make(source), tmp_path, Dataset(source, None, "noise", None, digest), "")

    held, streamed = run(images.hold()), run(images)
    steps(held.gan, 2)
    held.save()
    streamed.load(*checkpoint.load(tmp_path / "checkpoint.h5"))
    assert_same_state(steps(streamed.gan, 2), steps(held.gan, 2))
    with pytest.raises(InputError, match="trained on other images"):
        run(images, images.take(np.arange(20)).digest).load(*checkpoint.load(tmp_path / "checkpoint.h5"))


# ---- the thread


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def gone():
    for thread in threads():
        thread.join(60)  # it ends at once, unless it never does
    return not threads()


def test_it_reads_a_few_batches_ahead_and_no_more():
    seen = []
    fetch = Prefetch(lambda step: seen.append(step) or step)
    assert [fetch(step) for step in range(3)] == [0, 1, 2]
    time.sleep(0.05)
    assert seen == list(range(len(seen))) and 3 <= len(seen) <= 3 + stream._AHEAD
    assert fetch(40) == 40 and fetch(41) == 41 and fetch(41) == 41
    del fetch
    assert gone()


def test_the_thread_ends_with_the_gan(images):
    gan = steps(make(images), 2)
    assert len(threads()) == 1
    del gan
    gc.collect()
    assert gone()


def test_an_error_in_the_thread_is_raised_in_the_step_it_is_for(images):
    class Damaged(StoredImages):
        def __getitem__(self, index):
            if np.array_equal(index, batch_rows(0, 2, 4, 21)):
                raise InputError("the images are damaged")
            return super().__getitem__(index)

    gan = steps(make(Damaged(images.directory)), 2)
    with pytest.raises(InputError, match="the images are damaged"):
        gan.step()
    del gan
    gc.collect()
    assert gone()
