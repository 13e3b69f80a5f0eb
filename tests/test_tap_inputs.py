"""What goes into a model: images, tensors, several inputs, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from nets import (
    images,
    layers,
    pooled,
    two_inputs,
)

from tfviz import cam, gradients, maps, tap
from tfviz.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")


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
