"""CelebA: where its images lie, how they are cropped, its split, and the drawn faces that stand in for it."""

import numpy as np
import pytest
from picture_sources import as_folder, as_zip, encoded, noise

from minigan.data import describe_celeba, draw_faces, load_celeba
from minigan.errors import InputError


def test_celeba_in_a_folder_or_a_zip_wherever_they_lie(tmp_path, aligned):
    data = load_celeba(aligned, size=16)
    assert data.images.shape == (18, 16, 16, 3) and data.name == "CelebA" and data.labels is None and data.digest
    files = {path.name: path.read_bytes() for path in (aligned / "img_align_celeba").iterdir()}
    (tmp_path / "zipped" / "Img").mkdir(parents=True)
    archive = as_zip(
        tmp_path / "zipped/Img/img_align_celeba.zip", {f"img_align_celeba/{n}": d for n, d in files.items()}
    )
    for path in (aligned / "img_align_celeba", archive, archive.parent, tmp_path / "zipped"):
        np.testing.assert_array_equal(load_celeba(path, size=16).images, data.images)
    grey = data.images[2].astype(int)
    assert np.ptp(grey, axis=-1).max() == 0 and np.ptp(data.images[3].astype(int), axis=-1).max() > 50


def test_the_crop_is_the_centre_of_the_aligned_image(tmp_path, store):
    image = np.zeros((218, 178, 3), np.uint8)
    image[39:179, 19:159] = 255  # the central 140
    image[39, 19] = (255, 0, 0)
    folder = as_folder(tmp_path / "f", {f"{i}.png": encoded(image, "PNG") for i in range(2)})
    assert (load_celeba(folder, size=140, crop=140).images[0] == image[39:179, 19:159]).all()
    whole = load_celeba(folder, size=178, crop=178).images[0]
    assert (whole == image[20:198]).all()
    assert load_celeba(folder, size=32).images.min() > 200


def test_the_official_split_and_the_split_without_it(aligned):
    train, test = load_celeba(aligned, size=16), load_celeba(aligned, "test", size=16)
    assert len(train) == 18 and len(test) == 2
    everything = np.concatenate([train.images, test.images])
    assert "the last tenth by name" in describe_celeba(aligned, 16, 140)

    parts = {f"{i + 1:06}.jpg": (0, 1, 2, 0)[i % 4] for i in range(20)}
    for name, line in (("list_eval_partition.csv", "{},{}"), ("list_eval_partition.txt", "{} {}")):
        header = ["image_id,partition"] if name.endswith("csv") else []
        (aligned / name).write_text("\n".join([*header, *(line.format(*item) for item in parts.items())]) + "\n")
        split = np.array(list(parts.values()))
        for path in (aligned, aligned / "img_align_celeba"):
            np.testing.assert_array_equal(load_celeba(path, size=16).images, everything[split == 0])
            np.testing.assert_array_equal(load_celeba(path, "test", 16, stream=True).images[:], everything[split == 2])
        assert f"split by {name}" in describe_celeba(aligned, 16, 140)
    (aligned / "list_eval_partition.txt").write_text("000001.jpg 0\n")
    with pytest.raises(InputError, match="does not say to which split .*000002.jpg"):
        load_celeba(aligned, size=16)
    (aligned / "list_eval_partition.txt").write_text("".join(f"{name} 0\n" for name in parts))
    with pytest.raises(InputError, match="no test images"):
        load_celeba(aligned, "test", size=16)


def test_pictures_that_are_not_aligned_celeba_are_named(tmp_path, store):
    sizes = {"a.jpg": (218, 178), "b.jpg": (178, 218)}
    folder = as_folder(tmp_path / "f", {name: encoded(noise(1, *size)[0]) for name, size in sizes.items()})
    with pytest.raises(InputError, match="b.jpg is 218x178, not an aligned CelebA image .*experiments.images"):
        load_celeba(folder, size=16)


def test_drawn_faces_stand_in_and_test_faces_are_others():
    train, test = draw_faces(6, size=32), draw_faces(6, "test", size=32)
    assert train.images.shape == (6, 32, 32, 3) and train.name == "drawn faces" and train.labels is None
    assert not (train.images == test.images).all(axis=(1, 2, 3)).any()
    for wrong in ({"n": 0}, {"seed": -1}, {"size": 0}):
        with pytest.raises(InputError, match="cannot draw"):
            draw_faces(**{"n": 1} | wrong)
