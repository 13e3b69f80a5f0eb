"""The user's model is the same after every call, also after one that raised."""

import gc
import weakref

import keras
import numpy as np
import pytest
from nets import MODELS, images, pooled, regularised

from tfviz import cam, gradients, maps, tap
from tfviz.errors import InputError


def state(model):
    """Everything that a user could see of a model, by value, and each attribute's identity."""
    flat = model._flatten_layers()
    return {
        "weights": [weight.value.numpy() for weight in model.weights],
        "config": repr(model.get_config()) if type(model).__module__.startswith("keras.") else None,
        "trainable": [layer.trainable for layer in flat],
        "losses": [float(loss) for loss in model.losses],
        "attributes": [{name: id(value) for name, value in vars(layer).items()} for layer in flat],
        "plain": [{k: v for k, v in vars(layer).items() if isinstance(v, (int, float, str, tuple))} for layer in flat],
        "lists": [{k: list(map(id, v)) for k, v in vars(layer).items() if isinstance(v, list)} for layer in flat],
        "inbound": [len(layer._inbound_nodes) for layer in flat],
        "outbound": [len(layer._outbound_nodes) for layer in flat],
        "seeds": [v.value.numpy() for layer in flat for v in layer.non_trainable_variables],
    }


def assert_same(before, after):
    for key, value in before.items():
        if key in ("weights", "seeds"):
            for a, b in zip(value, after[key], strict=True):
                np.testing.assert_array_equal(a, b)
        else:
            assert value == after[key], key


def first_convolution(model):
    return next(info.address for info in tap.layers(model) if info.class_name == "Conv2D")


CALLS = {
    "feature_maps": lambda model, x: maps.feature_maps(model, x),
    "layers": lambda model, _: tap.layers(model),
    "one map": lambda model, x: maps.feature_maps(model, x, first_convolution(model)),
    "before activation": lambda model, x: maps.feature_maps(model, x, f"{first_convolution(model)}:pre"),
    "submodel": lambda model, x: tap.submodel(model, first_convolution(model)).predict(x, verbose=0),
    "submodel before activation": lambda model, x: tap.submodel(model, f"{first_convolution(model)}:pre")(x),
    "saliency": lambda model, x: gradients.saliency(model, x),
    "guided": lambda model, x: gradients.guided_backprop(model, x),
    "smoothgrad": lambda model, x: gradients.smoothgrad(model, x, samples=3),
    "integrated": lambda model, x: gradients.integrated_gradients(model, x, steps=3),
    "grad_cam": lambda model, x: cam.grad_cam(model, x, 1),
}


@pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
@pytest.mark.parametrize("kind", ["functional", "subclassed", "regularised", "data_dependent", "shared", "nested"])
def test_every_call_leaves_the_model_as_it_was(kind):
    model, x = MODELS[kind](), images()
    for name, call in CALLS.items():
        if kind == "data_dependent" and name == "guided":
            continue
        if kind == "shared" and name in ("one map", "before activation", "submodel", "submodel before activation"):
            continue  # its only convolution is called twice: see test_tap
        before = state(model)
        call(model, x)
        assert_same(before, state(model))


def test_a_call_that_raises_leaves_the_model_as_it_was():
    model, x = regularised(), images()

    def explode(_):
        raise RuntimeError("the user's own mistake")

    before = state(model)
    with pytest.raises(RuntimeError, match="own mistake"):
        cam.grad_cam(model, x, explode)
    with pytest.raises(InputError):
        maps.feature_maps(model, x, "no such layer")
    with pytest.raises(InputError):
        gradients.saliency(model, x, lambda outputs: outputs)
    assert_same(before, state(model))


def test_a_model_that_raises_inside_its_call_is_put_back():
    class Broken(keras.Model):
        broken = False

        def __init__(self):
            super().__init__()
            self.conv = keras.layers.Conv2D(2, 3, name="conv")
            self.counter = 0

        def call(self, x):
            self.counter += 1
            x = self.conv(x)
            if Broken.broken:
                raise RuntimeError("inside the model")
            return keras.ops.mean(x, axis=(1, 2))

    model, x = Broken(), images()
    model(x)
    Broken.broken = True
    before = state(model)
    with pytest.raises(RuntimeError, match="inside the model"):
        gradients.saliency(model, x)
    assert_same(before, state(model))


def test_dropout_and_batch_norm_run_in_inference_mode():
    model, x = regularised(), images()
    got = maps.feature_maps(model, x)
    np.testing.assert_allclose(list(got.values())[-1], model(x, training=False), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(list(got.values())[-1], list(maps.feature_maps(model, x).values())[-1])


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_models_that_are_dropped_are_freed(count):
    x = images(1)
    references = []
    for _ in range(count):
        model = keras.Sequential([keras.Input((12, 12, 2)), keras.layers.Conv2D(1, 3), keras.layers.Flatten()])
        model.add(keras.layers.Dense(2))
        gradients.saliency(model, x, 0)
        references.append(weakref.ref(model))
        del model
        keras.backend.clear_session(free_memory=False)
    gc.collect()
    assert sum(reference() is not None for reference in references) == 0


def test_a_model_explained_through_a_function_that_lives_on_is_freed():
    def target(outputs):
        return outputs[:, 0]

    model = pooled()
    gradients.saliency(model, images(), target)
    cam.grad_cam(model, images(), 0)
    tap.submodel(model, "first")
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None
