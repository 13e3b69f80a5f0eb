"""Class activation maps: which layer, empty maps, closed form, several at once; for numbers see test_identities."""

import warnings

import keras
import numpy as np
import pytest
from nets import flattened, images, layers, pooled, seeded

from tfviz import cam, registry, tap, target
from tfviz.errors import EmptyMapWarning, InputError


@pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
def test_several_cams_at_once_are_what_each_gives_alone_for_one_compiled_pass():
    model, x = flattened(), images()
    names = list(cam.MEMBERS)
    alone = {name: registry.find(name).function(model, x, 2, layer="first") for name in names}
    before = tap.traces()
    together = cam.cams(model, x, names, 2, layer="first")
    assert tap.traces() == before + 1
    assert list(together) == names
    for name, expected in alone.items():
        np.testing.assert_allclose(together[name], expected, rtol=1e-4, atol=1e-6)


def test_a_layer_without_places_is_refused_with_the_last_that_has_some():
    model = flattened()
    for layer in ("flat", "logits"):
        with pytest.raises(InputError, match="the last layer that has is 'last'"):
            cam.grad_cam(model, images(), 0, layer=layer)
    dense = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(InputError, match="nothing to map"):
        cam.grad_cam(dense, np.ones((1, 4)), 0)
    with pytest.raises(InputError, match="no layer of this model has"):
        cam.grad_cam(dense, np.ones((1, 4)), 0, layer=0)


def test_the_default_layer_is_the_last_call_with_more_than_one_place():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(3, 3, activation="relu", name="conv")(inputs)
    x = layers.Dropout(0.1, name="drop")(x)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    model = seeded(keras.Model(inputs, layers.Flatten()(layers.Conv2D(2, 1, name="head")(x))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMapWarning)
        x = images(2, 8, 1)
        np.testing.assert_array_equal(cam.grad_cam(model, x, 1), cam.grad_cam(model, x, 1, layer="drop"))
        assert cam.grad_cam(model, x, 1, layer="head").shape == (2, 1, 1)


def test_an_empty_map_is_warned_of_and_a_full_one_is_not():
    model = pooled()
    model.get_layer("logits").kernel.assign(-np.ones((5, 3)))
    with pytest.warns(EmptyMapWarning, match="3 of 3 grad-cam maps are zero everywhere"):
        maps = cam.grad_cam(model, images(), 0)
    assert not maps.any()
    model.get_layer("logits").kernel.assign(np.ones((5, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cam.grad_cam(model, images(), 0).any()


def test_closed_form_cam_follows_head_and_class():
    model, x = pooled(), images()
    a = model.layers[2](model.layers[1](model.layers[0](x))).numpy()
    w = model.get_layer("logits").kernel.value.numpy()
    for k in ([0, 2, 1], model(x).numpy().argmax(-1)):
        got = cam.class_activation_map(model, x, k)
        np.testing.assert_allclose(got, np.einsum("bijk,kb->bij", a, w[:, k]), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(cam.class_activation_map(model, x), got)
    wrapped = keras.Sequential([model, layers.Softmax()])
    np.testing.assert_array_equal(cam.class_activation_map(wrapped, x), got)
    one = pooled(units=1)
    np.testing.assert_array_equal(cam.class_activation_map(one, x, 0), -cam.class_activation_map(one, x, 1))


@pytest.mark.parametrize("pool", [6, 5])
def test_average_pooling_over_the_whole_map_is_global_and_over_a_part_is_not(pool):
    steps = [keras.Input((8, 8, 1)), layers.Conv2D(4, 3, name="last"), layers.AveragePooling2D(pool)]
    model = seeded(keras.Sequential([*steps, layers.Flatten(), layers.Dense(3, name="logits")]))
    x = images(3, 8, 1)
    if pool == 5:
        with pytest.raises(InputError, match="after it come AveragePooling2D, Flatten, Dense"):
            cam.class_activation_map(model, x, 1)
        return
    bias = model.get_layer("logits").bias.value.numpy()[1]
    got = cam.class_activation_map(model, x, 1).mean(axis=(1, 2))
    np.testing.assert_allclose(got, model(x).numpy()[:, 1] - bias, rtol=1e-5, atol=1e-6)


def test_closed_form_cam_refuses_other_heads_layers_and_targets():
    with pytest.raises(InputError, match="after it come Flatten, Dense"):
        cam.class_activation_map(flattened(), images(), 0)
    with pytest.raises(InputError, match="needs global average pooling"):
        cam.class_activation_map(pooled(), images(), 0, layer="first")
    with pytest.raises(InputError, match="class's logit"):
        cam.class_activation_map(pooled(), images(), target.probability(0))


def test_unknown_methods_are_refused_with_the_known():
    with pytest.raises(InputError, match="there are grad-cam"):
        cam.cams(pooled(), images(), ["grad-cam", "no-cam"])
    with pytest.raises(InputError, match="near names: grad-cam"):
        registry.find("gradcam")
    with pytest.raises(InputError, match="is a pixel method"):
        registry.find("saliency", "layer")
    assert registry.find("Grad_CAM").function is cam.grad_cam


def test_the_registry_describes_every_method_in_a_line_and_names_its_function():
    for name, method in registry.METHODS.items():
        assert method.name == name
        assert callable(method.function)
        assert 10 < len(method.line) < 90
        assert method.source


@pytest.mark.filterwarnings("ignore::UserWarning:keras")
def test_grad_cam_of_the_trained_resnet_is_cam_and_its_dogs_are_where_the_score_comes_from(shared_data):
    model = keras.models.load_model(shared_data / "mlperf_tiny" / "pretrainedResnet.h5", compile=False)
    with np.load(shared_data / "cifar10_subset.npz") as archive:
        x, y = archive["x_test"], archive["y_test"].ravel()
    dogs = x[y == 5][:8].astype(np.float32)
    scores = target.scores(model, dogs, 5)
    kernel, bias = (weight.value.numpy() for weight in model.layers[-1].weights)
    np.testing.assert_allclose(model(dogs).numpy()[:, 5], np.exp(scores - _logsumexp(model, dogs)), rtol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMapWarning)
        last = [i.address for i in tap.layers(model) if len(i.output_shape) == 4 and i.output_shape[1] > 1][-1]
        got = cam.grad_cam(model, dogs, 5)
    a = cam.members.weighted(_maps(model, dogs, last), np.repeat(kernel[None, :, 5], len(dogs), 0)).numpy()
    np.testing.assert_allclose(got * a[0].size, np.maximum(a, 0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(a.mean(axis=(1, 2)), scores - bias[5], rtol=1e-3, atol=1e-3)


def _maps(model, x, layer):
    from tfviz import maps

    return maps.feature_maps(model, x, layer)[layer]


def _logsumexp(model, x):
    logits = np.stack([target.scores(model, x, k) for k in range(10)], axis=-1)
    return np.log(np.exp(logits).sum(-1))
