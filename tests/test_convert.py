"""Keras to .tflite: fixed batch, integers in and out, per-channel weights, the preprocessing carried along."""

import keras
import numpy as np
import pytest
from chain import NAMES, PREPROCESS, keras_file, pictures, tflite_file

from firmware_tools import graph
from firmware_tools.convert import convert
from tfviz import zoo
from tfviz.errors import InputError
from tfviz.preprocess import read_sidecar


def ops(path) -> list[str]:
    return [op.name for op in graph.load(path).ops]


def test_flatten_does_not_become_arithmetic_on_shapes():
    assert ops(tflite_file()) == ["CONV_2D", "MAX_POOL_2D", "CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]


def test_input_and_output_are_int8_with_a_batch_of_one():
    loaded = graph.load(tflite_file())
    image, scores = loaded.tensors[loaded.inputs[0]], loaded.tensors[loaded.outputs[0]]
    assert (image.shape, image.dtype) == ((1, 16, 16, 3), "int8")
    assert (scores.shape, scores.dtype) == ((1, 3), "int8")
    # The specification fixes softmax's output; pixels of 0..1 fill the input's range.
    assert (float(scores.scale[0]), int(scores.zero_point[0])) == (1 / 256, -128)
    assert float(image.scale[0]) == pytest.approx(1 / 255, rel=0.02)


def test_weights_are_quantised_for_each_output_channel():
    loaded = graph.load(tflite_file())
    weights = loaded.tensors[loaded.ops[0].inputs[1]]
    assert len(weights.scale) == 8
    assert weights.quantized_dimension == 0
    kernel = keras.saving.load_model(keras_file()).get_layer("first").kernel.numpy()
    assert weights.shape == (8, 3, 3, 3)
    assert np.abs(weights.data).reshape(8, -1).max(axis=1).tolist() == [127] * 8
    assert kernel.shape == (3, 3, 3, 8)


def test_preprocessing_and_class_names_go_along():
    sidecar = read_sidecar(tflite_file())
    assert sidecar is not None
    assert (sidecar.preprocess, sidecar.class_names) == (PREPROCESS, NAMES)


@pytest.mark.parametrize(
    ("mode", "dtype"), [("int16x8", "int16"), ("float32", "float32"), ("float16", "float32"), ("dynamic", "float32")]
)
def test_every_mode_has_the_input_that_its_name_says(mode, dtype, tmp_path):
    written = convert(zoo.dog_cnn((16, 16, 3)), pictures(4), mode=mode, out=tmp_path / "m.tflite")
    loaded = graph.load(written)
    assert loaded.tensors[loaded.inputs[0]].dtype == dtype
    weights = max((tensor for tensor in loaded.tensors if tensor.is_constant), key=lambda tensor: tensor.elements)
    expected = {"int16x8": "int8", "float32": "float32", "float16": "float16", "dynamic": "int8"}
    assert weights.dtype == expected[mode]


@pytest.mark.parametrize("wrap", [zoo.probability_model, zoo.wrapped_probability_model])
def test_the_probability_models_convert_as_they_are(wrap, tmp_path):
    logits = zoo.dog_cnn((16, 16, 3))
    before = [weight.copy() for weight in logits.get_weights()]
    written = convert(
        wrap(logits), np.random.default_rng(0).random((8, 16, 16, 3), np.float32), out=tmp_path / "p.tflite"
    )
    assert ops(written)[-2:] == ["FULLY_CONNECTED", "SOFTMAX"]
    assert all(np.array_equal(a, b) for a, b in zip(before, logits.get_weights(), strict=True))


def test_the_user_s_model_is_not_changed(tmp_path):
    model = keras.saving.load_model(keras_file())
    config, nodes = model.get_config(), [len(layer._inbound_nodes) for layer in model.layers]
    attributes = [dict(vars(layer)) for layer in [model, *model.layers]]
    convert(model, pictures(2).astype(np.float32), out=tmp_path / "m.tflite")
    assert model.get_config() == config
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    for layer, then in zip([model, *model.layers], attributes, strict=True):
        assert vars(layer).keys() == then.keys()
        assert all(vars(layer)[name] is value for name, value in then.items())


def test_nothing_of_the_converter_s_chatter_reaches_the_user(tmp_path, capfd):
    convert(keras_file(), pictures(2), out=tmp_path / "m.tflite")
    assert capfd.readouterr() == ("", "")


def test_mlperf_s_resnet_converts_and_keeps_its_accuracy(shared_data, tmp_path):
    from firmware_tools import open_engine
    from firmware_tools._compare import compare
    from tfviz import data

    model = shared_data / "mlperf_tiny" / "pretrainedResnet.h5"
    photographs = shared_data / "cifar10_subset.npz"
    written = convert(model, photographs, calibration=100, out=tmp_path / "resnet.tflite")
    with open_engine(f"keras:{model}") as real, open_engine(f"litert:{written}") as integer:
        found = compare(real, integer, data.load(photographs, split="test", limit=64))
    assert found.top1_agreement >= 0.95
    assert found.worst_sqnr.sqnr_db > 15


def test_what_cannot_be_converted_is_refused_in_a_sentence(tmp_path):
    out = tmp_path / "m.tflite"
    layers = keras.layers
    one, two = keras.Input((4,)), keras.Input((4,))
    with pytest.raises(InputError, match="has 2 inputs; only models with one"):
        convert(keras.Model([one, two], layers.Add()([one, two])), pictures(1), out=out)
    with pytest.raises(InputError, match="leaves its input size open"):
        convert(keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(2, 3)]), pictures(1), out=out)
    with pytest.raises(InputError, match="no mode 'int4'"):
        convert(keras_file(), pictures(1), mode="int4", out=out)
    with pytest.raises(InputError, match="needs calibration data"):
        convert(keras_file(), None, out=out)
    with pytest.raises(InputError, match="at least one image"):
        convert(keras_file(), pictures(1), calibration=0, out=out)
    with pytest.raises(InputError, match="are empty"):
        convert(keras_file(), pictures(0), out=out)
    with pytest.raises(InputError, match="8 x 8 x 3; the model's input is 16 x 16 x 3"):
        convert(keras_file(), np.zeros((1, 8, 8, 3), np.float32), out=out)
    with pytest.raises(InputError, match="NaN or infinity"):
        convert(keras_file(), np.full((1, 16, 16, 3), np.nan, np.float32), out=out)
    with pytest.raises(InputError, match="quantised already"):
        convert(keras_file(), pictures(1).astype(np.int8), out=out)
    with pytest.raises(InputError, match=r"does not end in \.tflite"):
        convert(keras_file(), pictures(1), out=tmp_path / "m.lite")
    with pytest.raises(InputError, match="There is no model file"):
        convert(tmp_path / "absent.keras", pictures(1), out=out)
    assert not out.exists()
