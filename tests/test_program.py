"""Compiled runs: what is compiled once, what anew, and what not at all."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from nets import (
    DataDependent,
    ReadsBatch,
    built,
    images,
    layers,
    pooled,
    seeded,
)

from tfviz import cam, gradients, maps, tap
from tfviz.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")


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
