"""Superpixels: connected, along edges, the same every time."""

import cv2
import numpy as np
import pytest

from tfviz import superpixels
from tfviz.errors import InputError
from tfviz.perturb._superpixels import segments_of


def noisy_halves():
    x = np.zeros((24, 30, 3))
    x[:, 13:] = 1
    return x + np.random.default_rng(0).normal(0, 0.05, x.shape)


def test_every_superpixel_is_connected_and_labels_have_no_gaps():
    texture = np.random.default_rng(1).random((1, 40, 36, 3))
    for labels in superpixels(texture, 30):
        count = labels.max() + 1
        assert 15 <= count <= 45
        for label in range(count):
            assert cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=4)[0] == 2


def test_superpixels_follow_an_edge_that_a_grid_would_cross():
    labels = superpixels(noisy_halves(), 20)[0]
    left, right = set(labels[:, :13].reshape(-1)), set(labels[:, 13:].reshape(-1))
    assert not left & right
    assert len(left) >= 5


def test_the_channels_scale_and_offset_do_not_matter():
    x = noisy_halves()
    np.testing.assert_array_equal(superpixels(x * 255 - 17, 20), superpixels(x, 20))


@pytest.mark.parametrize("value", [0.0, 1e38, 1e-38])
def test_a_picture_without_edges_is_cut_into_a_grid(value):
    labels = superpixels(np.full((8, 8, 1), value), 4)[0]
    np.testing.assert_array_equal(labels, np.kron([[0, 1], [2, 3]], np.ones((4, 4), int)))


def test_a_batch_is_cut_as_its_pictures_are():
    batch = np.stack([noisy_halves(), noisy_halves()[::-1] ** 2])
    np.testing.assert_array_equal(superpixels(batch, 20), np.concatenate([superpixels(one, 20) for one in batch]))


def test_one_superpixel_is_the_picture_and_one_for_each_pixel_is_each_pixel():
    x = np.zeros((3, 4, 1))
    assert superpixels(x, 1).max() == 0
    assert len(np.unique(superpixels(x, 12))) == 12
    for count in (0, 13):
        with pytest.raises(InputError, match="between 1 and H x W"):
            superpixels(x, count)


def test_labels_of_the_users_own_are_numbered_anew():
    x = np.zeros((2, 2, 2, 1))
    shared = segments_of(x, np.array([[5, 5], [-3, 9]]))
    for one in shared:
        np.testing.assert_array_equal(one, [[1, 1], [0, 2]])
    with pytest.raises(InputError, match="whole numbers"):
        segments_of(x, np.zeros((3, 3), int))
