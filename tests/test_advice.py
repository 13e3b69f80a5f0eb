"""Advice on quantisation: planted causes are named, what helps helps, and the user's model stays as it was."""

import json

import numpy as np
import pytest
from chain import PREPROCESS, keras_file

from firmware_tools import cli, graph
from firmware_tools.advice import Cause, advise, measure
from firmware_tools.advice.equalise import equalised, pairs
from firmware_tools.advice.picture import front
from firmware_tools.convert import convert
from tfviz import console, data
from tfviz.errors import InputError
from tfviz.preprocess import Sidecar, write_sidecar

PLANTED, TIMES = 5, 60.0


@pytest.fixture(scope="module")
def outlier(tmp_path_factory):
    """A CNN with one channel that is 60 times as large as it was, which the layer that reads it takes back."""
    import keras

    keras.utils.set_random_seed(2)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3), name="image"),
            layers.Conv2D(12, 3, padding="same", name="wide"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="reads"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(4, name="scores"),
        ],
        name="outlier",
    )
    norm, reads = model.get_layer("norm"), model.get_layer("reads")
    gamma, beta, kernel = np.ones(12), np.linspace(0.05, 0.2, 12), np.array(reads.kernel)
    gamma[PLANTED] *= TIMES
    beta[PLANTED] *= TIMES
    kernel[:, :, PLANTED] /= TIMES
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)
    reads.kernel.assign(kernel)
    path = tmp_path_factory.mktemp("outlier") / "outlier.keras"
    model.save(path)
    write_sidecar(path, Sidecar(PREPROCESS, ("a", "b", "c", "d")))
    return path


@pytest.fixture(scope="module")
def found(outlier, tmp_path_factory):
    return advise(
        outlier, "dog-poses", out=tmp_path_factory.mktemp("tried"), calibration=40, limit=24, try_out=True
    )  # fmt: skip


def test_the_planted_channel_is_named_where_it_is_and_where_it_is_read(found):
    layers = {layer.layer: layer for layer in found.layers}
    assert layers["relu"].cause is Cause.OUTLIER_CHANNELS
    assert layers["relu"].outlier_channels == (PLANTED,)
    assert 20 < layers["relu"].outlier_ratio < 200
    # The tensor as a whole looks fine, since the large channel is; the others are not.
    assert layers["relu"].own_sqnr_db > layers["relu"].channel_sqnr_db + 15
    assert layers["reads"].cause is Cause.OUTLIER_INPUT
    assert layers["pool"].cause is Cause.OUTLIER_INPUT
    assert all(f"reads relu, where channel {PLANTED} leaves" in layers[name].because for name in ("pool", "reads"))
    assert layers["scores"].cause is Cause.EIGHT_BITS
    assert any(f"channel {PLANTED} reaches" in line for line in found.advice)
    assert found.worst[0].loss_db == min(layer.loss_db for layer in found.layers)


def test_equalising_brings_back_what_the_channel_took_at_no_cost(found):
    trials = {trial.name: trial for trial in found.trials}
    plain, equal, wide = trials["int8"], trials["equalised"], trials["int16x8"]
    assert (plain.gain_db, equal.gain_db) == (0, pytest.approx(equal.sqnr_db - plain.sqnr_db))
    assert equal.gain_db > 6
    assert equal.ram_bytes == plain.ram_bytes
    assert equal.flash_bytes == pytest.approx(plain.flash_bytes, rel=0.02)
    assert 3 < wide.gain_db < equal.gain_db  # its weights still have 8 bits, and the planted channel's are tiny
    assert wide.ram_bytes > 1.5 * plain.ram_bytes
    assert trials["160 calibration images"].gain_db < 6
    mixed = next(trial for name, trial in trials.items() if name.startswith("float "))
    assert mixed.flash_bytes > plain.flash_bytes
    kinds = {op.name for op in graph.load(mixed.file).ops}
    assert "QUANTIZE" in kinds
    assert found.notes == ()
    assert found.conclusion.startswith("Most is gained by equalised: ")


def test_numbers_of_a_layer_are_those_of_a_comparison(outlier, found):
    from firmware_tools import compare
    from firmware_tools.engines import open_engine
    from firmware_tools.pictures import expectation, open_data

    with open_engine(f"keras:{outlier}") as real, open_engine(f"litert-xnnpack:{found.trials[0].file}") as integer:
        expected = expectation([outlier], (1, 16, 16, 3))
        judged = open_data("dog-poses", expected, split="test", limit=24)
        compared = compare(real, integer, judged, expected=expected)
    assert [op.keras_layer for op in compared.ops] == [layer.layer for layer in found.layers]
    assert [op.sqnr_db for op in compared.ops] == pytest.approx([layer.sqnr_db for layer in found.layers])


def test_too_few_calibration_images_are_told_from_a_range_that_is_clipped_anyway(tmp_path):
    """Calibrated on pictures at half their brightness: values beyond the range, which no such picture had."""
    pictures = data.load("dog-poses", split="test", limit=32, size=16).whole()
    dark, bright = tmp_path / "dark.npz", tmp_path / "bright.npz"
    np.savez(dark, x=pictures.images[:4] // 2)
    np.savez(bright, x=pictures.images[4:])
    found = advise(str(keras_file()), str(bright), calibration_data=str(dark), split=None, out=tmp_path, limit=20)
    first = found.layers[0]
    assert (first.layer, first.cause) == ("relu", Cause.CALIBRATION)
    assert first.clipped_share > 0.01
    assert first.seen[1] > 1.2 * first.limits[1]
    assert "the 4 calibration images reach" in first.because
    same = data.load("dog-poses", split="test", limit=8, size=16)
    with pytest.raises(InputError, match="are those that are judged on"):
        advise(str(keras_file()), same, calibration_data=same, out=tmp_path)


def test_equalised_models_compute_the_same_and_the_users_is_not_touched(outlier):
    import keras

    model = keras.models.load_model(outlier)
    before = [np.array(weight) for weight in model.weights]
    x = np.random.default_rng(0).uniform(0, 1, (4, 16, 16, 3)).astype(np.float32)
    shown = keras.Model(model.inputs[0], model.get_layer("relu").output)(x)
    largest = {"relu": np.abs(shown).max(axis=(0, 1, 2))}
    copy, changed = equalised(model, largest)
    assert changed == ("relu",)
    np.testing.assert_allclose(copy(x), model(x), rtol=1e-4, atol=1e-5)
    for weight, then in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, then)
    even = np.abs(keras.Model(copy.inputs[0], copy.get_layer("relu").output)(x)).max(axis=(0, 1, 2))
    assert measure.outlying(np.array(largest["relu"]))[0] == (PLANTED,)
    assert measure.outlying(even) == ((), None)


def test_pairs_are_those_that_may_be_rescaled_and_no_others():
    import keras

    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="a")(image)
    x = layers.DepthwiseConv2D(3, name="b")(layers.MaxPooling2D(name="pool")(x))
    x = layers.Activation("relu", name="act")(layers.BatchNormalization(name="norm")(x))
    branch = layers.Conv2D(4, 1, name="c", activation="relu6")(x)  # ReLU6 does not scale
    y = layers.Conv2D(4, 1, name="d")(branch)
    y = layers.Add(name="sum")([y, branch])  # two read the branch, and the sum reads d
    model = keras.Model(image, layers.Dense(2, name="e")(layers.Flatten()(y)))
    found = [
        (pair.first.name, pair.norm and pair.norm.name, pair.shown.name, pair.second.name) for pair in pairs(model)
    ]
    assert found == [("a", None, "a", "b"), ("b", "norm", "act", "c")]
    largest = {"a": np.array([1.0, 100, 1, 1]), "act": np.array([9.0, 1, 30, 1])}
    copy, changed = equalised(model, largest)
    x = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype(np.float32)
    assert changed == ("a", "act")
    np.testing.assert_allclose(copy(x), model(x), rtol=1e-4, atol=1e-5)


def test_single_ops_stay_float_in_int8_alone(tmp_path):
    with pytest.raises(InputError, match="in the mode int8 alone, not in int16x8"):
        convert(keras_file(), "dog-poses", mode="int16x8", out=tmp_path / "m.tflite", float_ops=("x",))


def test_a_pareto_front_is_beaten_by_nothing():
    assert front([3, 1, 2, 2], [9, 1, 5, 6]) == [1, 3, 0]


def test_the_command_says_layers_trials_and_writes_numbers_and_picture(outlier, tmp_path, capsys):
    numbers, picture = tmp_path / "advice.json", tmp_path / "pareto.png"

    def run(*arguments: object) -> int:
        with pytest.raises(SystemExit) as stop:
            console.run(cli.app, ["advise", str(outlier), "--data", "dog-poses", *map(str, arguments)])
        return int(stop.value.code)

    common = ("--limit", 8, "--calibration-images", 16, "--out", tmp_path)
    assert run(*common, "--try", "--json", numbers, "--picture", picture) == 0
    out = capsys.readouterr().out
    assert "outlier channels" in out
    assert "equalised" in out
    read = json.loads(numbers.read_text())
    assert read["layers"][0]["outlier_channels"] == [PLANTED]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run(*common, "--picture", picture) == 2
    assert run(*common, "--tflite", tmp_path / "int8.tflite") == 0
    assert run(*common, "--tflite", tmp_path / "missing.tflite") == 2
