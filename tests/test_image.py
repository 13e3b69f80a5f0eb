"""Reading, resizing, normalising, colouring, laying over."""

import contextlib
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfviz import image
from tfviz.errors import EmptyMapWarning, InputError

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def encoded(suffix: str, pixels: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, list(options))[1].tobytes()


def written(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def with_exif_orientation(jpeg: bytes, orientation: int) -> bytes:
    tiff = b"II*\x00" + struct.pack("<IH", 8, 1) + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0) + b"\0" * 4
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def test_written_pictures_are_read_back_in_rgb_order(tmp_path: Path) -> None:
    image.write_png(tmp_path / "a.png", RGB)
    np.testing.assert_array_equal(image.read_image(tmp_path / "a.png"), RGB)


def test_grey_pictures_become_rgb(tmp_path: Path) -> None:
    image.write_png(tmp_path / "a.png", RGB[..., 0])
    np.testing.assert_array_equal(image.read_image(tmp_path / "a.png"), np.repeat(RGB[..., :1], 3, axis=2))


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., 0] = 200  # blue in OpenCV's order
    pixels[:2, :, 3] = 255
    pixels[3, :, 3] = 128
    read = image.read_image(written(tmp_path, "a.png", encoded(".png", pixels)))
    assert read[0, 0].tolist() == [0, 0, 200]
    assert read[2, 0].tolist() == [255, 255, 255]
    assert read[3, 0].tolist() == [127, 127, 227]


def test_sixteen_bits_are_rounded_to_eight_with_white_staying_white(tmp_path: Path) -> None:
    pixels = np.full((2, 3), 65535, np.uint16)
    pixels[1] = 257 * 100 + 128
    read = image.read_image(written(tmp_path, "a.png", encoded(".png", pixels)))
    assert read[0, 0, 0] == 255
    assert read[1, 0, 0] == 100


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_the_cameras_rotation_is_applied(tmp_path: Path, orientation: int, turns: int) -> None:
    flat = np.zeros((32, 48, 3), np.uint8)
    flat[:16, :16] = 255
    jpeg = with_exif_orientation(encoded(".jpg", flat, cv2.IMWRITE_JPEG_QUALITY, 100), orientation)
    read = image.read_image(written(tmp_path, "a.jpg", jpeg))
    np.testing.assert_allclose(read, np.rot90(flat, turns), atol=6)


def test_cmyk_jpegs_are_converted(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image", reason="Pillow writes the CMYK file; it comes with matplotlib")
    pil.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red = image.read_image(tmp_path / "a.jpg")[8, 8].astype(int)
    assert red[0] > 200
    assert red[1] < 60
    assert red[2] < 60


def test_animations_are_refused(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image", reason="Pillow writes the animation; it comes with matplotlib")
    frames = [pil.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.webp", "a.tiff", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(InputError, match="animated or has several pages"):
            image.read_image(tmp_path / name)


def test_one_frame_gifs_are_pictures(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image", reason="Pillow writes the GIF; it comes with matplotlib")
    pil.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "a.gif")
    assert image.read_image(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.png", b"", "is empty"),
        ("a.png", b"no picture at all", "is not an image"),
        ("a.png", encoded(".png", RGB)[:-40], "cut short"),
        ("a.jpg", encoded(".jpg", RGB)[:-40], "cut short"),
        ("a.bmp", encoded(".bmp", RGB)[:30], "is not an image|cannot be decoded"),
        ("a.png", encoded(".png", RGB[:1, :1]), "1 x 1 pixels"),
        ("a.tiff", encoded(".tiff", RGB.astype(np.float32)), "float32 pixels"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        image.read_image(written(tmp_path, name, data))
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_png_with_a_flipped_byte_is_refused_or_read_but_never_crashes(tmp_path: Path) -> None:
    good = encoded(".png", RGB)
    for position in range(8, len(good), 97):
        bad = good[:position] + bytes([good[position] ^ 0x40]) + good[position + 1 :]
        with contextlib.suppress(InputError):  # any other exception fails the test
            assert image.read_image(written(tmp_path, "a.png", bad)).dtype == np.uint8


def test_a_missing_picture_names_the_near_ones(tmp_path: Path) -> None:
    image.write_png(tmp_path / "rex.png", RGB)
    with pytest.raises(InputError, match=r"Near names there: rex\.png"):
        image.read_image(tmp_path / "rexx.png")
    with pytest.raises(InputError, match="no folder"):
        image.read_image(tmp_path / "nowhere" / "rex.png")


def test_only_pictures_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="uint8"):
        image.write_png(tmp_path / "a.png", RGB.astype(np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("source", "target"), [((7, 9), (20, 31)), ((64, 64), (32, 32)), ((1, 5), (4, 4)), ((8, 8), (64, 64))]
)
def test_bilinear_resize_equals_tensorflows(source: tuple[int, int], target: tuple[int, int]) -> None:
    import tensorflow as tf

    maps = np.random.default_rng(1).random((3, *source), np.float32)
    expected = tf.image.resize(maps[..., None], target).numpy()[..., 0]
    np.testing.assert_allclose(image.resize(maps, target), expected, atol=5e-7)


def test_maps_and_pictures_resize_alike_whatever_their_number() -> None:
    values = np.random.default_rng(2).random((2, 5, 6, 11), np.float32)
    for method in ("bilinear", "area", "nearest"):
        for target in ((9, 12), (3, 2)):
            together = image.resize(values, target, method=method)
            for channel in range(11):
                np.testing.assert_array_equal(
                    together[..., channel], image.resize(values[..., channel], target, method=method)
                )
    np.testing.assert_array_equal(image.resize(values[0, :, :, 0], 9), image.resize(values[:1, :, :, 0], 9)[0])


def test_area_resize_is_the_mean_of_what_it_covers() -> None:
    values = np.random.default_rng(3).random((2, 12, 9), np.float32)
    np.testing.assert_allclose(
        image.resize(values, (4, 3), method="area"), values.reshape(2, 4, 3, 3, 3).mean(axis=(2, 4)), atol=1e-6
    )


@pytest.mark.parametrize("shape", [(4,), (0, 4, 4), (2, 0, 4), (1, 2, 3, 4, 5)])
def test_what_is_no_map_cannot_be_resized_or_normalised(shape: tuple[int, ...]) -> None:
    if shape != (0, 4, 4):
        with pytest.raises(InputError, match="takes"):
            image.normalize(np.zeros(shape))
    with pytest.raises(InputError, match="takes"):
        image.resize(np.zeros(shape), 4)


def test_resize_names_what_it_does_not_know() -> None:
    with pytest.raises(InputError, match=r"bicubic.*bilinear"):
        image.resize(np.zeros((2, 2)), 4, method="bicubic")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 1 x 1"):
        image.resize(np.zeros((2, 2)), 0)


@given(hnp.arrays(np.float32, (2, 3, 4), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
@pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
def test_normalised_maps_span_zero_to_one(maps: np.ndarray) -> None:
    scaled = image.normalize(maps)
    for before, after in zip(maps, scaled, strict=True):
        if before.min() == before.max():
            assert not after.any()
        else:
            assert (after.min(), after.max()) == (0, 1)


@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(-100, 100, width=32)))
@pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
def test_signed_maps_keep_their_centre_and_turn_with_their_sign(signed: np.ndarray) -> None:
    scaled = image.normalize(signed, centre=0.0)
    assert np.all(scaled[signed == 0] == 0.5)
    np.testing.assert_allclose(image.normalize(-signed, centre=0.0), 1 - scaled, atol=1e-6)


def test_channels_are_normalised_by_themselves() -> None:
    maps = np.random.default_rng(4).random((2, 5, 6, 3), np.float32)
    np.testing.assert_array_equal(image.normalize(maps)[..., 1], image.normalize(maps[..., 1]))


def test_an_empty_map_is_zero_and_warns_with_how_many_there_are() -> None:
    maps = np.stack([np.zeros((3, 3)), np.eye(3), np.full((3, 3), 7.0)])
    with pytest.warns(EmptyMapWarning, match="2 of 3 maps"):
        scaled = image.normalize(maps)
    assert not scaled[0].any()
    assert not scaled[2].any()
    np.testing.assert_array_equal(scaled[1], np.eye(3))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_maps_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(InputError, match="NaN or infinity"):
        image.normalize(np.array([[1.0, bad]]))


def test_jet_runs_from_blue_to_red() -> None:
    low, high = image.colour_map(np.array([0.0, 1.0])).astype(int)
    assert low[2] > 100 > low[0]
    assert high[0] > 100 > high[2]


def test_matplotlibs_tables_are_known_too_and_an_unknown_one_names_near_ones() -> None:
    assert image.colour_map(np.array([0.5]), "gray").tolist() == [[128, 128, 128]]
    assert image.colour_map(np.array(0.0), "RdBu_r").tolist() == [5, 48, 97]
    with pytest.raises(InputError, match="viridis"):
        image.colour_map(np.zeros(1), "virridis")


def test_an_overlay_is_the_stated_blend() -> None:
    heat = np.array([[[0.0, 1.0], [-5.0, 0.5]]], np.float32)
    picture = np.full((1, 2, 2, 3), 100, np.uint8)
    laid = image.overlay(picture, heat, alpha=0.25)
    colours = image.colour_map(np.array([[0.0, 1.0], [0.0, 0.5]])).astype(float)
    np.testing.assert_allclose(laid[0], 0.75 * 100 + 0.25 * colours, atol=0.51)
    np.testing.assert_array_equal(image.overlay(picture, heat, alpha=0.0), picture)


def test_an_overlays_heat_goes_through_relu_then_resize_then_normalise() -> None:
    heat = np.array([[[-100.0, 4.0]]], np.float32)
    laid = image.overlay(np.zeros((1, 1, 4, 3), np.uint8), heat, alpha=1.0, colour_map="gray")
    np.testing.assert_array_equal(laid[0, 0, :, 0], [0, 64, 191, 255])


def test_an_empty_heat_map_leaves_the_picture_as_it_is_and_warns() -> None:
    picture = RGB[None]
    with pytest.warns(EmptyMapWarning):
        np.testing.assert_array_equal(image.overlay(picture, -np.ones((1, 4, 4))), picture)


def test_overlays_refuse_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="uint8 RGB"):
        image.overlay(np.zeros((1, 4, 4, 3)), np.eye(4))
    with pytest.raises(InputError, match="1 pictures need heat maps"):
        image.overlay(RGB, np.ones((2, 4, 4)))
    with pytest.raises(InputError, match="alpha"):
        image.overlay(RGB, np.eye(4), alpha=2)
