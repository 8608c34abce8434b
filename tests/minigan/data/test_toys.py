"""Batches of arrays, and the toys of a first course."""

import numpy as np
import pytest

from minigan.data import loader, spirals, two_moons


def test_an_epoch_has_each_image_once_with_its_label():
    images, labels = np.arange(10)[:, None] * np.ones((1, 3)), np.arange(10)
    batches = loader(images, labels, batch=4, seed=1)
    epochs = [list(batches), list(batches)]
    assert len(batches) == 3 and [len(y) for _, y in epochs[0]] == [4, 4, 2]
    orders = [np.concatenate([y for _, y in epoch]) for epoch in epochs]
    for epoch, order in zip(epochs, orders, strict=True):
        assert sorted(order) == list(range(10))
        assert all((x[:, 0] == y).all() for x, y in epoch)
    assert not np.array_equal(*orders)  # anew each epoch
    again = np.concatenate([y for _, y in loader(images, labels, 4, seed=1)])
    np.testing.assert_array_equal(again, orders[0])


def test_batches_without_labels_and_of_nothing():
    assert [len(x) for x in loader(np.ones((5, 2)), batch=5)] == [5]
    assert list(loader(np.ones((0, 2)), np.ones(0))) == []
    with pytest.raises(ValueError, match="5 images and 4 labels"):
        loader(np.ones(5), np.ones(4))
    with pytest.raises(ValueError, match="at least one"):
        loader(np.ones(5), batch=0)


def test_two_moons_and_spirals_without_noise_are_their_formulas():
    points, labels = two_moons(200, noise=0)
    centre = np.where(labels == 0, 0, 1), np.where(labels == 0, 0, 0.5)
    np.testing.assert_allclose(np.hypot(points[:, 0] - centre[0], points[:, 1] - centre[1]), 1, rtol=1e-5)
    assert ((points[:, 1] >= -1e-6) == (labels == 0))[points[:, 1] > 0.5].all()
    points, labels = spirals(300, classes=3, noise=0)
    radius = np.hypot(*points.T)
    turn = np.arctan2(points[:, 1], points[:, 0]) - 4 * radius - 2 * np.pi * labels / 3
    np.testing.assert_allclose(np.cos(turn), 1, atol=1e-4)
    assert set(labels) == {0, 1, 2} and radius.max() <= 1 and points.dtype == np.float32
    for make in (two_moons, spirals):
        np.testing.assert_array_equal(make(50, seed=3)[0], make(50, seed=3)[0])
