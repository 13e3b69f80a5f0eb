"""Training: the same seed, the same model; what it writes; what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from tfviz import data, models, train, zoo
from tfviz.errors import InputError
from tfviz.preprocess import Preprocess, Sidecar, read_sidecar

SMALL = {"limit": 96, "test_limit": 30, "size": 32, "epochs": 2}


@pytest.fixture(scope="module")
def result() -> train.TrainingResult:
    return train.train("dog-poses", **SMALL)  # type: ignore[arg-type]


def stripes(tmp_path: Path, count: int = 120) -> Path:
    """A data set that can be learned in seconds: horizontal and vertical stripes."""
    random = np.random.default_rng(0)
    y = np.arange(count) % 2
    wave = 127 + 120 * np.sin(np.arange(16)[:, None] * 1.5 + random.random(count) * 6).T[:, :, None]
    x = np.where(y[:, None, None] == 0, np.repeat(wave, 16, axis=2), np.repeat(wave, 16, axis=2).transpose(0, 2, 1))
    path = tmp_path / "stripes.npz"
    np.savez(path, x=x.astype(np.uint8), y=y, class_names=np.array(["horizontal", "vertical"]))
    return path


def test_the_same_seed_gives_the_same_weights_bit_by_bit(result: train.TrainingResult) -> None:
    again = train.train("dog-poses", **SMALL)  # type: ignore[arg-type]
    for a, b in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.losses == result.losses
    np.testing.assert_array_equal(again.confusion, result.confusion)
    other = train.train("dog-poses", **SMALL, seed=1)  # type: ignore[arg-type]
    assert other.losses != result.losses


def test_something_easy_is_learned(tmp_path: Path) -> None:
    path = stripes(tmp_path)
    learned = train.train(str(path), size=16, channels=1, epochs=12, batch_size=8)
    assert learned.class_names == ("horizontal", "vertical")
    assert learned.accuracy == 1.0
    assert learned.losses[-1] < 0.3 < learned.losses[0] + 0.1
    assert learned.confusion.tolist() == [[12, 0], [0, 12]]
    assert (learned.train_images, learned.test_images) == (84, 24)


def test_the_confusion_counts_every_test_picture_in_its_row(result: train.TrainingResult) -> None:
    judged = data.load("dog-poses", split="test", limit=30, size=32).whole()
    logits = result.model.predict(result.preprocess(judged.images), verbose=0)
    expected = np.zeros((3, 3), int)
    for label, guess in zip(np.asarray(judged.labels), logits.argmax(axis=1), strict=True):
        expected[label, guess] += 1
    np.testing.assert_array_equal(result.confusion, expected)
    assert result.accuracy == np.trace(expected) / 30


def test_the_model_is_the_plain_cnn_without_batch_normalisation(result: train.TrainingResult) -> None:
    assert [layer.name for layer in result.model.layers] == [layer.name for layer in zoo.dog_cnn().layers]


def test_model_and_sidecar_come_back_as_they_were(result: train.TrainingResult, tmp_path: Path) -> None:
    model_path, sidecar_path = result.save(tmp_path / "new" / "model.keras")
    assert sorted(path.name for path in model_path.parent.iterdir()) == ["model.keras", "model.keras.json"]
    assert sidecar_path.name == "model.keras.json"
    assert read_sidecar(model_path) == Sidecar(Preprocess(size=(32, 32), scale=1 / 255), ("sit", "stand", "lie"))
    pixels = data.load("dog-poses", limit=3, size=32).whole().images
    x = result.preprocess(pixels)
    np.testing.assert_array_equal(
        models.load_model(str(model_path)).predict(x, verbose=0), result.model.predict(x, verbose=0)
    )


def test_a_save_that_fails_leaves_nothing_behind(result: train.TrainingResult, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder is needed")
    with pytest.raises(InputError, match="Cannot write"):
        result.save(tmp_path / "taken" / "model.keras")
    with pytest.raises(InputError, match=r"written as \.keras"):
        result.save(tmp_path / "model.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_progress_counts_every_step_of_every_epoch(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    train.train(str(stripes(tmp_path)), size=16, epochs=2, batch_size=50, progress=lambda *step: seen.append(step))
    assert [(done, total) for done, total, _ in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert seen[-1][2].startswith("epoch 2, loss ")


def test_data_larger_than_a_block_is_streamed_and_every_picture_is_seen_once_an_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "BLOCK_BYTES", 30 * 256)
    x = np.arange(100, dtype=np.uint8)[:, None, None] * np.ones((1, 16, 16), np.uint8)
    np.savez(tmp_path / "numbers.npz", x=x, y=np.arange(100) % 2)
    source = data.load(tmp_path / "numbers.npz")
    stream = train._minibatches(source, Preprocess(colour="grey"), 10, np.random.default_rng(0))
    for _ in range(2):
        epoch = [next(stream) for _ in range(10)]
        numbers = np.concatenate([images[:, 0, 0, 0] for images, _ in epoch]).astype(int)
        assert sorted(numbers.tolist()) == list(range(100))
        assert numbers.tolist() != list(range(100))
        np.testing.assert_array_equal(np.concatenate([labels for _, labels in epoch]), numbers % 2)


def test_a_users_own_model_is_trained_in_place(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    before = model.get_weights()
    trained = train.train(str(stripes(tmp_path)), size=16, channels=1, model=model, epochs=1)
    assert trained.model is model
    assert not np.array_equal(before[0], model.get_weights()[0])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"epochs": 0}, "epochs is at least"),
        ({"batch_size": 0}, "batch_size is at least"),
        ({"limit": 0}, "limit of 0"),
    ],
)
def test_numbers_below_one_are_refused(options: dict[str, int], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        train.train("dog-poses", **options)  # type: ignore[arg-type]


def test_data_that_cannot_be_learned_from_is_refused(tmp_path: Path) -> None:
    x = np.zeros((30, 16, 16), np.uint8)
    np.savez(tmp_path / "x.npz", x=x)
    with pytest.raises(InputError, match="0 classes; training needs labels"):
        train.train(str(tmp_path / "x.npz"))
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(30) % 2)
    with pytest.raises(InputError, match="other pictures of the same classes"):
        train.train(str(tmp_path / "x.npz"), test="dog-poses", size=16)
    np.savez(tmp_path / "x.npz", x=x.astype(np.int8), y=np.arange(30) % 2)
    with pytest.raises(InputError, match="already quantised"):
        train.train(str(tmp_path / "x.npz"), size=16)
