"""What `tfviz.callbacks` writes during `fit`, read back from the event file, and what notebooks are given to show."""

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import report_factory
import tensorflow as tf

import tfviz
from tfviz import plot, store
from tfviz.callbacks import TensorBoardPictures, mosaic

IMAGES = np.random.default_rng(0).uniform(0, 1, (3, 16, 16, 3)).astype(np.float32)


def fitted(log_dir: Path, *, epochs: int = 2, **options: object) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, name="logits"),
        ]
    )
    model.compile("sgd", "mse")
    model.fit(
        IMAGES, np.eye(2)[[0, 1, 0]], epochs=epochs, verbose=0,
        callbacks=[TensorBoardPictures(log_dir, IMAGES[:2], **options)],
    )  # fmt: skip
    return model


def written(log_dir: Path) -> dict[tuple[str, int], list[np.ndarray]]:
    """Pictures (H, W, 3) RGB by tag and step."""
    found = {}
    for path in (log_dir / "pictures").glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                width, height, *blobs = tf.make_ndarray(value.tensor)
                pictures = [cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for blob in blobs]
                assert value.metadata.plugin_data.plugin_name == "images"
                assert all(one.shape == (int(height), int(width), 3) for one in pictures)
                found[value.tag, event.step] = pictures
    return found


def test_the_last_epochs_pictures_are_those_of_the_fitted_model(tmp_path: Path) -> None:
    model = fitted(tmp_path, maps=["conv"], methods=["grad-cam", "saliency"], target=1)
    found = written(tmp_path)
    assert set(found) == {(tag, step) for tag in ("maps/conv", "grad-cam", "saliency") for step in (0, 1)}
    maps = tfviz.feature_maps(model, IMAGES[:2], ["conv"])["conv"]
    large = np.rint(255 * IMAGES[1]).astype(np.uint8).repeat(12, 0).repeat(12, 1)
    over = tfviz.overlay(large, tfviz.grad_cam(model, IMAGES[:2], 1)[1:])[0]
    assert np.array_equal(found["maps/conv", 1][0][..., :1], mosaic(maps[0]))
    assert np.array_equal(found["grad-cam", 1][1], over)
    assert not np.array_equal(found["maps/conv", 0][0], found["maps/conv", 1][0])


def test_learning_is_not_changed(tmp_path: Path) -> None:
    drawn = fitted(tmp_path, maps=["conv"])
    plain = fitted(tmp_path / "never", methods=["gradient"], every=5)
    assert {step for _, step in written(tmp_path / "never")} == {0}
    for one, other in zip(drawn.get_weights(), plain.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_tensorboard_finds_the_pictures(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    fitted(tmp_path, epochs=1, maps=["conv"])
    reader = accumulator.EventAccumulator(str(tmp_path / "pictures"))
    reader.Reload()
    assert reader.Tags()["tensors"] == ["maps/conv", "grad-cam"]
    assert reader.SummaryMetadata("grad-cam").plugin_data.plugin_name == "images"


def test_a_mosaic_holds_each_map_at_its_place() -> None:
    maps = np.zeros((2, 2, 4), np.float32)
    maps[..., 3] = 1
    maps[0, 0, 1] = 0.5
    made = mosaic(maps)[..., 0]
    side = len(made) // 2
    assert made.shape == (192, 192)
    assert made[side + 5, side + 5] == 255
    assert made[5, side + 5] == 128
    assert made[5, 5] == 0
    assert mosaic(np.float32([-1, 0, 3]))[5, 5, 0] == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"methods": ["rise"]}, "rise sees scores alone"),
        ({"methods": []}, "neither maps nor methods"),
        ({"methods": ["grad-cat"]}, "near names: grad-cam"),
        ({"every": 0}, "every is at least 1"),
    ],
)
def test_what_cannot_be_drawn_is_said(tmp_path: Path, options, sentence) -> None:
    with pytest.raises(tfviz.InputError, match=sentence):
        TensorBoardPictures(tmp_path, IMAGES, **options)


def test_notebooks_show_figures_comparisons_and_folders_of_maps(tmp_path: Path) -> None:
    figure = plot.feature_map_grid(IMAGES[0], title="three maps")
    shown = cv2.imdecode(np.frombuffer(figure._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape[1] == round(100 * figure.get_figwidth())
    differs = report_factory.comparison(faulty_op=1)._repr_html_()
    assert differs.count("<tr>") == 1 + 4
    assert "<strong style='color:#b3261e'>FAIL</strong>: 2 of 4 layers EXACT" in differs
    assert "<td style='color:#b3261e'>DIVERGED</td>" in differs
    store.begin(tmp_path, {"format": 1, "method": "grad-cam", "images": 9, "shard_images": 4})
    labels = np.array([0, 1])
    store.write_shard(tmp_path, 0, store.Shard(IMAGES[:2, ..., 0], ("<a>", "b"), labels, labels).to_bytes())
    html = tfviz.open_maps(tmp_path)._repr_html_()
    assert "2 maps by grad-cam of 9: unfinished" in html
    assert html.count("<img src='data:image/png;base64,") == 2
    assert "&lt;a&gt;" in html
