"""Feature maps and kernels against the network computed by hand, and on a network trained elsewhere."""

import keras
import numpy as np
import pytest
from nets import images, layers, pooled, seeded

from tfviz import maps, zoo
from tfviz.errors import InputError


def test_the_maps_of_a_convolution_are_the_correlations_written_out():
    model = seeded(keras.Sequential([keras.Input((5, 6, 2)), layers.Conv2D(3, 3, activation="relu", name="conv")]))
    x = np.random.default_rng(0).normal(size=(5, 6, 2)).astype(np.float32)
    w, b = maps.kernels(model, "conv"), model.get_layer("conv").bias.value.numpy()
    got = maps.feature_maps(model, x, ["conv:pre", "conv"])
    for i in range(3):
        for j in range(4):
            expected = np.einsum("hwc,hwco->o", x[i : i + 3, j : j + 3], w) + b
            np.testing.assert_allclose(got["conv:pre"][0, i, j], expected, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(got["conv"][0, i, j], np.maximum(expected, 0), rtol=1e-4, atol=1e-5)


def test_parts_of_any_size_give_the_same_maps_in_the_same_order():
    model, x = pooled(), images(7)
    whole = maps.feature_maps(model, x, "last")["last"]
    for size in (1, 3, 100):
        np.testing.assert_allclose(maps.feature_maps(model, x, "last", batch_size=size)["last"], whole, atol=1e-6)


def test_one_image_keeps_its_batch_axis_and_every_dtype_of_pixels_is_taken():
    model, x = pooled(), np.random.default_rng(0).integers(0, 255, (12, 12, 2)).astype(np.uint8)
    expected = maps.feature_maps(model, x.astype(np.float32))["last"]
    assert expected.shape == (1, 3, 3, 5)
    for dtype in (np.uint8, np.int64, np.float64, np.float16):
        np.testing.assert_array_equal(maps.feature_maps(model, x.astype(dtype))["last"], expected)


def test_the_same_layer_asked_for_twice_is_given_once_and_none_is_refused():
    model = pooled()
    assert list(maps.feature_maps(model, images(), ["first", 0, "first@0"])) == ["first"]
    with pytest.raises(InputError, match="No layer was asked for"):
        maps.feature_maps(model, images(), [])


def test_a_layer_with_several_outputs_answers_in_its_own_structure():
    inputs = keras.Input((6, 4))
    sequence, state = layers.GRU(3, return_sequences=True, return_state=True, name="gru")(inputs)
    model = seeded(keras.Model(inputs, [sequence, state]))
    x = np.random.default_rng(0).normal(size=(2, 6, 4))
    got = maps.feature_maps(model, x, "gru")["gru"]
    assert [part.shape for part in got] == [(2, 6, 3), (2, 3)]
    np.testing.assert_allclose(got[0][:, -1], got[1], atol=1e-6)


def test_the_first_eight_maps_of_both_probability_models_are_the_ones_of_the_network():
    model = zoo.dog_cnn((32, 32, 3))
    flat, wrapped = zoo.probability_model(model), zoo.wrapped_probability_model(model)
    x = images(2, 32, 3)
    expected = maps.feature_maps(model, x, "conv1")["conv1"]
    assert expected.shape == (2, 32, 32, 8)
    np.testing.assert_array_equal(maps.feature_maps(flat, x, 1)["conv1"], expected)
    address = f"{model.name}/conv1"
    np.testing.assert_array_equal(maps.feature_maps(wrapped, x, address)[address], expected)
    log = keras.Model(inputs=flat.inputs, outputs=flat.layers[1].output)
    np.testing.assert_allclose(log([x]), expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning:keras")
def test_every_layer_of_the_trained_resnet_agrees_with_the_network_cut_there(shared_data):
    model = keras.models.load_model(shared_data / "mlperf_tiny" / "pretrainedResnet.h5", compile=False)
    x = np.load(shared_data / "cifar10_subset.npz")["x_test"][:4]
    got = maps.feature_maps(model, x)
    assert len(got) == len(model.layers) - 1
    cut = keras.Model(model.inputs, [layer.output for layer in model.layers[1:]])
    for name, expected in zip((layer.name for layer in model.layers[1:]), cut(x.astype(np.float32)), strict=True):
        np.testing.assert_allclose(got[name], expected, rtol=1e-4, atol=1e-4)
