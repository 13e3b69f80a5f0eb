"""Batch norms folded into convolutions: the same numbers to 1e-5, for every kind of both, and whoever else looks on."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from nets import images, seeded

from tfviz import cam, gradients, tap
from tfviz.passes import Scored
from tfviz.tap import Tap, prepare
from tfviz.tap.derivative import derivative
from tfviz.tap.patch import run
from tfviz.target import plan

layers = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")


def headed(*body):
    """These layers on maps (12, 12, 2), then pooled logits."""
    return seeded(keras.Sequential([keras.Input((12, 12, 2)), *body, layers.GlobalAveragePooling2D(), layers.Dense(3)]))


def shared():
    """One convolution called twice, its outputs taken by two batch norms and, plain, by a sum."""
    inputs = keras.Input((12, 12, 2))
    convolution = layers.Conv2D(4, 3, name="conv")
    one, two = convolution(inputs), convolution(layers.MaxPooling2D(1)(inputs))
    joined = layers.Add()([layers.BatchNormalization()(one), layers.BatchNormalization()(two), one])
    return seeded(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(joined))))


def nested():
    inputs = keras.Input((12, 12, 2))
    return keras.Model(inputs, layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs)), name="inner")


class Subclassed(keras.Model):
    """Its second batch norm always takes the batch's own statistics, as in training."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = layers.Conv2D(4, 3), layers.BatchNormalization()
        self.again, self.live = layers.Conv2D(4, 3), layers.BatchNormalization()
        self.pool, self.head = layers.GlobalAveragePooling2D(), layers.Dense(3)

    def call(self, inputs):
        x = keras.ops.relu(self.norm(self.conv(inputs)))
        return self.head(self.pool(self.live(self.again(x), training=True)))


def subclassed():
    model = Subclassed()
    model(images())
    return seeded(model)


def own_call():
    """A batch norm and a convolution whose `call` somebody has replaced."""
    norm, convolution = layers.BatchNormalization(), layers.Conv2D(4, 3)
    model = headed(convolution, norm, layers.Conv2D(4, 3), layers.BatchNormalization())
    plain = norm.call, convolution.call
    norm.call = lambda x, **options: 2 * plain[0](x, **options)
    convolution.call = lambda x: -plain[1](x)
    return model


# Which models, and how many of their batch norms go into a convolution.
MODELS = {
    "convolution": (lambda: headed(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()), 1),
    "without bias": (lambda: headed(layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization()), 1),
    "depthwise": (
        lambda: headed(layers.DepthwiseConv2D(3, depth_multiplier=3, strides=2), layers.BatchNormalization()),
        1,
    ),
    "groups": (lambda: headed(layers.Conv2D(4, 3, groups=2), layers.BatchNormalization()), 0),
    "dilated": (lambda: headed(layers.Conv2D(4, 3, dilation_rate=2, padding="same"), layers.BatchNormalization()), 1),
    "without gamma": (lambda: headed(layers.Conv2D(4, 3), layers.BatchNormalization(scale=False)), 1),
    "without beta": (lambda: headed(layers.Conv2D(4, 3), layers.BatchNormalization(center=False, epsilon=0.1)), 1),
    "axis by number": (lambda: headed(layers.Conv2D(4, 3), layers.BatchNormalization(axis=3)), 1),
    "another axis": (lambda: headed(layers.Conv2D(4, 3), layers.BatchNormalization(axis=1)), 0),
    "two in a row": (lambda: headed(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.BatchNormalization()), 1),
    "an activation": (lambda: headed(layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()), 0),
    "first of all": (lambda: headed(layers.BatchNormalization(), layers.Conv2D(4, 3)), 0),
    "a large kernel": (lambda: headed(layers.Conv2D(40, 3), layers.Conv2D(40, 9), layers.BatchNormalization()), 0),
    "nested": (lambda: headed(nested()), 1),
    "shared": (shared, 2),
    "subclassed": (subclassed, 1),
    "own call": (own_call, 1),
}


def compiled(model, *taps, folded=True):
    def body(x):
        found = run(model, x, taps, folded=folded)
        return found.outputs, found.tapped

    return tf.function(body, autograph=False).get_concrete_function(tf.TensorSpec([None, 12, 12, 2]))


def folds(model):
    """How many batch norms a compiled run of the model folds: each makes its convolution be there twice."""
    kinds = [[op.type for op in compiled(model, folded=way).graph.get_operations()] for way in (True, False)]
    twice = [[kind for kind in some if "Conv2" in kind or "Call" in kind] for some in kinds]  # groups are a call
    return len(twice[0]) - len(twice[1])


def near(found, expected):
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_the_models_own_to_1e_5_and_all_that_can_be_is_folded(name):
    make, count = MODELS[name]
    model = make()
    near(compiled(model)(images())[0], compiled(model, folded=False)(images())[0])
    assert folds(model) == count


def test_what_is_differentiated_is_not_folded():
    """Nor is a ReLU at its kink then open for one and closed for the other."""
    model = headed(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(name="relu"), layers.Conv2D(4, 3))
    x = tf.constant(images())

    def convolutions(watched):
        scored = Scored(prepare(model, x), plan(model, 1, 3))

        @tf.function(autograph=False)
        def body(x):
            with derivative() as d:
                if watched:
                    d.watch(x)
                return scored(model, [x], [tf.constant([1, 1, 1])], (), d)[0]

        return [op.type for op in body.get_concrete_function(x).graph.get_operations()].count("Conv2D")

    assert (convolutions(True), convolutions(False)) == (2, 3)


@pytest.mark.slow
def test_a_deep_network_is_as_near_to_double_precision_as_unfolded():
    draws, x = np.random.default_rng(0), np.random.default_rng(1).uniform(-1, 1, (4, 96, 96, 3))

    def network(dtype):
        keras.config.set_dtype_policy(dtype)
        try:
            return keras.applications.MobileNetV2((96, 96, 3), weights=None, classes=10, classifier_activation=None)
        finally:
            keras.config.set_dtype_policy("float32")

    model, twin = network("float32"), network("float64")
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            for weight in layer.weights:
                weight.assign(draws.uniform(0.5, 1.5, weight.shape))
    for own, other in zip(model.weights, twin.weights, strict=True):
        other.assign(own.value.numpy().astype(np.float64))
    exact = np.asarray(twin(x, training=False))

    def error(folded):
        body = tf.function(lambda x: run(model, x, folded=folded).outputs, autograph=False)
        given = tf.TensorSpec([None, 96, 96, 3])
        return np.abs(np.asarray(body.get_concrete_function(given)(tf.constant(x, tf.float32))) - exact).max()

    assert error(folded=True) <= min(1e-5 * np.abs(exact).max(), 5 * error(folded=False))


def test_half_precision_is_left_alone():
    model = headed(layers.Conv2D(4, 3, dtype="mixed_float16"), layers.BatchNormalization(dtype="mixed_float16"))
    assert folds(model) == 0
    np.testing.assert_array_equal(compiled(model)(images())[0], compiled(model, folded=False)(images())[0])


def test_maps_of_any_size_are_not_folded_but_right():
    inputs = keras.Input((None, None, 2))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs))
    model = seeded(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    body = tf.function(lambda x: run(model, x, folded=True).outputs, autograph=False)
    near(body.get_concrete_function(tf.TensorSpec([None, None, None, 2]))(images()), model(images()))


def normed():
    norm = layers.BatchNormalization(name="norm")
    return headed(layers.Conv2D(4, 3, name="conv"), norm, layers.ReLU(name="relu"))


def cams(model, x, layer):
    """Grad-CAM of class 1 of a Sequential model: ours, and by an eager tape over its layers."""
    kernel = model.layers[-1].kernel
    kernel.assign(np.abs(kernel))  # no map is empty then
    a, names = tf.constant(x), [each.name for each in model.layers]
    for each in model.layers[: names.index(layer) + 1]:
        a = each(a)
    with tf.GradientTape() as tape:
        tape.watch(a)
        y = a
        for each in model.layers[names.index(layer) + 1 :]:
            y = each(y)
        score = y[:, 1]
    weights = tf.reduce_mean(tape.gradient(score, a), (1, 2), keepdims=True)
    return cam.grad_cam(model, x, 1, layer=layer), tf.nn.relu(tf.reduce_sum(weights * a, -1))


@pytest.mark.parametrize("layer", ["conv", "norm", "relu"])
def test_cams_are_those_of_the_plain_model_before_and_after_the_batch_norm(layer):
    near(*cams(normed(), images(), layer))


def test_a_tapped_convolution_gives_its_own_output():
    model = normed()
    (tapped,) = compiled(model, Tap("conv"))(images())[1]
    np.testing.assert_array_equal(tapped, compiled(model, Tap("conv"), folded=False)(images())[1][0])


def test_gradients_are_those_of_the_plain_model():
    model, x = shared(), tf.constant(images())
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = model(x)[:, 1]
    near(gradients.gradient(model, x, 1), tf.reduce_sum(tape.gradient(score, x), -1))


def test_new_weights_are_followed_without_compiling_anew():
    model = normed()
    before, _ = cams(model, images(), "relu")
    traces = tap.traces()
    seeded(model, seed=5)
    after, plain = cams(model, images(), "relu")
    assert tap.traces() == traces
    assert np.abs(after - before).max() > 0.1 * np.abs(before).max()
    near(after, plain)


def test_a_change_of_structure_compiles_anew():
    model = normed()
    before, _ = cams(model, images(), "relu")
    model.get_layer("norm").epsilon = 2.0
    after, plain = cams(model, images(), "relu")
    assert np.abs(after - before).max() > 0.1 * np.abs(before).max()
    near(after, plain)
    model.get_layer("conv").activation = keras.activations.tanh
    near(*cams(model, images(), "relu"))
