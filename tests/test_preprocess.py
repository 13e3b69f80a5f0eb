"""What a model expects of pixels, and the sidecar that records it."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from tfviz import image
from tfviz.errors import InputError
from tfviz.preprocess import Preprocess, Sidecar, default_preprocess, read_sidecar, sidecar_for, write_sidecar

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 12, 16, 3), np.uint8)
IMAGENET = Preprocess(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def test_nothing_recorded_means_pixels_as_they_are() -> None:
    x = Preprocess()(PICTURES)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, PICTURES)


def test_the_arithmetic_is_the_formula_channel_by_channel() -> None:
    expected = (PICTURES / 255 - np.array(IMAGENET.mean)) / np.array(IMAGENET.std)
    np.testing.assert_allclose(IMAGENET(PICTURES), expected, rtol=1e-5, atol=1e-6)


def test_one_by_one_gives_the_same_bits_as_all_at_once() -> None:
    p = Preprocess(size=(7, 5), scale=1 / 255, mean=(0.3,), std=(0.2,))
    np.testing.assert_array_equal(p(PICTURES), np.concatenate([p(PICTURES[:1]), p(PICTURES[1])]))


def test_bgr_turns_the_channels_round() -> None:
    np.testing.assert_array_equal(Preprocess(colour="bgr")(PICTURES), PICTURES[..., ::-1])


def test_grey_is_bt_601_luma() -> None:
    expected = PICTURES @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(Preprocess(colour="grey")(PICTURES)[..., 0], expected, atol=0.51)


def test_a_grey_picture_is_the_same_to_a_grey_model_whether_it_came_as_grey_or_rgb() -> None:
    grey = PICTURES[..., :1]
    p = Preprocess(colour="grey")
    np.testing.assert_array_equal(p(grey), grey)
    np.testing.assert_array_equal(p(np.repeat(grey, 3, axis=3)), grey)


def test_resized_pixels_stay_whole_numbers() -> None:
    pixels = Preprocess(size=(6, 8))(PICTURES)
    np.testing.assert_array_equal(
        pixels, np.rint(PICTURES.reshape(2, 6, 2, 8, 2, 3).mean(axis=(2, 4), dtype=np.float32))
    )


def test_cropping_takes_the_middle_and_does_not_stretch() -> None:
    np.testing.assert_array_equal(Preprocess(size=(12, 12), fit="crop")(PICTURES), PICTURES[:, :, 2:14])


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_display_is_the_inverse(colour: str) -> None:
    p = Preprocess(colour=colour, scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))  # type: ignore[arg-type]
    np.testing.assert_array_equal(p.display(p(PICTURES)), PICTURES)
    np.testing.assert_array_equal(p.display(p(PICTURES)[0]), PICTURES[:1])


def test_display_clips_what_no_pixel_can_be() -> None:
    assert Preprocess(scale=1 / 255, colour="grey").display(np.array([[[[-3.0], [9.0]]]]))[0, 0, :, 0].tolist() == [
        0,
        255,
    ]


@pytest.mark.parametrize(
    "images", [np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4, 3), np.int8), np.zeros((1, 4, 4, 2), np.uint8)]
)
def test_only_uint8_pictures_are_preprocessed(images: np.ndarray) -> None:
    with pytest.raises(InputError, match="Pictures are"):
        Preprocess()(images)


def test_sidecars_come_back_as_they_were(tmp_path: Path) -> None:
    sidecar = Sidecar(
        Preprocess(size=(32, 48), resize="bilinear", fit="crop", colour="bgr", scale=1 / 127.5, mean=(1.0,)), ("a", "b")
    )
    path = write_sidecar(tmp_path / "model.keras", sidecar)
    assert path.name == "model.keras.json"
    assert read_sidecar(tmp_path / "model.keras") == sidecar


def test_a_sidecar_written_by_hand_needs_only_what_differs(tmp_path: Path) -> None:
    (tmp_path / "m.h5.json").write_text('{"preprocess": {"scale": 0.5, "mean": 3}}')
    assert read_sidecar(tmp_path / "m.h5") == Sidecar(Preprocess(scale=0.5, mean=(3,)))


def test_no_sidecar_is_none_and_the_default_is_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_sidecar(tmp_path / "m.keras") is None
    with caplog.at_level(logging.WARNING):
        sidecar = sidecar_for(tmp_path / "m.keras", (None, 20, 30, 1))
    assert sidecar == Sidecar(Preprocess(size=(20, 30), colour="grey"))
    assert "0..255" in caplog.text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", "expected a JSON object"),
        ('{"format": 2}', "format is 2"),
        ('{"class_names": "ab"}', "list of strings"),
        ('{"preprocess": 3}', "is a JSON object"),
        ('{"preprocess": {"scael": 1}}', "scael"),
        ('{"preprocess": {"scale": 0}}', "not 0"),
        ('{"preprocess": {"scale": "x"}}', "finite numbers"),
        ('{"preprocess": {"scale": NaN}}', "finite numbers"),
        ('{"preprocess": {"mean": [1, 2]}}', "1 or 3 numbers"),
        ('{"preprocess": {"std": "ab"}}', "finite numbers"),
        ('{"preprocess": {"size": 3}}', "height, width"),
        ('{"preprocess": {"size": [0, 3]}}', "at least 1 x 1"),
        ('{"preprocess": {"colour": "cmyk"}}', "rgb, bgr, grey"),
        ('{"preprocess": {"resize": "best"}}', "bilinear"),
    ],
)
def test_a_broken_sidecar_is_a_sentence_that_names_the_file(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "m.keras.json").write_text(text)
    with pytest.raises(InputError, match=sentence) as caught:
        read_sidecar(tmp_path / "m.keras")
    assert "m.keras.json" in str(caught.value)


def test_a_sidecar_of_another_model_is_refused(tmp_path: Path) -> None:
    write_sidecar(tmp_path / "m.keras", Sidecar(Preprocess(size=(8, 8))))
    assert sidecar_for(tmp_path / "m.keras", (None, 8, 8, 3)).preprocess.size == (8, 8)
    for shape in ((None, 8, 8, 1), (None, 9, 8, 3), (None, 640)):
        with pytest.raises(InputError, match="mend or delete"):
            sidecar_for(tmp_path / "m.keras", shape)


def test_a_sidecar_without_a_size_takes_the_models(tmp_path: Path) -> None:
    write_sidecar(tmp_path / "m.keras", Sidecar(Preprocess(scale=0.5)))
    assert sidecar_for(tmp_path / "m.keras", (None, 8, 9, 3)).preprocess == Preprocess(scale=0.5, size=(8, 9))


def test_models_of_other_things_than_pictures_have_no_default() -> None:
    with pytest.raises(InputError, match="takes"):
        default_preprocess((None, 640))


def test_the_file_is_readable_by_a_person(tmp_path: Path) -> None:
    written = json.loads(write_sidecar(tmp_path / "m.keras", Sidecar(IMAGENET, ("cat",))).read_text())
    assert written["preprocess"]["formula"].startswith("x = (scale * pixel - mean) / std")
    assert written["preprocess"]["mean"] == [0.485, 0.456, 0.406]
    assert written["class_names"] == ["cat"]


def test_door_and_preprocess_agree_on_resized_pixels() -> None:
    by_door = image.resize_pixels(PICTURES, (5, 7))
    np.testing.assert_array_equal(Preprocess(size=(5, 7))(PICTURES), Preprocess(size=(5, 7))(by_door))
