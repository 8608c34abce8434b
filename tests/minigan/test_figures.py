"""Grids and animations of a run's images, and the files that hold them."""

import numpy as np
import pytest
from PIL import Image
from run_pictures import noise, read

from minigan.figures import image_grid, save_animation, save_image
from minigan.files import write_bytes


@pytest.mark.parametrize("channels", [(), (3,)])
def test_grid_places_every_pixel(channels):
    images = noise(5, 4, 3, *channels)
    grid = image_grid(images, columns=2, scale=2)
    assert grid.shape == (2 * (3 * 4 + 4), 2 * (2 * 3 + 2), *channels)
    small = grid[::2, ::2]
    np.testing.assert_array_equal(grid, small.repeat(2, axis=0).repeat(2, axis=1))
    for i, image in enumerate(images):
        top, left = i // 2 * 6, i % 2 * 5
        np.testing.assert_array_equal(small[top : top + 4, left : left + 3], image)
    assert np.count_nonzero(small) == images.size  # the gaps and the end of the ragged last row are black


def test_grid_is_no_wider_than_its_images():
    assert image_grid(noise(3, 8, 8), columns=10).shape == (8, 28)


def test_grid_refuses_what_is_not_images():
    sizes = ((0, 4, 4), (4, 4), (4, 3, 3, 7), (4, 3, 3, 1))
    for images in (np.zeros((2, 4, 4)), *(np.zeros(size, np.uint8) for size in sizes)):
        with pytest.raises(ValueError, match="uint8"):
            image_grid(images)


def test_saved_image_reads_back(tmp_path):
    for array in (noise(7, 5), noise(7, 5, 3)):
        save_image(array, tmp_path / "new" / "image.png")
        np.testing.assert_array_equal(read(tmp_path / "new" / "image.png"), array)


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(TypeError):
        write_bytes(path, "not bytes")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def frames_of(path):
    with Image.open(path) as image:
        shown = []
        for i in range(image.n_frames):
            image.seek(i)
            shown.append((np.asarray(image.convert("RGB")), image.info["duration"]))
        return shown, image.info.get("loop")


def grids(directory, frames):
    """Sample grids as a run writes them: every 10 steps."""
    paths = [directory / "samples" / f"step-{10 * i:06d}.png" for i in range(len(frames))]
    for frame, path in zip(frames, paths, strict=True):
        save_image(frame, path)
    return paths


@pytest.mark.slow
@pytest.mark.parametrize("channels", [(), (3,)])
def test_animation_shows_grids_and_their_steps(tmp_path, channels):
    made = [noise(40, 400, *channels, seed=i) for i in range(90)]
    save_animation(grids(tmp_path, made), tmp_path / "samples.gif")
    frames, loop = frames_of(tmp_path / "samples.gif")
    assert (len(frames), loop) == (60, 0)
    assert [duration for _, duration in frames] == [100] * 59 + [1500]
    assert frames[0][0].shape == (40 + 32, 400, 3)  # the frame and the strip of the caption
    if channels == ():
        for frame, i in ((frames[0][0], 0), (frames[-1][0], 89)):  # the first and the last are among those chosen
            assert np.abs(frame[:40, :, 0].astype(int) - made[i]).max() <= 9  # 16 greys
    assert np.any(frames[0][0][40:, :80] != frames[-1][0][40:, :80])  # "step 0", "step 890"


@pytest.mark.slow
def test_animation_of_pure_noise_stays_small(tmp_path):
    save_animation(grids(tmp_path, [noise(300, 400, seed=seed) for seed in range(40)]), tmp_path / "noise.gif")
    assert (tmp_path / "noise.gif").stat().st_size < 1_500_000
    assert len(frames_of(tmp_path / "noise.gif")[0]) == 12


def test_animation_enlarges_small_frames(tmp_path):
    frames = [noise(20, 298, seed=seed) // 17 * 17 for seed in range(2)]  # greys the palette has
    save_animation(grids(tmp_path, frames), tmp_path / "small.gif")
    for frame, (shown, _) in zip(frames, frames_of(tmp_path / "small.gif")[0], strict=True):
        np.testing.assert_array_equal(shown[:40, :, 0], frame.repeat(2, axis=0).repeat(2, axis=1))


def test_animation_refuses_no_frames_and_mixed_sizes(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        save_animation([], tmp_path / "none.gif")
    first, second, last = grids(tmp_path, [noise(8, 8), noise(9, 8), noise(9, 8)])
    second.write_bytes(b"")
    save_animation([first, second, last], tmp_path / "mixed.gif")  # the damaged one and the smaller one are left out
    with Image.open(tmp_path / "mixed.gif") as animation:
        assert animation.n_frames == 1
    last.write_bytes(b"")
    with pytest.raises(ValueError, match="no frame"):
        save_animation([second, last], tmp_path / "none.gif")
    assert [path.name for path in tmp_path.glob("*.gif")] == ["mixed.gif"]
