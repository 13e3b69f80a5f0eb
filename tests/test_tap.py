"""Taps, addresses, the compiled-call cache: on every kind of Keras model."""

import logging
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from nets import (
    MODELS,
    DataDependent,
    ReadsBatch,
    Subclassed,
    built,
    functional,
    images,
    layers,
    nested,
    pooled,
    seeded,
    shared,
    two_inputs,
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


def test_nothing_after_the_last_tap_is_computed():
    class Tracer(layers.Layer):
        ran = 0

        def call(self, x):
            Tracer.ran += 1
            return x

    model = keras.Sequential([keras.Input((4, 4, 1)), layers.ReLU(name="early"), Tracer(), layers.Flatten()])
    Tracer.ran = 0
    maps.feature_maps(model, images(1, 4, 1), "early")
    assert Tracer.ran == 0
    maps.feature_maps(model, images(1, 4, 1), -1)
    assert Tracer.ran == 1


def test_new_classes_partial_batches_and_new_weights_compile_nothing():
    model = pooled()
    calls = (
        lambda x, k: gradients.saliency(model, x, k),
        lambda x, k: cam.grad_cam(model, x, k),
        lambda x, _: maps.feature_maps(model, x, "first"),
        lambda x, k: gradients.smoothgrad(model, x, k, samples=5),
        lambda x, k: gradients.integrated_gradients(model, x, k, steps=5),
    )
    for call in calls:
        call(images(4), 0)
    before = tap.traces()
    for call in calls:
        first = call(images(4), 0)
        for k in (1, [0, 2, 1]):
            call(images(3), k)
        call(images(3).astype(np.float64), 1)
        seeded(model, seed=9)
        changed = call(images(4), 0)
        seeded(model)
        same = call(images(4), 0)
        for a, b, c in zip(*(tf.nest.flatten(r) for r in (first, changed, same)), strict=True):
            assert np.abs(a - b).max() > 1e-4
            np.testing.assert_array_equal(a, c)
    assert tap.traces() == before


def test_a_changed_structure_is_followed():
    model, x = pooled(), images()
    maps.feature_maps(model, x)
    model.get_layer("last").activation = keras.activations.tanh
    np.testing.assert_allclose(list(maps.feature_maps(model, x).values())[-1], model(x), atol=1e-6)
    model.pop()
    assert list(maps.feature_maps(model, x))[-1] == "mean"
    model.add(layers.Dense(7, name="wide"))
    assert maps.feature_maps(model, x)["wide"].shape == (3, 7)


def test_adapted_and_constant_preprocessing_is_followed():
    normalise = layers.Normalization(axis=-1)
    normalise.adapt(images(8))
    scale = layers.Rescaling(2.0)
    model, x = keras.Sequential([keras.Input((12, 12, 2)), normalise, scale]), images()
    maps.feature_maps(model, x)
    normalise.adapt(images(8, seed=4) * 3)
    np.testing.assert_allclose(list(maps.feature_maps(model, x).values())[-1], model(x), atol=1e-6)
    scale.scale = 5.0
    np.testing.assert_allclose(list(maps.feature_maps(model, x).values())[-1], model(x), atol=1e-6)


def test_training_compiles_nothing_anew():
    model, x = pooled(), images(4)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    gradients.saliency(model, x, 0)
    before = tap.traces()
    first = gradients.saliency(model, x, 0)
    model.fit(x, np.array([0, 1, 2, 0]), verbose=0)
    assert np.abs(gradients.saliency(model, x, 0) - first).max() > 0
    assert tap.traces() == before


def test_a_model_that_reads_its_batch_size_gets_padded_parts():
    model, x = built(ReadsBatch(), batch=2), images(7)
    expected = gradients.saliency(model, x[:3], 0)
    before = tap.traces()
    got = gradients.saliency(model, x, 0)
    assert tap.traces() == before
    np.testing.assert_allclose(got[:3], expected, atol=1e-6)
    np.testing.assert_allclose(got[6:], gradients.saliency(model, x[6:], 0), atol=1e-6)
    assert tap.traces() == before


def test_what_cannot_be_compiled_runs_eagerly_and_says_so_once(caplog):
    model, x = built(DataDependent()), images()
    with caplog.at_level(logging.WARNING, "tfviz"):
        for _ in range(3):
            gradients.saliency(model, x, 0)
    assert sum("eagerly" in record.message for record in caplog.records) == 1
    with pytest.raises(InputError, match="eagerly"):
        gradients.guided_backprop(model, x)


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


def test_several_inputs_are_answered_in_the_structure_in_which_they_are_given():
    model = two_inputs()
    left, right = images(3), images(3, 8, 1)
    as_list = gradients.gradient_input(model, [left, right], 1)
    as_dict = gradients.gradient_input(model, {"right": right, "left": left}, 1)
    np.testing.assert_array_equal(as_list[0], as_dict["left"])
    np.testing.assert_array_equal(as_list[1], as_dict["right"])
    assert as_list[0].shape == (3, 12, 12)
    assert as_list[1].shape == (3, 8, 8)
    attributions = gradients.integrated_gradients(model, [left, right], 1, baseline=[0.0, 0.5], steps=64)
    difference = (model([left, right]) - model([0 * left, 0 * right + 0.5])).numpy()[:, 1]
    np.testing.assert_allclose(sum(a.sum(axis=(1, 2)) for a in attributions), difference, atol=5e-3)
    assert cam.grad_cam(model, [left, right], 1, layer="conv_right").shape == (3, 6, 6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: images(2, 10), r"takes \(B, 12, 12, 2\)"),
        (lambda: images(2, 12, 3), r"takes \(B, 12, 12, 2\)"),
        (lambda: np.zeros((12, 12)), r"takes \(B, 12, 12, 2\)"),
        (lambda: np.zeros((0, 12, 12, 2)), "empty"),
        (lambda: np.full((12, 12, 2), "a"), "numbers"),
        (lambda: [np.zeros((12, 12, 2)), np.zeros((10, 12, 2))], "differ in size"),
        (lambda: {"wrong": images()}, "named"),
    ],
)
def test_images_that_do_not_fit_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        gradients.saliency(pooled(), given())


def test_tensors_without_values_are_refused():
    model = pooled()

    @tf.function(autograph=False)
    def inside(x):
        return gradients.saliency(model, x)

    for call in (lambda: inside(tf.constant(images())), lambda: gradients.saliency(model, model.inputs[0])):
        with pytest.raises(InputError, match="without values"):
            call()


def test_models_that_are_none_are_refused():
    with pytest.raises(InputError, match=r"keras\.Model"):
        tap.layers("model.keras")
    with pytest.raises(InputError, match="no weights yet"):
        tap.layers(keras.Sequential([layers.Dense(2)]))


def test_two_inputs_are_refused_with_what_is_missing():
    model = two_inputs()
    with pytest.raises(InputError, match="left, right"):
        gradients.saliency(model, images())
    with pytest.raises(InputError, match="same number"):
        gradients.saliency(model, [images(3), images(2, 8, 1)])


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


@pytest.mark.parametrize("size", [None, 2])
def test_tensors_are_taken_as_they_are_and_in_parts(size):
    model, x = pooled(), images(5)
    for method in (maps.feature_maps, cam.grad_cam, gradients.gradient_input):
        given, same = (method(model, one, batch_size=size) for one in (x, tf.constant(x)))
        for a, b in zip(tf.nest.flatten(given), tf.nest.flatten(same), strict=True):
            np.testing.assert_array_equal(a, b)
    before = tap.traces()
    for other in (tf.constant(x[0]), tf.constant(x, tf.float64), tf.Variable(x)):
        assert len(cam.grad_cam(model, other, batch_size=size)) == (1 if len(other.shape) == 3 else 5)
    assert tap.traces() == before


def test_an_unchanged_model_is_known_at_a_glance_and_a_changed_one_is_not():
    import keras

    from tfviz.tap.fingerprint import Fingerprint

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.ZeroPadding2D(1), layers.Conv2D(2, 3, activation="relu"), layers.Flatten()]
    )
    fingerprint = Fingerprint(model)
    assert fingerprint.holds(model)
    model.layers[1].set_weights([np.ones((3, 3, 1, 2)), np.zeros(2)])
    assert fingerprint.holds(model)
    for change in (
        lambda: setattr(model.layers[1], "activation", keras.activations.tanh),
        lambda: setattr(model.layers[1], "activation", lambda x: x),
        lambda: setattr(model.layers[1], "padding", "same"),
        lambda: setattr(model.layers[0], "padding", ((1, 1), (1, 2))),
        lambda: setattr(model.layers[1], "something", np.zeros(3)),
        lambda: setattr(model.layers[1], "something", np.zeros(3)),
        lambda: (delattr(model.layers[1], "something"), setattr(model.layers[1], "other", 3)),
        lambda: model.pop(),
    ):
        before = Fingerprint(model)
        assert before.holds(model)
        change()
        assert not before.holds(model)
