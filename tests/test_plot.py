"""Figures: what is drawn is what was given, on the stated scale, and what is empty is marked."""

import subprocess
import sys

import numpy as np
import pytest

from tfviz import plot
from tfviz.errors import InputError

MAPS = np.random.default_rng(0).uniform(0.1, 2, (6, 9, 8)).astype(np.float32)


def pictures(figure):
    return [axes.images[0] for axes in figure.axes if axes.images]


def texts(figure):
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    return found + [axes.get_title() for axes in figure.axes] + [text.get_text() for text in figure.texts]


def places(figure):
    """Rows and columns of the grid."""
    spec = figure.axes[0].get_subplotspec().get_gridspec()
    return spec.nrows, spec.ncols


def test_eight_maps_are_two_rows_of_four_on_one_scale():
    figure = plot.feature_map_grid(MAPS, title="conv1")
    assert places(figure) == (2, 4)
    drawn = pictures(figure)[:8]
    for channel, picture in enumerate(drawn):
        np.testing.assert_array_equal(picture.get_array(), MAPS[..., channel])
        assert picture.get_clim() == (0.0, float(MAPS.max()))
    assert "conv1" in figure.get_suptitle()
    assert [axes.get_title() for axes in figure.axes[:8]] == list(map(str, range(8)))


def test_signed_maps_have_zero_in_the_middle_of_their_scale():
    for picture in pictures(plot.feature_map_grid(MAPS - 1))[:8]:
        low, high = picture.get_clim()
        assert low == -high == -float(np.abs(MAPS - 1).max())


def test_an_outlier_does_not_darken_the_maps_and_the_bar_says_so():
    values = MAPS.copy()
    values[0, 0, 0] = 100
    figure = plot.feature_map_grid(values)
    (low, high), *others = [picture.get_clim() for picture in pictures(figure)[:8]]
    assert low == 0
    assert 0.9 * MAPS.max() < high <= MAPS.max()
    assert set(others) == {(low, high)}
    assert pictures(figure)[7].colorbar.extend == "max"
    assert pictures(plot.feature_map_grid(MAPS))[7].colorbar.extend == "neither"


def test_an_empty_map_is_marked_and_the_others_are_not():
    values = MAPS.copy()
    values[..., 3] = 0
    figure = plot.feature_map_grid(values[None])
    marked = [bool(axes.texts) for axes in figure.axes[:8]]
    assert marked == [channel == 3 for channel in range(8)]


def test_more_maps_than_the_limit_are_said_to_be_left_out():
    figure = plot.feature_map_grid(np.ones((3, 3, 20)), limit=6, columns=3, title="conv2")
    assert places(figure) == (2, 3)
    assert figure.get_suptitle() == "conv2: the first 6 of 20 maps"


def test_stages_share_one_scale_and_the_same_channels():
    before, after = MAPS - 1, np.maximum(MAPS - 1, 0)
    figure = plot.side_by_side({"conv:pre": before, "conv": after, "pool": after[::2, ::2]}, channels=[0, 5])
    drawn = pictures(figure)[:6]
    assert len({picture.get_clim() for picture in drawn}) == 1
    np.testing.assert_array_equal(drawn[1].get_array(), before[..., 5])
    np.testing.assert_array_equal(drawn[5].get_array(), after[::2, ::2, 5])
    assert [figure.axes[row * 2].get_ylabel().split("\n") for row in range(3)] == [
        ["conv:pre", "6 x 9"],
        ["conv", "6 x 9"],
        ["pool", "3 x 5"],
    ]


def test_bars_have_the_heights_of_the_activations():
    figure = plot.dense_bars(np.array([[0.5, -1.5, 2.25]]), names=["sit", "stand", "lie"], title="logits")
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.5, -1.5, 2.25]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["sit", "stand", "lie"]
    assert axes.texts[0].get_text() == "2.25"


def test_every_layer_has_a_row_with_its_address_shape_and_range():
    figure = plot.layer_maps(
        {
            "block/conv": MAPS[None],
            "pool": MAPS[None, ::2, ::2],
            "dead": 0 * MAPS[None],
            "logits": np.array([[1.0, 2.0]]),
        },
        title="a network",
        limit=4,
    )
    labels = texts(figure)
    assert "block/conv" in "".join(labels).replace("\n", "")
    assert any(text.startswith("6 x 9 x 8\nfirst 4 maps") for text in labels)
    assert any("zero everywhere" in text for text in labels)
    strip = pictures(figure)[0].get_array()
    np.testing.assert_array_equal(strip[:, :9], MAPS[..., 0])
    np.testing.assert_array_equal(strip[:, 10:19], MAPS[..., 1])
    assert strip.mask[:, 9].all()


def test_kernels_are_rows_of_inputs_and_columns_of_outputs():
    kernels = np.random.default_rng(1).normal(size=(3, 3, 2, 5))
    figure = plot.kernel_grid(kernels, title="conv")
    assert places(figure) == (2, 5)
    np.testing.assert_allclose(pictures(figure)[5 + 3].get_array(), kernels[:, :, 1, 3], rtol=1e-6)


def test_the_overlay_stands_beside_the_input_with_target_score_and_layer():
    image = np.full((8, 8, 3), 100, np.uint8)
    heat = np.zeros((1, 4, 4), np.float32)
    heat[0, 1, 1] = 3
    figure = plot.overlay_beside(image, heat, method="grad-cam", target="dog", score=1.25, layer="conv4")
    assert figure.get_suptitle() == "grad-cam for dog (score 1.25)"
    assert "conv4, 4 x 4" in texts(figure)
    left, middle, right = pictures(figure)[:3]
    np.testing.assert_array_equal(left.get_array(), image)
    np.testing.assert_array_equal(middle.get_array(), heat[0])
    over = np.asarray(right.get_array()).astype(int)
    assert over.shape == (8, 8, 3)
    assert np.ptp(over[:, :, 1]) > 30
    assert np.unravel_index(over[:, :, 1].argmax(), (8, 8)) in {(2, 2), (2, 3), (3, 2), (3, 3)}


def test_an_empty_heat_map_leaves_the_picture_alone_and_says_so():
    image = np.full((8, 8, 1), 100, np.uint8)
    figure = plot.overlay_beside(image, np.zeros((4, 4)))
    assert {"zero\neverywhere", "nothing to lay over the input"} <= set(texts(figure))
    np.testing.assert_array_equal(pictures(figure)[2].get_array(), np.full((8, 8, 3), 100))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot.feature_map_grid(np.ones((2, 3, 3, 4))), "one image's at a time"),
        (lambda: plot.feature_map_grid(np.ones(4)), "expected"),
        (lambda: plot.feature_map_grid(np.full((2, 2, 1), np.nan)), "NaN"),
        (lambda: plot.feature_map_grid(MAPS, titles=["one"]), "1 titles .* 8 maps"),
        (lambda: plot.side_by_side({"a": MAPS, "b": MAPS[..., :2]}), "same number of channels"),
        (lambda: plot.side_by_side({"a": MAPS}, channels=[8]), "0 to 7"),
        (lambda: plot.dense_bars(np.ones((2, 3))), "one image"),
        (lambda: plot.dense_bars(np.ones(3), names=["a"]), "1 names .* 3 units"),
        (lambda: plot.layer_maps({}), "no layer"),
        (lambda: plot.kernel_grid(np.ones((3, 3))), "expected"),
        (lambda: plot.overlay_beside(np.ones((4, 4, 3)), np.ones((4, 4))), "uint8"),
        (lambda: plot.overlay_beside(np.ones((4, 4, 3), np.uint8), np.ones((2, 4, 4))), "one map"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(InputError, match=message):
        draw()


def test_drawing_imports_neither_pyplot_nor_tensorflow():
    draw = "import numpy, sys; from tfviz import plot; plot.feature_map_grid(numpy.ones((4, 4, 8)));"
    check = "print({'matplotlib.pyplot', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", draw + check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_figures_are_written_by_their_suffix(tmp_path):
    figure = plot.feature_map_grid(MAPS)
    assert plot.save(figure, tmp_path / "new" / "maps.png", dpi=40).read_bytes()[1:4] == b"PNG"
    assert plot.save(figure, tmp_path / "maps.pdf").read_bytes()[:4] == b"%PDF"
    with pytest.raises(InputError, match="names no format"):
        plot.save(figure, tmp_path / "maps.txt")
