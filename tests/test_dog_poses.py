"""The rendered dogs: fixed by their number, fair to every class, and not told by place or size."""

import cv2
import numpy as np
import pytest

from tfviz import data
from tfviz.data import dog_poses
from tfviz.data._draws import Draws


@pytest.fixture(scope="module")
def dogs() -> data.Batch:
    return data.load("dog-poses", split="test", limit=900).whole()


def test_picture_i_is_the_same_whatever_batch_or_limit(dogs: data.Batch) -> None:
    for limit, batch_size in ((20, 3), (20, 20), (9, 4)):
        some = data.join(list(data.load("dog-poses", split="test", limit=limit).batches(batch_size)))
        np.testing.assert_array_equal(some.images, dogs.images[:limit])
        np.testing.assert_array_equal(some.masks, np.asarray(dogs.masks)[:limit])
        np.testing.assert_array_equal(some.labels, np.asarray(dogs.labels)[:limit])
    picture, mask = dog_poses.render(17)
    np.testing.assert_array_equal(picture, dogs.images[17])
    np.testing.assert_array_equal(mask, np.asarray(dogs.masks)[17])


def test_splits_and_seeds_show_other_dogs() -> None:
    seen = [
        dog_poses.render(index, split=split, seed=seed)[0].tobytes()
        for split in data.SPLITS
        for seed in (0, 1)
        for index in range(20)
    ]
    assert len(set(seen)) == len(seen) == 120


def test_classes_are_exactly_balanced_in_every_three_and_shuffled(dogs: data.Batch) -> None:
    labels = np.asarray(dogs.labels).reshape(-1, 3)
    assert dog_poses.CLASS_NAMES == ("sit", "stand", "lie")
    np.testing.assert_array_equal(np.sort(labels, axis=1), np.tile([0, 1, 2], (300, 1)))
    orders, counts = np.unique(labels, axis=0, return_counts=True)
    assert len(orders) == 6
    assert counts.min() > 25  # 50 expected


def test_every_dog_is_seen_and_none_fills_the_picture(dogs: data.Batch) -> None:
    share = np.asarray(dogs.masks).mean(axis=(1, 2))
    assert share.min() > 0.02
    assert share.max() < 0.5


def test_the_mask_is_where_the_dog_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same picture with a black and with a white dog differs in the mask, and nowhere beyond its blurred rim."""
    from tfviz.data import _dog_paint

    original = _dog_paint.coat_colour

    def pictures(level: float) -> list[np.ndarray]:
        def plain(draws: Draws) -> tuple[float, float, float]:
            original(draws)  # takes as many numbers as ever: the rest of the picture stays
            return level, level, level

        monkeypatch.setattr(_dog_paint, "coat_colour", plain)
        return [dog_poses.render(index)[0].astype(int) for index in range(60)]

    for index, (dark, bright) in enumerate(zip(pictures(20), pictures(235), strict=True)):
        mask = dog_poses.render(index)[1]
        change = np.abs(bright - dark).max(axis=2)
        rim = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert not change[~rim].any()
        # Nose, eyes and collar have colours of their own.
        assert np.median(change[mask]) > 25


def test_neither_place_nor_size_tells_the_pose(dogs: data.Batch) -> None:
    """Box centre and the geometric mean of its sides have the same distribution in every class."""
    masks, labels = np.asarray(dogs.masks), np.asarray(dogs.labels)
    rows = [np.flatnonzero(mask.any(axis=1)) for mask in masks]
    columns = [np.flatnonzero(mask.any(axis=0)) for mask in masks]
    height = np.array([r[-1] - r[0] + 1 for r in rows])
    width = np.array([c[-1] - c[0] + 1 for c in columns])
    features = np.stack(
        [
            np.array([r[0] + r[-1] for r in rows]) / 2,
            np.array([c[0] + c[-1] for c in columns]) / 2,
            np.sqrt(height * width),
        ],
        axis=1,
    )
    means = np.array([features[labels == label].mean(axis=0) for label in range(3)])
    spread = features.std(axis=0)
    assert np.all(np.ptp(means, axis=0) < 0.4 * spread)
    # The box's shape does tell something, as it does of real dogs, but every class overlaps with every other.
    aspect = np.log(width / height)
    quantiles = np.array([np.quantile(aspect[labels == label], (0.05, 0.95)) for label in range(3)])
    assert quantiles[:, 0].max() < quantiles[:, 1].min() + 0.5


def test_dogs_look_left_and_right_in_every_pose(dogs: data.Batch) -> None:
    """Mirrored builds: the mean of the masks of each class is nearly its own mirror image."""
    masks, labels = np.asarray(dogs.masks, np.float64), np.asarray(dogs.labels)
    for label in range(3):
        mean = masks[labels == label].mean(axis=0)
        assert np.abs(mean - mean[:, ::-1]).mean() < 0.25 * mean.mean()


@pytest.mark.parametrize("size", [32, 64, 96, (48, 80)])
def test_any_size_shows_the_same_dog(size: int | tuple[int, int]) -> None:
    side = (size, size) if isinstance(size, int) else size
    picture, mask = dog_poses.render(5, size=size)
    assert picture.shape == (*side, 3)
    assert mask.shape == side
    if isinstance(size, int):
        large = dog_poses.render(5, size=192)[1]
        coarse = large.reshape(size, 192 // size, size, 192 // size).mean(axis=(1, 3)) >= 0.5
        assert (coarse & mask).sum() > 0.7 * (coarse | mask).sum()


def test_grey_is_the_luma_of_the_same_picture() -> None:
    colour = data.load("dog-poses", limit=3).whole().images
    grey = data.load("dog-poses", limit=3, channels=1).whole().images
    np.testing.assert_allclose(grey[..., 0], colour @ np.array([0.299, 0.587, 0.114]), atol=0.51)


def test_draws_are_uniform_and_independent_of_each_other() -> None:
    values = np.array([[Draws(0, 1, index).uniform(0, 1), Draws(1, 0, index).uniform(0, 1)] for index in range(2000)])
    assert abs(values.mean() - 0.5) < 0.015
    assert abs(np.corrcoef(values.T)[0, 1]) < 0.08
    assert abs(np.corrcoef(values[1:, 0], values[:-1, 0])[0, 1]) < 0.08
    many = Draws(3, 0, 0)
    drawn = [many.integer(0, 4) for _ in range(1000)]  # more than one block
    assert np.bincount(drawn).min() > 190
