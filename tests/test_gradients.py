"""Pixel attributions: shapes, options and errors; their numbers are in test_identities."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from nets import flattened, images, layers, pooled, seeded

from tfviz import gradients, sampling
from tfviz.errors import EmptyMapWarning, InputError


def test_channels_are_reduced_as_each_method_says():
    model, x = flattened(), images(2)
    seen = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(seen)
        score = model(seen)[:, 1]
    g = tape.gradient(score, seen).numpy()
    expected = {
        gradients.gradient: g.sum(-1),
        gradients.saliency: np.abs(g).max(-1),
        gradients.saliency_sum: np.abs(g).sum(-1),
        gradients.gradient_input: (x * g).sum(-1),
    }
    for method, values in expected.items():
        np.testing.assert_allclose(method(model, x, 1), values, rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
def test_inputs_without_a_channel_axis_keep_their_shape():
    model = seeded(keras.Sequential([keras.Input((9,)), layers.Dense(4, activation="relu"), layers.Dense(2)]))
    x = np.random.default_rng(0).normal(size=(3, 9))
    assert gradients.saliency(model, x, 0).shape == (3, 9)
    assert gradients.integrated_gradients(model, x, 0, steps=4).shape == (3, 9)
    assert gradients.saliency(model, x[0], 0).shape == (1, 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "at least 1"),
        ({"steps": 1, "rule": "trapezoid"}, "at least 2"),
        ({"rule": "simpson"}, "gauss-legendre, midpoint and trapezoid"),
        ({"baseline": np.zeros((3, 3))}, "does not broadcast"),
        ({"baseline": "black"}, "does not broadcast"),
    ],
)
def test_integrated_gradients_refuse_what_they_cannot_integrate(options, message):
    with pytest.raises(InputError, match=message):
        gradients.integrated_gradients(pooled(), images(), 0, **options)


def test_a_baseline_of_each_images_own_is_taken():
    model, x = flattened(), images(3)
    x0 = images(3, seed=8)
    got = gradients.integrated_gradients(model, x, 1, baseline=x0, steps=200).sum(axis=(1, 2))
    np.testing.assert_allclose(got, (model(x) - model(x0)).numpy()[:, 1], atol=2e-2)
    with pytest.warns(EmptyMapWarning, match="3 of 3 integrated-gradients maps"):
        np.testing.assert_array_equal(gradients.integrated_gradients(model, x, 1, baseline=x), 0)


def test_noise_and_samples_that_make_no_sense_are_refused():
    for options in ({"samples": 0}, {"noise": -0.1}, {"noise": np.nan}):
        with pytest.raises(InputError, match="expected"):
            gradients.smoothgrad(pooled(), images(), 0, **options)


def test_whole_numbers_at_the_input_have_no_gradient():
    inputs = keras.Input((4,), dtype="int32")
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Embedding(10, 3)(inputs))))
    with pytest.raises(InputError, match="int32, which has no gradient"):
        gradients.saliency(model, np.zeros((1, 4), np.int32))


def test_guided_rules_refuse_a_network_without_rectifiers():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dense(2)])
    for method in (gradients.guided_backprop, gradients.deconvnet):
        with pytest.raises(InputError, match="no ReLU"):
            method(model, np.ones((1, 4)), 0)


@pytest.mark.parametrize("rectifier", ["relu", "relu6", "leaky_relu", "elu", "selu"])
def test_guided_backprop_lets_nothing_negative_through_any_rectifier(rectifier):
    model = keras.Sequential([keras.Input((3,)), layers.Activation(rectifier), layers.Dense(2, use_bias=False)])
    model.layers[-1].kernel.assign([[1.0, 0], [-1.0, 0], [2.0, 0]])
    x = np.array([[0.5, 0.5, 0.5]])
    plain = gradients.gradient(model, x, 0)
    np.testing.assert_array_equal(gradients.guided_backprop(model, x, 0), np.maximum(plain, 0))
    assert plain[0, 1] < 0


def test_memory_of_smoothgrad_does_not_grow_with_the_samples(monkeypatch):
    model, x = pooled(), images(2)
    sizes = []
    execute = sampling.execute

    def spy(model, key, body, arguments, **options):
        sizes.append(sum(argument.nbytes for argument in arguments))
        return execute(model, key, body, arguments, **options)

    monkeypatch.setattr(sampling, "execute", spy)
    gradients.smoothgrad(model, x, 0, samples=8, batch_size=8)
    few = max(sizes)
    gradients.smoothgrad(model, x, 0, samples=64, batch_size=8)
    assert max(sizes) == few
    assert len(sizes) > 10
