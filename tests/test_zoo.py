"""The log's CNN and its two probability models."""

import numpy as np
import pytest

from tfviz import data, zoo
from tfviz.errors import InputError

IMAGES = np.random.default_rng(0).random((3, 64, 64, 3), np.float32)


def test_the_logs_snippet_gives_the_eight_maps_of_the_first_convolution() -> None:
    import keras

    model = zoo.dog_cnn(seed=3)
    probability_model = zoo.probability_model(model)
    maps = keras.Model(probability_model.inputs, probability_model.layers[1].output).predict(IMAGES, verbose=0)
    assert maps.shape == (3, 64, 64, 8)
    kernel, bias = (np.asarray(weight) for weight in model.layers[1].weights)
    middle = np.tensordot(IMAGES[:, 9:12, 19:22], kernel, axes=3) + bias
    np.testing.assert_allclose(maps[:, 10, 20], np.maximum(middle, 0), atol=1e-5)


def test_both_probability_models_are_the_softmax_of_the_logits_and_share_the_weights() -> None:
    model = zoo.dog_cnn()
    flat, wrapped = zoo.probability_model(model), zoo.wrapped_probability_model(model)
    for _ in range(2):
        logits = model.predict(IMAGES, verbose=0).astype(np.float64)
        softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(flat.predict(IMAGES, verbose=0), softmax, atol=1e-6)
        np.testing.assert_allclose(wrapped.predict(IMAGES, verbose=0), softmax, atol=1e-6)
        model.layers[-1].bias.assign([1.0, 2.0, -3.0])
    assert [type(layer).__name__ for layer in wrapped.layers] == ["Functional", "Softmax"]
    assert flat.layers[1] is model.layers[1]


def test_a_sequential_that_was_never_called_gets_its_softmax_too() -> None:
    import keras

    steps = [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential(steps)
    flat = zoo.probability_model(model)
    x = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
    logits = np.asarray(model(x), np.float64)
    np.testing.assert_allclose(flat(x), np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-5)
    assert flat.layers[1] is model.layers[0]
    with pytest.raises(InputError, match="not built yet"):
        zoo.probability_model(keras.Sequential([keras.layers.Dense(2)]))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    one, same, other = (zoo.dog_cnn(seed=seed).get_weights() for seed in (1, 1, 2))
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(not np.array_equal(a, c) for a, c in zip(one[::2], other[::2], strict=True))


def test_it_is_as_small_as_its_docstring_says() -> None:
    model = zoo.dog_cnn()
    assert f"{model.count_params():,} parameters" in str(zoo.dog_cnn.__doc__)
    convolutions = [layer for layer in model.layers if layer.name.startswith("conv")]
    macs = sum(int(np.prod((*layer.kernel.shape, *layer.output.shape[1:3]))) for layer in convolutions)
    assert f"{macs / 1e6:.1f} million" in str(zoo.dog_cnn.__doc__)
    # int8: input and the first maps live together, the largest pair of the network.
    assert 64 * 64 * 3 + 64 * 64 * 8 < 256 * 1024 // 4


def test_the_folded_twin_computes_the_same() -> None:
    twin = zoo.dog_cnn_twin(seed=5)
    random = np.random.default_rng(1)
    for layer in twin.layers:
        if layer.name.startswith("norm"):
            gamma, beta, mean, variance = (random.random(weight.shape) for weight in layer.get_weights())
            gamma[0] = 0.0  # the limit of what training may reach
            layer.set_weights([gamma, beta - 0.5, mean - 0.5, variance + 0.1])
    folded = zoo.fold(twin)
    assert [layer.name for layer in folded.layers] == [layer.name for layer in zoo.dog_cnn().layers]
    np.testing.assert_allclose(folded.predict(IMAGES, verbose=0), twin.predict(IMAGES, verbose=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("shape", "classes"), [((15, 64, 3), 3), ((64, 64, 0), 3), ((64, 64, 3), 1)])
def test_what_it_cannot_be_built_for_is_a_sentence(shape: tuple[int, int, int], classes: int) -> None:
    with pytest.raises(InputError, match="dog_cnn needs"):
        zoo.dog_cnn(shape, classes)


def test_the_trained_network_is_small_and_knows_the_poses() -> None:
    dogs = zoo.trained_dog_cnn()
    batch = data.load("dog-poses", split="test", limit=150, size=64).whole()
    said = np.asarray(dogs.model(dogs.preprocess(batch.images))).argmax(axis=1)
    assert dogs.class_names == data.load("dog-poses").class_names
    assert np.mean(said == batch.labels) > 0.88
    assert dogs.path.stat().st_size < 300_000
