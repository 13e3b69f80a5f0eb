"""The data door: folders, .npz, Keras's data sets, splits, limits, and everything that can be wrong with them."""

import hashlib
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tfviz import data, image
from tfviz.errors import InputError

RANDOM = np.random.default_rng(0)


def pictures(count: int, height: int = 6, width: int = 8) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, height, width, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten cats, five dogs; the value of a picture's first pixel is its number."""
    for name, count in (("dog", 5), ("cat", 10)):
        for number in range(count):
            picture = np.full((6, 8, 3), 10 * number + (1 if name == "dog" else 0), np.uint8)
            image.write_png(tmp_path / "pets" / name / f"{number}.png", picture)
    return tmp_path / "pets"


def saved(tmp_path: Path, **arrays: np.ndarray) -> Path:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, **arrays)
    return path


# Folders


def test_a_folders_classes_are_its_subfolders_and_come_in_turn(folder: Path) -> None:
    whole = data.load(folder).whole()
    assert data.load(folder).class_names == ("cat", "dog")
    assert whole.labels is not None
    assert whole.labels.tolist() == [0, 1] * 5 + [0] * 5
    assert whole.names[:4] == ("cat/0.png", "dog/0.png", "cat/1.png", "dog/1.png")
    assert whole.images[:4, 0, 0, 0].tolist() == [0, 1, 10, 11]


def test_a_limit_takes_the_first_and_keeps_classes_balanced(folder: Path) -> None:
    limited = data.load(folder, limit=6).whole()
    np.testing.assert_array_equal(limited.images, data.load(folder).whole().images[:6])
    assert limited.labels is not None
    assert np.bincount(limited.labels).tolist() == [3, 3]


def test_batches_joined_are_the_whole_whatever_their_size(folder: Path) -> None:
    whole = data.load(folder).whole()
    for size in (1, 4, 15, 99):
        joined = data.join(list(data.load(folder).batches(size)))
        np.testing.assert_array_equal(joined.images, whole.images)
        assert joined.names == whole.names


def test_the_splits_of_a_folder_are_disjoint_and_complete_in_every_class(folder: Path) -> None:
    parts = {split: set(data.load(folder, split=split).whole().names) for split in data.SPLITS}
    assert sum(len(part) for part in parts.values()) == len(set.union(*parts.values())) == 15
    assert sorted(len(part) for part in parts.values()) == [2, 3, 10]
    assert all({name[:3] for name in part} == {"cat", "dog"} for part in parts.values())


def test_a_split_does_not_depend_on_the_seed_or_on_where_the_folder_is(folder: Path, tmp_path: Path) -> None:
    names = data.load(folder, split="test").whole().names
    assert data.load(folder, split="test", seed=5).whole().names == names
    moved = folder.rename(tmp_path / "moved")
    assert data.load(moved, split="test").whole().names == names


def test_subfolders_called_train_and_test_are_the_parts(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("test", 2)):
        for name in ("a", "b"):
            for number in range(count):
                image.write_png(tmp_path / part / name / f"{part}{number}.png", pictures(1)[0])
    assert data.load(tmp_path).class_names == ("a", "b")
    assert all("test" in name for name in data.load(tmp_path).whole().names)
    assert len(data.load(tmp_path, split="train")) == 8
    calibration = data.load(tmp_path, split="calibration", limit=4).whole()
    assert all("train" in name for name in calibration.names)
    assert {name.split("/")[1] for name in calibration.names} == {"a", "b"}


def test_a_flat_folder_and_one_picture_have_no_labels(folder: Path) -> None:
    flat = data.load(folder / "dog")
    assert (len(flat), flat.class_names, flat.whole().labels) == (5, (), None)
    one = data.load(folder / "dog" / "3.png").whole()
    assert one.names == ("3.png",)
    assert one.images[0, 0, 0].tolist() == [31, 31, 31]


def test_pictures_are_brought_to_size_and_channels_as_the_preprocess_would(folder: Path) -> None:
    from tfviz.preprocess import Preprocess

    original = image.read_image(folder / "cat" / "3.png")
    loaded = data.load(folder / "cat" / "3.png", size=(3, 5), channels=1).whole()
    np.testing.assert_array_equal(loaded.images, Preprocess(size=(3, 5), colour="grey").pixels(original))


def test_pictures_of_unequal_sizes_need_a_size(folder: Path) -> None:
    image.write_png(folder / "dog" / "0.png", pictures(1, 7, 7)[0])
    with pytest.raises(InputError, match=r"dog/0\.png is 7 x 7 .* 8 x 6; give the size"):
        data.load(folder).whole()
    assert data.load(folder, size=6).whole().images.shape == (15, 6, 6, 3)


def test_a_broken_picture_is_named_when_it_is_met_and_not_before(folder: Path) -> None:
    (folder / "cat" / "7.png").write_bytes(b"")
    opened = data.load(folder)
    with pytest.raises(InputError, match=r"cat/7\.png is empty"):
        opened.whole()
    assert len(data.load(folder, limit=4).whole()) == 4


def test_other_files_are_left_out(folder: Path) -> None:
    (folder / "cat" / "notes.txt").write_text("no picture")
    (folder / "cat" / ".hidden.png").write_bytes(b"")
    (folder / ".thumbnails").mkdir()
    assert len(data.load(folder)) == 15
    assert data.load(folder).class_names == ("cat", "dog")


def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path: Path) -> None:
    image.write_png(tmp_path / "one" / "a0.png", pictures(1, 64, 64)[0])
    content = (tmp_path / "one" / "a0.png").read_bytes()
    for number in range(1, 400):
        (tmp_path / "one" / f"a{number}.png").write_bytes(content)

    def peak(limit: int) -> int:
        stream = data.load(tmp_path, limit=limit).batches(8)
        next(stream)
        tracemalloc.start()
        for _ in stream:
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(400) < 2 * peak(40)


# .npz


def test_an_npz_is_read_as_it_was_saved(tmp_path: Path) -> None:
    x, y = pictures(7), np.array([0, 2, 1, 0, 2, 1, 1])
    path = saved(tmp_path, x=x, y=y)
    loaded = data.load(path)
    np.testing.assert_array_equal(loaded.whole().images, x)
    np.testing.assert_array_equal(loaded.whole().labels, y)
    assert loaded.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(data.join(list(loaded.batches(3))).images, x)


def test_class_names_may_stand_in_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, x=pictures(2), y=np.array([0, 1]), class_names=np.array(["sit", "stand", "lie"]))
    assert data.load(path).class_names == ("sit", "stand", "lie")


def test_parts_of_an_npz_serve_the_splits_and_calibration_is_drawn_from_all_of_train(tmp_path: Path) -> None:
    train, test = pictures(40), pictures(10)
    path = saved(tmp_path, x_train=train, y_train=np.arange(40) // 4, x_test=test, y_test=np.arange(10))
    np.testing.assert_array_equal(data.load(path).whole().images, test)
    np.testing.assert_array_equal(data.load(path, split="test", limit=3).whole().images, test[:3])
    np.testing.assert_array_equal(data.load(path, split="train").whole().images, train)
    drawn = data.load(path, split="calibration", limit=20).whole()
    rows = [int(name.removeprefix("x_train[").removesuffix("]")) for name in drawn.names]
    assert rows == sorted(set(rows))
    np.testing.assert_array_equal(drawn.images, train[rows])
    assert len({row // 4 for row in rows}) >= 8  # of ten classes, though the file is sorted by class
    assert data.load(path, split="calibration", limit=20).whole().names == drawn.names


def test_an_undivided_npz_is_split_disjointly_class_by_class(tmp_path: Path) -> None:
    path = saved(tmp_path, x=pictures(30), y=np.repeat([0, 1, 2], 10))
    parts = {split: data.load(path, split=split).whole() for split in data.SPLITS}
    names = [set(part.names) for part in parts.values()]
    assert len(set.union(*names)) == sum(map(len, names)) == 30
    assert {split: np.bincount(part.labels).tolist() for split, part in parts.items() if part.labels is not None} == {
        "train": [7, 7, 7],
        "test": [2, 2, 2],
        "calibration": [1, 1, 1],
    }


def test_int8_arrays_are_fed_as_they_are(tmp_path: Path) -> None:
    x = RANDOM.integers(-128, 128, (3, 49, 10, 1)).astype(np.int8)
    loaded = data.load(saved(tmp_path, x=x), size=64, channels=3).whole()
    assert loaded.images.dtype == np.int8
    np.testing.assert_array_equal(loaded.images, x)
    assert loaded.labels is None


def test_grey_arrays_get_a_channel_axis(tmp_path: Path) -> None:
    x = pictures(3)[..., 0]
    path = saved(tmp_path, x=x)
    np.testing.assert_array_equal(data.load(path).whole().images, x[..., None])
    np.testing.assert_array_equal(data.load(path, channels=3).whole().images, np.stack([x] * 3, axis=-1))


def test_one_hot_and_column_labels_are_class_indices(tmp_path: Path) -> None:
    for y in (np.eye(3)[[2, 0, 1]], np.array([[2], [0], [1]])):
        labels = data.load(saved(tmp_path, x=pictures(3), y=y)).whole().labels
        assert labels is not None
        assert labels.tolist() == [2, 0, 1]


def test_rows_are_read_one_by_one_so_a_large_file_need_not_fit(tmp_path: Path) -> None:
    path = saved(tmp_path, x=np.zeros((4000, 64, 64, 1), np.uint8))
    tracemalloc.start()
    count = sum(len(batch) for batch in data.load(path).batches(16))
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4000
    assert top < 4_000_000  # the array has 16.4 million bytes


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"z": np.zeros(3)}, "holds z; with pictures it needs x or x_test"),
        ({"x": np.zeros((0, 4, 4), np.uint8)}, "holds no pictures"),
        ({"x": np.zeros((2, 4, 4))}, "is float64; .* scale floats"),
        ({"x": np.full((2, 4, 4), np.nan, np.float32)}, "is float32"),
        ({"x": np.zeros((2, 4, 4), bool)}, "is bool"),
        ({"x": np.array([["a"]])}, "is <U1"),
        ({"x": np.zeros((2, 4), np.uint8)}, r"shape \(2, 4\)"),
        ({"x": np.zeros((2, 4, 4, 2), np.uint8)}, r"\(2, 4, 4, 2\)"),
        ({"x": np.full((2, 4, 4), 300)}, "outside 0..255"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.zeros(3, int)}, "2 class indices"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.array([0, -1])}, "not class indices"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.array([0, np.nan])}, "not class indices"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.array(["a", "b"])}, "2 class indices"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.array([0, 4]), "class_names": np.array(["a"])}, "at least 5"),
        ({"x": np.asfortranarray(np.zeros((2, 4, 4), np.uint8))}, "Fortran"),
        ({"x": np.array([None, 1], dtype=object)}, "is object"),
    ],
)
def test_an_odd_npz_is_refused_in_one_sentence(tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str) -> None:
    path = saved(tmp_path, **arrays)
    with pytest.raises(InputError, match=sentence) as caught:
        data.load(path).whole()
    assert "data.npz" in str(caught.value)


def test_a_file_that_is_no_npz_or_is_damaged_says_so(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    for content in (b"", b"not a zip file"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"not an \.npz"):
            data.load(path)
    good = saved(tmp_path, x=pictures(20, 32, 32)).read_bytes()
    middle = len(good) // 2
    path.write_bytes(good[:middle] + bytes(200) + good[middle + 200 :])
    with pytest.raises(InputError, match=r"damaged|not an \.npz"):
        data.load(path).whole()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY")
    with pytest.raises(InputError, match=r"not an \.npz"):
        data.load(path)


def test_real_photographs_load(shared_data: Path) -> None:
    path = shared_data / "cifar10_subset.npz"
    with np.load(path) as archive:
        np.testing.assert_array_equal(data.load(path, split="test", limit=50).whole().images, archive["x_test"][:50])
        assert len(data.load(path, split="test")) == len(archive["x_test"])
        labels = data.load(path, split="train").whole().labels
        np.testing.assert_array_equal(labels, archive["y_train"].reshape(-1))


# Keras


def test_keras_data_is_split_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    x, y = pictures(12, 32, 32), np.arange(12)[:, None] % 10
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: ((x[:8], y[:8]), (x[8:], y[8:])))
    test = data.load("keras:cifar10").whole()
    np.testing.assert_array_equal(test.images, x[8:])
    np.testing.assert_array_equal(test.labels, y[8:, 0])
    assert data.load("keras:cifar10").class_names[5] == "dog"
    calibration = data.load("keras:cifar10", split="calibration").whole()
    np.testing.assert_array_equal(calibration.images, x[:8])


def test_keras_without_a_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    def offline() -> None:
        raise OSError("URL fetch failure on https://example.org:\n None -- [Errno -3] name resolution")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", offline)
    with pytest.raises(InputError, match="could not fetch mnist") as caught:
        data.load("keras:mnist")
    assert "\n" not in str(caught.value)


def test_every_keras_data_set_has_its_number_of_class_names() -> None:
    from tfviz.data._keras import CLASS_NAMES

    assert {name: len(set(names.split())) for name, names in CLASS_NAMES.items()} == {
        "cifar10": 10,
        "fashion_mnist": 10,
        "mnist": 10,
        "cifar100": 100,
    }


# What is asked for wrongly


@pytest.mark.parametrize(
    ("spec", "options", "sentence"),
    [
        ("dog-poses", {"split": "tset"}, "no split 'tset'; there are train, test, calibration"),
        ("dog-poses", {"limit": 0}, "limit of 0"),
        ("dog-poses", {"limit": -3}, "limit of -3"),
        ("dog-poses", {"size": 0}, "at least 1 x 1"),
        ("dog-poses", {"size": 8}, "at least 16 x 16"),
        ("dog-poses", {"channels": 4}, "not 4"),
        ("dog-poses", {"seed": -1}, "A seed is 0 or more"),
        ("dog-poses", {"resize": "bicubic"}, "bilinear"),
        ("dog-poses", {"fit": "squash"}, "stretch, crop"),
        ("keras:imagenet", {}, "keras:cifar10"),
        ("dogposes", {}, "no data 'dogposes'; expected dog-poses"),
    ],
)
def test_a_wrong_request_is_one_sentence(spec: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        data.load(spec, **options)  # type: ignore[arg-type]


def test_a_missing_path_names_near_ones(folder: Path) -> None:
    with pytest.raises(InputError, match="Near names there: pets"):
        data.load(folder.parent / "petz")


def test_empty_folders_and_splits_say_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no pictures"):
        data.load(tmp_path / "empty")
    image.write_png(tmp_path / "one.png", pictures(1)[0])
    with pytest.raises(InputError, match="one picture and has no train split"):
        data.load(tmp_path / "one.png", split="train")
    with pytest.raises(InputError, match="too few for a calibration split"):
        data.load(saved(tmp_path, x=pictures(1)), split="calibration")


def test_batch_sizes_below_one_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="batch_size"):
        data.load(folder).batches(0)


# Identity


def test_the_identity_is_of_the_pixels_and_not_of_the_place(folder: Path, tmp_path: Path) -> None:
    identity = data.load(folder).identity
    assert len(identity) == 16
    assert data.load(folder.rename(tmp_path / "moved")).identity == identity
    whole = data.load(tmp_path / "moved").whole()
    assert whole.labels is not None
    path = saved(tmp_path, x=whole.images, y=whole.labels, class_names=np.array(["cat", "dog"]))
    assert data.load(path).identity == identity
    changed = whole.images.copy()
    changed[9, 0, 0, 0] ^= 1
    path = saved(tmp_path, x=changed, y=whole.labels, class_names=np.array(["cat", "dog"]))
    assert data.load(path).identity != identity


def test_the_identity_is_a_plain_sha256(tmp_path: Path) -> None:
    x = pictures(3)
    digest = hashlib.sha256(b"")
    digest.update(b"uint8(6, 8, 3)" + x.tobytes())
    assert data.load(saved(tmp_path, x=x)).identity == digest.hexdigest()[:16]
