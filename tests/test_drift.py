"""Explanations of what was deployed, and what quantisation does to them: identities, the float model, the device."""

import json

import numpy as np
import pytest
from chain import NAMES, PREPROCESS, folder, keras_file, pictures, tflite_file
from test_firmware_cli import run

import tfviz
from firmware_tools import graph
from firmware_tools.convert import convert
from firmware_tools.engines import open_engine
from firmware_tools.explain import METHODS, drift, explain, feature_maps, head_of
from firmware_tools.explain._drift import top_overlap, with_growth
from firmware_tools.explain._head import logits_of, step_output
from firmware_tools.explain._words import answer
from firmware_tools.pictures import Expectation, open_data
from firmware_tools.results import Gaze
from tfviz.errors import InputError

EXPECTED = Expectation(PREPROCESS, NAMES, recorded=True)
X = pictures(2)


@pytest.fixture(scope="module")
def pooled():
    """A float network that ends in global average pooling and one dense unit of each of 3 classes, and its .tflite."""
    import keras

    keras.utils.set_random_seed(5)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Conv2D(6, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    file = convert(model, "dog-poses", calibration=20, out=folder() / "pooled.tflite", preprocess=PREPROCESS)
    return model, file


@pytest.mark.parametrize("flat", [True, False])
def test_the_sum_of_the_map_in_closed_form_is_the_engines_own_logit(pooled, flat):
    file = tflite_file() if flat else pooled[1]
    own = graph.load(file)
    head = head_of(own)
    with open_engine(f"tflm:{file}") as engine:
        name = own.tensors[own.inputs[0]].name
        integers = np.random.default_rng(1).integers(-128, 128, (1, 16, 16, 3)).astype(np.int8)
        trace = engine.run({name: integers})
    logits = logits_of(own, trace)
    maps = step_output(trace, head.op).real
    mine = [head.logits(maps, np.array([k]))[0] for k in range(3)]
    # What is left is the rounding of the pooled values (after flattening: none) and of the logits themselves.
    np.testing.assert_allclose(mine, logits, atol=0.02 * np.ptp(logits) + 0.02)


def test_a_device_is_explained_as_the_reference_is_by_every_method_that_reads_its_map():
    with open_engine(f"tflm:{tflite_file()}") as tflm, open_engine(f"emulator:nano33ble:{tflite_file()}") as board:
        for method in ("cam", "ablation-cam", "eigen-cam", "score-cam"):
            one, other = (explain(e, X[:1], 1, method=method, expected=EXPECTED) for e in (tflm, board))
            np.testing.assert_array_equal(one, other)
            assert one.any(), method


@pytest.mark.parametrize("method", METHODS)
def test_a_quantised_models_map_is_the_float_models_but_for_rounding(pooled, method):
    from firmware_tools.reference.keras_engine import KerasEngine

    model, file = pooled
    engine = KerasEngine(model)
    with open_engine(f"tflm:{file}") as quantised:
        options = {"samples": 60, "patch": 8}
        want, got = (explain(e, X, 2, method=method, expected=EXPECTED, **options) for e in (engine, quantised))
    assert got.shape == want.shape
    assert got.max() > 0
    np.testing.assert_allclose(got, want, atol=0.12 * np.abs(want).max())


def test_a_head_of_two_dense_layers_is_refused_with_what_to_use_instead(tmp_path):
    import keras

    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dense(2),
        ]
    )
    file = convert(model, "dog-poses", calibration=5, out=tmp_path / "deep.tflite")
    with pytest.raises(InputError, match="Use eigen-cam, score-cam, occlusion or rise"):
        head_of(graph.load(file))


def test_feature_maps_are_the_traces_own():
    with open_engine(f"emulator:nano33ble:{tflite_file()}") as board:
        _, maps = feature_maps(board, X[:1], expected=EXPECTED, op=0)
        with pytest.raises(InputError, match="ops with maps"):
            feature_maps(board, X[:1], expected=EXPECTED, op=99)
    with open_engine(f"tflm:{tflite_file()}") as tflm:
        _, want = feature_maps(tflm, X[:1], expected=EXPECTED, op=0)
    np.testing.assert_array_equal(maps, want)
    assert maps.shape[-1] == 8


def test_the_overlap_of_the_top_places():
    one = np.array([[[5.0, 4, 3, 2, 1], [0, 0, 0, 0, 0]]])
    assert top_overlap(one, one)[0] == 1
    assert top_overlap(one, one[..., ::-1])[0] == 0
    # Where all is equal a lot draws: of 2 places wanted each has a chance of 2 in 10.
    np.testing.assert_allclose(top_overlap(one, np.zeros_like(one))[0], 0.2)


def test_the_answer_depends_on_the_figures():
    def gaze(role, rank, pointing):
        return Gaze(role, role, rank, rank, 0.9, pointing, 0.5, 1.0, 0)

    before = gaze("float", 1.0, 0.9)
    said = [
        answer((before, gaze("device", rank, pointing)), thing="the dog", share=0.2, images=10)
        for rank, pointing in ((0.99, 0.9), (0.99, 0.5), (0.3, 0.9))
    ]
    assert [kept for _, _, kept in said] == [True, False, False]
    assert said[0][0] == "Does the microcontroller still look at the dog?"
    assert said[0][1].startswith("Yes: ")
    assert said[1][1].startswith("No: ")
    assert "10 images" in said[0][1]
    question, text, kept = answer((before, gaze("int8", 0.99, None)), thing=None, share=None, images=1)
    assert question == "Does the int8 model still look where the float model looks?"
    assert (kept, text.startswith("Yes: rank correlation 0.990")) == (True, True)


def test_a_network_against_itself_drifts_not_and_a_twisted_one_does(tmp_path):
    twisted = tfviz.load_model(str(keras_file()))
    kernel = twisted.get_layer("head").kernel
    kernel.assign(np.asarray(kernel)[:, [1, 2, 0]])
    file = convert(twisted, "dog-poses", calibration=20, out=tmp_path / "twisted.tflite", preprocess=PREPROCESS)
    data = open_data("dog-poses", EXPECTED, split="test", limit=6)
    with (
        open_engine(f"keras:{keras_file()}") as real,
        open_engine(f"tflm:{tflite_file()}") as same,
        open_engine(f"tflm:{file}") as other,
    ):
        good, _ = drift(real, [same], data, expected=EXPECTED, shown=2)
        bad, looks = drift(real, [other], data, expected=EXPECTED, shown=2)
        assert bad.disagreements, "the classes were exchanged"
        told = with_growth(bad, looks, real, [other], expected=EXPECTED)
    floating, after = good.engines
    assert floating.spearman == pytest.approx(1)
    assert after.spearman > 0.97
    assert 0 < good.object_share < 0.5
    assert after.pointing == pytest.approx(floating.pointing, abs=0.2)
    assert not bad.kept
    assert bad.engines[1].spearman < 0.9
    growth = told.disagreements[0].growth
    assert growth[0].sqnr_db > 20  # the first layers are right
    assert growth[-1].sqnr_db is None  # the exchanged head is not the float model's: it has no partner
    assert [look.said[0] == look.said[1] for look in looks].count(False) >= len(bad.disagreements)


def test_the_commands_write_what_they_say(tmp_path, capsys):
    image = f"emulator:nano33ble:{tflite_file()}"
    assert run("explain", image, "dog-poses", "--split", "test", "--out", tmp_path / "raw.npy") == 0
    raw = np.load(tmp_path / "raw.npy")
    assert raw.shape == (4, 4)
    assert run("explain", image, "dog-poses", "--method", "feature-maps", "--out", tmp_path / "maps.png") == 0
    assert (tmp_path / "maps.png").read_bytes()[:4] == b"\x89PNG"
    assert run("explain", image, "dog-poses", "--target", "cat", "--out", tmp_path / "x.png") == 2
    assert "classes: sit, stand, lie" in capsys.readouterr().err
    assert run("explain", image, "dog-poses", "--method", "scorecam", "--out", tmp_path / "x.png") == 2
    assert "Did you mean score-cam" in capsys.readouterr().err
    out = ["--out", tmp_path / "d.png", "--json", tmp_path / "d.json"]
    assert run("drift", keras_file(), image, "--data", "dog-poses", "--limit", 4, *out) == 0
    said = json.loads((tmp_path / "d.json").read_text())
    assert [engine["role"] for engine in said["engines"]] == ["float", "int8", "device"]
    assert said["engines"][1]["spearman"] == said["engines"][2]["spearman"]
    assert "Does the microcontroller still look at the dog?" in capsys.readouterr().out
    assert (tmp_path / "d.png").read_bytes()[:4] == b"\x89PNG"
