"""Taps and addresses: on every kind of Keras model."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from nets import (
    MODELS,
    Subclassed,
    built,
    functional,
    images,
    layers,
    nested,
    pooled,
    shared,
)

from tfviz import cam, gradients, maps, tap
from tfviz.errors import InputError
from tfviz.tap.address import parse

pytestmark = pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")


@pytest.mark.parametrize("kind", MODELS)
def test_the_last_map_of_every_kind_of_model_is_its_output(kind):
    model, x = MODELS[kind](), images()
    got = list(maps.feature_maps(model, x).values())[-1]
    np.testing.assert_allclose(got, model(x, training=False).numpy(), rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", MODELS)
def test_the_gradient_of_every_kind_of_model_is_that_of_a_plain_tape(kind):
    model, x = MODELS[kind](), images()
    watched = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        outputs = model(watched, training=False)
        if kind in ("functional", "mixed", "wrapped"):
            outputs = outputs._keras_logits
        score = tf.cast(outputs, tf.float32)[:, 1]
    expected = tape.gradient(score, watched).numpy().sum(-1)
    tolerance = 2e-2 if kind == "mixed" else 1e-5  # half precision inside
    atol = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(gradients.gradient(model, x, 1), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("kind", MODELS)
def test_grad_cam_of_every_kind_of_model_follows_the_formula_at_the_last_spatial_layer(kind):
    model, x = MODELS[kind](), images()
    info = [i for i in tap.layers(model) if len(i.output_shape) == 4][-1] if kind != "data_dependent" else None
    got = cam.grad_cam(model, x, 1)
    address = info.address if info else "conv"
    assert got.shape[1:] == maps.feature_maps(model, x, address)[address].shape[1:3]
    np.testing.assert_array_equal(got, cam.grad_cam(model, x, 1, layer=address))


def test_addresses_are_split_into_path_call_and_place():
    assert parse("a/b@12:pre") == ("a/b", 12, True)
    assert parse("a/b@12") == ("a/b", 12, False)
    assert parse("a@b:pre") == ("a@b", None, True)
    with pytest.raises(InputError):
        parse("")


def test_nested_layers_are_addressed_by_path_without_the_root():
    model, x = nested(), images()
    addresses = [info.address for info in tap.layers(model)]
    inside = ["middle/inner/first", "middle/inner/pool", "middle/inner/last"]
    assert addresses[:6] == [*inside, "middle/inner", "middle/act", "middle"]
    got = maps.feature_maps(model, x, ["middle/inner/first", "middle"])
    inner = model.get_layer("middle").get_layer("inner")
    np.testing.assert_array_equal(got["middle/inner/first"], inner.get_layer("first")(x))
    np.testing.assert_array_equal(got["middle"], tf.nn.relu(inner(x)))


def test_each_call_of_a_shared_layer_has_an_address_and_the_bare_name_is_refused():
    model, x = shared(), images()
    conv = model.get_layer("conv")
    got = maps.feature_maps(model, x, ["conv@0", "conv@1"])
    np.testing.assert_allclose(got["conv@0"], conv(x), atol=1e-6)
    np.testing.assert_allclose(got["conv@1"], conv(conv(x)), atol=1e-6)
    for name in ("conv", conv, 1):
        with pytest.raises(InputError, match=r"'conv@0', 'conv@1'"):
            maps.feature_maps(model, x, name)
    with pytest.raises(InputError, match="has 2"):
        maps.feature_maps(model, x, "conv@2")


def test_the_gradient_at_one_call_of_a_shared_layer_is_that_calls_alone():
    model, x = shared(), images()
    conv, mean, logits = model.get_layer("conv"), model.layers[2], model.get_layer("logits")
    with tf.GradientTape() as tape:
        a = conv(x)
        tape.watch(a)
        score = logits(mean(conv(a)))[:, 2]
    g = tape.gradient(score, a).numpy()
    expected = np.maximum((g.mean(axis=(1, 2), keepdims=True) * a.numpy()).sum(-1), 0)
    np.testing.assert_allclose(cam.grad_cam(model, x, 2, layer="conv@0"), expected, rtol=1e-4, atol=1e-7)


def test_a_layer_that_hands_its_input_on_has_a_gradient_of_its_own():
    inputs = keras.Input((4, 4, 1))
    dropped = layers.Dropout(0.5, name="drop")(inputs)
    model = keras.Model(inputs, layers.Flatten()(layers.Add()([2 * inputs, dropped])))
    x = images(1, 4, 1)
    got = cam.hires_cam(model, x, 0, layer="drop")
    expected = np.zeros((1, 4, 4), np.float32)
    expected[0, 0, 0] = x[0, 0, 0, 0]
    np.testing.assert_array_equal(got, expected)


def test_before_the_activation_is_what_the_relu_cuts():
    model, x = functional(), images()
    got = maps.feature_maps(model, x, ["first:pre", "first", "relu:pre", "relu", "drop"])
    assert got["first:pre"].min() < 0
    np.testing.assert_array_equal(np.maximum(got["first:pre"], 0), got["first"])
    np.testing.assert_array_equal(got["relu:pre"], got["drop"])
    with pytest.raises(InputError, match="no activation"):
        maps.feature_maps(model, x, "pool:pre")


def test_layers_are_named_by_index_and_by_the_layer_itself():
    model, x = pooled(), images()
    assert list(maps.feature_maps(model, x, 0)) == ["first"]
    assert list(maps.feature_maps(model, x, [-1, model.get_layer("pool")])) == ["logits", "pool"]
    with pytest.raises(InputError, match="has 5 layers"):
        maps.feature_maps(model, x, 17)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("frist", "near names: 'first'"),
        ("pooled/first", "near names: 'first'"),
        ("xyz", "its layers are 'first', 'pool'"),
        (2.5, "names no layer"),
        ("logits:pre:pre", "no layer"),
        (True, "names no layer"),
    ],
)
def test_an_unknown_layer_is_refused_with_near_names(name, message):
    with pytest.raises(InputError, match=message):
        maps.feature_maps(pooled(), images(), name)


def test_a_leaf_name_of_a_nested_model_is_answered_with_its_path():
    with pytest.raises(InputError, match="near names: 'middle/inner/last'"):
        cam.grad_cam(nested(), images(), layer="last")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's quantiser under NumPy 2
def test_input_and_quantised_layers_say_why_they_cannot_be_tapped():
    model, x = functional(), images()
    with pytest.raises(InputError, match="input layer"):
        maps.feature_maps(model, x, "image")
    model.get_layer("head").quantize("int8")
    with pytest.raises(InputError, match="quantised"):
        maps.feature_maps(model, x, "head")


def test_a_layer_inside_a_tf_function_of_the_model_says_why_it_cannot_be_tapped():
    class Hidden(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(2, 3, name="conv")
            self.head = layers.GlobalAveragePooling2D(name="mean")

        @tf.function
        def inner(self, x):
            return self.conv(x)

        def call(self, x):
            return self.head(self.inner(x))

    model = built(Hidden())
    assert [info.address for info in tap.layers(model)] == ["mean"]
    with pytest.raises(InputError, match="inside a tf"):
        maps.feature_maps(model, images(), "conv")


def test_other_threads_that_call_the_model_while_it_is_tapped_are_not_recorded():
    model, x = built(Subclassed()), images()
    expected = model(x).numpy()
    answers, stop = [], threading.Event()

    def others():
        while not stop.is_set():
            answers.append(model(x).numpy())

    thread = threading.Thread(target=others)
    thread.start()
    try:
        for size in range(1, 6):
            got = maps.feature_maps(model, images(2, 12)[:, :, :], ["twice@0", "twice@1"], batch_size=size)
            assert list(got) == ["twice@0", "twice@1"]
    finally:
        stop.set()
        thread.join()
    for answer in answers:
        np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_submodel_is_functional_on_the_surface_and_taps_below_it():
    model, x = functional(), images()
    part = tap.submodel(model, ["first", "last"])
    assert type(part).__name__ == "Functional"
    for got, name in zip(part(x), ("first", "last"), strict=True):
        np.testing.assert_allclose(got, maps.feature_maps(model, x, name)[name], atol=1e-6)
    address = "middle/inner/last:pre"
    deep = tap.submodel(nested(), address).predict(x, verbose=0)
    np.testing.assert_allclose(deep, maps.feature_maps(nested(), x, address)[address], atol=1e-6)


def test_kernels_are_those_of_the_convolution_and_refused_elsewhere():
    model = pooled()
    np.testing.assert_array_equal(maps.kernels(model, "first"), model.get_layer("first").kernel.value.numpy())
    assert maps.kernels(model, 2).shape == (3, 3, 4, 5)
    with pytest.raises(InputError, match="MaxPooling2D"):
        maps.kernels(model, "pool")
    transposed = keras.Sequential([keras.Input((4, 4, 2)), layers.Conv2DTranspose(5, 3, name="up")])
    assert maps.kernels(transposed, "up").shape == (3, 3, 2, 5)


def test_layers_states_what_there_is_to_tap():
    info = {i.address: i for i in tap.layers(functional())}
    assert info["first"].output_shape == (None, 10, 10, 4)
    assert (info["first"].class_name, info["first"].parameters, info["first"].activation) == ("Conv2D", 76, "relu")
    assert (info["pool"].parameters, info["pool"].activation, info["relu"].activation) == (0, "", "relu")
    assert info["head"].activation == "softmax"
    assert [i.address for i in tap.layers(built(Subclassed()))] == [
        "first",
        "twice@0",
        "twice@1",
        "norm",
        "mean",
        "logits",
    ]


def test_mobilenet_is_explained_whole_and_nested():
    base = keras.applications.MobileNetV2((96, 96, 3), weights=None, include_top=False, alpha=0.35)
    model = keras.Sequential([keras.Input((96, 96, 3)), base, layers.GlobalAveragePooling2D(), layers.Dense(3)])
    x = images(2, 96, 3)
    name = f"{base.name}/out_relu"
    got = cam.grad_cam(model, x, 1, layer=name)
    np.testing.assert_allclose(got, cam.grad_cam(model, x, 1), rtol=1e-4, atol=1e-9)
    a = maps.feature_maps(model, x, name)[name]
    w = model.layers[-1].kernel.value.numpy()[:, 1]
    np.testing.assert_allclose(got, np.maximum(a @ w / 9, 0), rtol=1e-3, atol=1e-6)
