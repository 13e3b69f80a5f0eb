"""The network itself: receptive fields against real gradients, and passes over data against plain NumPy."""

from pathlib import Path
from typing import Any

import cv2
import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import tfviz
from tfviz import cli, console, data, network, plot, zoo
from tfviz.errors import InputError
from tfviz.network.field import field_boxes
from tfviz.preprocess import Preprocess, Sidecar, write_sidecar

layers = keras.layers


def net(*parts: Any, size: int = 20, channels: int = 2) -> keras.Model:
    """Layers one after the other, with weights of all signs; the last is called "end"."""
    inputs = keras.Input((size, size, channels))
    x = inputs
    for part in parts:
        x = part(x)
    return nets.seeded(keras.Model(inputs, layers.Activation("linear", name="end")(x)))


def inception(x: Any) -> Any:
    wide = layers.Conv2D(2, (1, 7), padding="same")(x)
    high = layers.Conv2D(2, (5, 1), padding="same")(x)
    return layers.Concatenate()([layers.Conv2D(2, 1)(x), wide, high])


def residual(x: Any) -> Any:
    return layers.Add()([x, layers.Conv2D(2, 3, padding="same")(layers.Conv2D(2, 3, padding="same")(x))])


def squeeze_and_excite(x: Any) -> Any:
    return layers.Multiply()([x, layers.GlobalAveragePooling2D(keepdims=True)(x)])


CHAINS = {
    "valid": lambda: net(layers.Conv2D(3, 3), layers.Conv2D(3, 3)),
    "same": lambda: net(layers.Conv2D(3, 3, padding="same"), layers.Conv2D(3, 5, padding="same")),
    "strides": lambda: net(layers.Conv2D(3, 3, strides=2, padding="same"), layers.Conv2D(3, 3, strides=2)),
    "oblong": lambda: net(layers.Conv2D(3, (1, 5), strides=(1, 2)), layers.Conv2D(3, (3, 2), padding="same")),
    "dilation": lambda: net(layers.Conv2D(3, 3, dilation_rate=3), layers.Conv2D(3, 2, dilation_rate=(1, 2))),
    "average": lambda: net(layers.Conv2D(3, 3), layers.AveragePooling2D(2), layers.Conv2D(3, 3, padding="same")),
    "average same": lambda: net(layers.AveragePooling2D(3, strides=2, padding="same"), layers.Conv2D(2, 2)),
    "depthwise": lambda: net(layers.DepthwiseConv2D(3, depth_multiplier=2), layers.SeparableConv2D(4, 5, strides=2)),
    "dilated depthwise": lambda: net(layers.DepthwiseConv2D(3, dilation_rate=2, padding="same")),
    "groups": lambda: net(layers.Conv2D(4, 3, groups=2), layers.Conv2D(2, 3, padding="same")),
    "transposed": lambda: net(layers.Conv2D(2, 3, strides=2), layers.Conv2DTranspose(2, 3, strides=2)),
    "upsampled": lambda: net(layers.AveragePooling2D(2), layers.UpSampling2D(2), layers.Conv2D(2, 3)),
    "bilinear": lambda: net(layers.AveragePooling2D(2), layers.UpSampling2D(2, interpolation="bilinear")),
    "padded": lambda: net(layers.ZeroPadding2D(2), layers.Conv2D(2, 3, strides=2), layers.Cropping2D(1)),
    "branches": lambda: net(inception, layers.Conv2D(2, 3)),
    "residual": lambda: net(layers.Conv2D(2, 3, strides=2), residual),
    "normalised": lambda: net(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.LayerNormalization()),
    "gated": lambda: net(layers.Conv2D(2, 3), squeeze_and_excite),
    "turned": lambda: net(layers.Conv2D(2, (1, 3)), layers.Permute((2, 1, 3))),
}


def gradients_of(model: keras.Model, place: tuple[int, int], trials: int = 1) -> np.ndarray:
    """Where any channel of a unit has a gradient that is not zero, on random pictures."""
    part = tfviz.submodel(model, "end")
    x = tf.constant(np.random.default_rng(0).normal(0, 1, (trials, *model.input_shape[1:])), tf.float32)
    channels = part(x[:1]).shape[-1]
    found = np.zeros(model.input_shape[1:3], bool)
    for channel in range(channels):
        with tf.GradientTape() as tape:
            tape.watch(x)
            unit = tf.reduce_sum(part(x)[:, place[0], place[1], channel])
        found |= (tape.gradient(unit, x).numpy() != 0).any(axis=(0, 3))
    return found


@pytest.mark.parametrize("name", CHAINS)
def test_a_units_gradient_is_nonzero_exactly_inside_its_receptive_field(name: str) -> None:
    model = CHAINS[name]()
    height, width = model.output_shape[1:3]
    for place in ((height // 2, width // 2), (0, 0), (height - 1, 1)):
        field = network.receptive_field(model, "end", place=place)
        np.testing.assert_array_equal(field.mask, gradients_of(model, place), err_msg=str(place))


def test_what_a_maximum_and_a_relu_hide_from_one_gradient_is_in_the_field() -> None:
    model = net(layers.Conv2D(3, 3, activation="relu"), layers.MaxPooling2D(2), layers.Conv2D(3, 3))
    field = network.receptive_field(model, "end")
    one, many = gradients_of(model, field.place), gradients_of(model, field.place, trials=200)
    assert (one & ~field.mask).sum() == 0
    assert one.sum() < field.mask.sum()
    np.testing.assert_array_equal(many, field.mask)


def test_a_channel_of_one_branch_sees_less_than_all_channels() -> None:
    model = net(inception)
    boxes = [network.receptive_field(model, "end", place=(10, 10), channel=k).box for k in (0, 2, 4)]
    assert boxes == [(10, 10, 11, 11), (10, 7, 11, 14), (8, 10, 13, 11)]
    cross = network.receptive_field(model, "end", place=(10, 10))
    assert cross.box == (8, 7, 13, 14)
    assert cross.mask.sum() == 7 + 5 - 1


def test_fields_of_the_log_s_network_are_those_of_the_published_arithmetic() -> None:
    found = {field.address: field for field in network.receptive_fields(zoo.dog_cnn())}
    # size: r += (k - 1) j; start: s -= p j; stride: j *= stride, layer by layer.
    size, start, stride = 1, 0, 1
    for address, kernel, step, padding in (
        *(("conv1", 3, 1, 1), ("pool1", 2, 2, 0), ("conv2", 3, 1, 1), ("pool2", 2, 2, 0)),
        *(("conv3", 3, 1, 1), ("pool3", 2, 2, 0), ("conv4", 3, 1, 1), ("conv5", 3, 1, 1)),
    ):
        size, start, stride = size + (kernel - 1) * stride, start - padding * stride, stride * step
        field = found[address]
        assert (field.size, field.start, field.stride) == ((size, size), (start, start), (stride, stride))
    assert size == 54


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "layer", "side", "size", "start"),
    [("VGG16", "block5_pool", 224, 212, -90), ("MobileNet", "conv_pw_13_relu", 384, 315, -126)],
)
def test_fields_of_published_networks_are_the_published_ones(
    family: str, layer: str, side: int, size: int, start: int
) -> None:
    # Araujo, Norris and Sim 2019, the table of their section "Case study": size, stride 32 and padding.
    model = getattr(keras.applications, family)(weights=None, include_top=False, input_shape=(side, side, 3))
    (field,) = network.receptive_fields(model, layer)
    assert (field.size, field.stride, field.start) == ((size, size), (32, 32), (start, start))


def test_a_field_without_edges_in_the_picture_has_no_size() -> None:
    model = net(layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(keepdims=True), size=8)
    (field,) = network.receptive_fields(model, "end")
    assert (field.size, field.stride) == ((None, None), (None, None))
    assert network.receptive_field(model, "end").mask.all()


def test_edges_by_row_and_column_are_the_boxes_of_the_units() -> None:
    model = CHAINS["branches"]()
    rows, columns = field_boxes(model, "end")
    for place in ((0, 3), (9, 17), (17, 0)):
        top, left, bottom, right = network.receptive_field(model, "end", place=place).box
        assert (top, bottom) == tuple(rows[place[0]])
        assert (left, right) == tuple(columns[place[1]])


@pytest.mark.parametrize("kind", ["nested", "subclassed", "shared", "functional", "mixed", "reads_batch"])
def test_fields_are_found_in_every_kind_of_model(kind: str) -> None:
    model = nets.MODELS[kind]()
    expected = {
        "nested": ("middle/inner/last", 8, 2),
        "subclassed": ("twice@1", 7, 1),
        "shared": ("conv@1", 5, 1),
        "functional": ("relu", 8, 2),
        "mixed": ("last", 8, 2),
        "reads_batch": ("conv", 3, 1),
    }[kind]
    (field,) = network.receptive_fields(model, expected[0])
    assert (field.address, field.size[0], field.stride[1]) == expected


def test_models_of_any_size_are_looked_at_in_the_size_that_is_given() -> None:
    model = nets.seeded(
        keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(2, 3, strides=2, name="a"), layers.Conv2D(2, 3)])
    )
    assert network.receptive_field(model, "a", size=(9, 13)).mask.shape == (9, 13)
    with pytest.raises(InputError, match="any size"):
        network.receptive_field(model, "a")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer": "logits"}, "no places"),
        ({"layer": "last", "place": (9, 0)}, "Place"),
        ({"layer": "last", "channel": 7}, "channels 0 to 4"),
        ({"layer": "last", "size": (5, 5)}, "do not fit"),
    ],
)
def test_a_field_that_is_not_there_is_said(options: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        network.receptive_field(nets.pooled(), **options)


class LooksFirst(keras.Model):
    """Cannot be compiled: before its convolution it decides by a value."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = layers.Conv2D(2, 3, name="conv")

    def call(self, x: Any) -> Any:
        return self.conv(x if float(keras.ops.max(x)) < 1e6 else -x)


def test_a_model_that_cannot_be_compiled_has_no_field_to_read_off() -> None:
    model = nets.built(LooksFirst())
    assert tfviz.feature_maps(model, nets.images(1), "conv")["conv"].shape == (1, 10, 10, 2)
    with pytest.raises(InputError, match="runs eagerly"):
        network.receptive_field(model, "conv")


def test_channel_statistics_are_those_of_all_the_maps_at_once() -> None:
    model, x = nets.pooled(), nets.images(37)
    maps = tfviz.feature_maps(model, x, ["first", "last:pre", "logits"])
    for given in (x, [x[:5], x[5:20], x[20:]]):
        found = network.channel_statistics(model, given, list(maps), batch_size=8)
        assert list(found) == list(maps)
        for address, values in maps.items():
            flat, one = values.reshape(-1, values.shape[-1]).astype(np.float64), found[address]
            assert one.images == 37
            np.testing.assert_array_equal(one.minimum, flat.min(axis=0).astype(np.float32))
            np.testing.assert_array_equal(one.maximum, flat.max(axis=0).astype(np.float32))
            np.testing.assert_allclose(one.mean, flat.mean(axis=0), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(one.deviation, flat.std(axis=0), rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(one.active, (flat > 0).mean(axis=0), rtol=1e-6)


def test_dead_saturated_and_rare_channels_are_found() -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 1, activation="relu", name="relu"),
            layers.Conv2D(3, 1, activation="sigmoid", name="sigmoid"),
            layers.ReLU(6.0, name="relu6"),
        ]
    )
    model.get_layer("relu").set_weights([np.array([[[[1.0, -1.0, 1.0]]]]), np.array([0.0, -0.1, -0.999])])
    model.get_layer("sigmoid").set_weights([np.eye(3).reshape(1, 1, 3, 3), np.array([5.0, 0.0, 0.0])])
    x = np.random.default_rng(0).uniform(0, 1, (50, 8, 8, 1))
    found = network.channel_statistics(model, x, ["relu", "sigmoid", "sigmoid:pre", "relu6"])
    assert found["relu"].dead.tolist() == [False, True, False]
    assert found["relu"].rare.tolist() == [False, False, (x > 0.999).mean() < 1e-3]
    assert found["sigmoid"].dead.tolist() == [False, True, False]
    assert found["sigmoid"].saturated.tolist() == [True, False, False]
    assert found["sigmoid:pre"].at_bound.tolist() == [0, 0, 0]
    assert found["relu6"].at_bound.tolist() == [0, 0, 0]


def test_a_data_set_and_its_prepared_pictures_are_the_same_to_every_pass() -> None:
    model, dogs = zoo.dog_cnn((32, 32, 3), seed=1), data.load("dog-poses", split="test", limit=40, size=32)
    rule, whole = Preprocess(scale=1 / 255), dogs.whole()
    x = rule(whole.images)
    one, two = (
        network.channel_statistics(model, given, "conv2", preprocess=how)["conv2"]
        for given, how in ((dogs, rule), (x, None))
    )
    np.testing.assert_allclose(one.mean, two.mean, rtol=1e-6)
    best, same = (
        network.top_images(model, given, "conv2", k=2, channels=[3], preprocess=how, batch_size=16)[3]
        for given, how in ((dogs, rule), (x, None))
    )
    assert [e.position for e in best] == [e.position for e in same]
    np.testing.assert_array_equal(best[0].picture, whole.images[best[0].position])
    judged = network.correct_and_wrong(model, dogs, preprocess=rule)
    assert (judged.counts == network.correct_and_wrong(model, x, whole.labels).counts).all()
    assert judged.class_names == ("sit", "stand", "lie")


def test_the_most_exciting_pictures_are_those_of_a_full_sort() -> None:
    model, x = nets.pooled(), nets.images(50)
    maps = tfviz.feature_maps(model, x, "last")["last"]
    found = network.top_images(model, x, "last", k=6, batch_size=7)
    for channel, best in found.items():
        peaks = maps[..., channel].reshape(50, -1).max(axis=1)
        order = np.argsort(-peaks, kind="stable")[:6]
        assert [one.position for one in best] == order.tolist()
        for one in best:
            assert one.value == pytest.approx(peaks[one.position], rel=1e-6)
            assert one.place is not None
            assert maps[one.position, one.place[0], one.place[1], channel] == pytest.approx(one.value, rel=1e-6)
            field = network.receptive_field(model, "last", place=one.place)
            assert one.box == field.box
            np.testing.assert_array_equal(
                one.crop, x[one.position][field.box[0] : field.box[2], field.box[1] : field.box[3]]
            )


def test_equal_activations_keep_the_order_of_the_data_and_units_see_all_where_there_are_no_places() -> None:
    model = nets.pooled()
    x = np.repeat(nets.images(1), 9, axis=0)
    (best,) = network.top_images(model, x, "logits", channels=[1], k=4, batch_size=2).values()
    assert [one.position for one in best] == [0, 1, 2, 3]
    assert {(one.place, one.box) for one in best} == {(None, (0, 0, 12, 12))}


def test_right_and_wrong_are_counted_and_the_surest_are_kept() -> None:
    model, x = nets.pooled(), nets.images(60)
    logits = tfviz.feature_maps(model, x, "logits")["logits"]
    said = logits.argmax(axis=1)
    truth = np.random.default_rng(0).integers(0, 3, 60)
    found = network.correct_and_wrong(model, x, truth, each=2, batch_size=16)
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (truth, said), 1)
    np.testing.assert_array_equal(found.counts, counts)
    assert found.accuracy == pytest.approx((truth == said).mean())
    wrong = counts[~np.eye(3, dtype=bool)]
    assert [cell.count for cell in found.confusions] == sorted(wrong[wrong > 0], reverse=True)
    for cell in found.confusions:
        members = np.flatnonzero((truth == cell.label) & (said == cell.said))
        lead = logits[members, cell.said] - logits[members, cell.label]
        assert [one.position for one in cell.wrong] == members[np.argsort(-lead, kind="stable")][:2].tolist()
        np.testing.assert_allclose([one.margin for one in cell.wrong], np.sort(lead)[::-1][:2], rtol=1e-4)
        right = np.flatnonzero((truth == cell.label) & (said == cell.label))
        ranked = np.sort(logits[right], axis=1)
        lead = ranked[:, -1] - ranked[:, -2]
        assert [one.position for one in cell.right_label] == right[np.argsort(-lead, kind="stable")][:2].tolist()


def test_a_head_of_one_unit_is_of_two_classes() -> None:
    model, x = nets.pooled(units=1), nets.images(20)
    said = (tfviz.feature_maps(model, x, "logits")["logits"][:, 0] > 0).astype(int)
    found = network.correct_and_wrong(model, x, np.zeros(20, int))
    assert found.counts.tolist() == [[int((said == 0).sum()), int(said.sum())], [0, 0]]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m, x: network.correct_and_wrong(m, x), "no labels"),
        (lambda m, x: network.correct_and_wrong(m, x, np.full(len(x), 5)), "0 to 2"),
        (lambda m, x: network.correct_and_wrong(m, x, np.zeros(2, int)), "class numbers"),
        (lambda m, x: network.top_images(m, x, "last", k=0), "at least 1"),
        (lambda m, x: network.top_images(m, x, "last", channels=[8]), "channels 0 to 4"),
        (lambda m, x: network.channel_statistics(m, x[:0]), "no pictures"),
        (lambda m, x: network.channel_statistics(m, x[0]), "expected pictures"),
        (lambda m, x: network.channel_statistics(m, x, preprocess=Preprocess()), "Dataset's pixels"),
    ],
)
def test_what_cannot_be_passed_over_is_said(call: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        call(nets.pooled(), nets.images(4))


def test_figures_say_what_they_show() -> None:
    model, x = nets.pooled(), nets.images(12)
    best = plot.excitation_rows(network.top_images(model, x, "last", k=2, channels=[1, 4]), title="last")
    assert {"channel 1", "channel 4"} <= texts(best)
    outcomes = network.correct_and_wrong(model, x, np.ones(12, int), class_names=("cat", "dog", "cow"))
    rows = plot.confusion_rows(outcomes, each=2)
    cell = outcomes.confusions[0]
    name = outcomes.class_names[cell.said]
    assert any(text.startswith(f"is dog,\nwas taken for {name}") for text in texts(rows))
    bars = plot.channel_bars(network.channel_statistics(model, x, ["first"]))
    assert any("first" in axes.get_title(loc="left") for axes in bars.axes)
    made = plot.picture_grid(np.zeros((3, 4, 4, 3), np.uint8), titles=["a", "b", "c"], silent=[False, True, False])
    assert [sum(text.get_text() == "stays silent" for text in axes.texts) for axes in made.axes] == [0, 1, 0]
    with pytest.raises(InputError, match="2 titles"):
        plot.picture_grid(np.zeros((3, 4, 4, 3), np.uint8), titles=["a", "b"])


def texts(figure: Any) -> set[str]:
    return {text.get_text() for axes in figure.axes for text in axes.texts}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "dog.keras"
    nets.seeded(zoo.dog_cnn((32, 32, 3)), seed=3, scale=0.2).save(path)
    write_sidecar(path, Sidecar(Preprocess(size=(32, 32), scale=1 / 255), ("sit", "stand", "lie")))
    return path


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        console.run(cli.app, [str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_the_commands_write_their_pictures_and_say_what_they_found(saved: Path, tmp_path: Path, capsys: Any) -> None:
    for arguments in (
        ("maximize", saved, "--layer", "conv2:pre", "--unit", 3, "--unit", 1, "--steps", 3),
        ("maximize", saved, "--target", "lie", "--steps", 3, "--count", 2, "--way", "maco"),
        ("exciting", saved, "dog-poses", "--layer", "conv3", "--unit", 2, "--limit", 12, "--most", 2),
        ("channels", saved, "dog-poses", "--limit", 12),
        ("mistakes", saved, "dog-poses", "--limit", 12),
    ):
        out = tmp_path / f"{arguments[0]}.png"
        assert command(*arguments, "--out", out) == 0, capsys.readouterr().err
        assert cv2.imread(str(out)).std() > 5
        assert str(out) in capsys.readouterr().out
        out.unlink()
    assert command("fields", saved, "--layer", "conv3") == 0
    assert "18 x 18" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--unit", 3), "--layer ADDRESS"),
        (("--layer", "conv1", "--target", "lie"), "a channel or for a class"),
        (("--layer", "conv1", "--unit", 8), "channels 0 to 7"),
        (("--layer", "conv9"), "near names"),
        (("--target", "jump"), "no class 'jump'"),
        (("--way", "magic"), "fourier, pixels, maco"),
    ],
)
def test_maximize_refuses_what_it_cannot_make(
    saved: Path, tmp_path: Path, capsys: Any, arguments: Any, said: str
) -> None:
    assert command("maximize", saved, *arguments, "--out", tmp_path / "x.png") == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "x.png").exists()
