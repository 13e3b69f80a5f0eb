"""Black-box methods: whom they ask and how; models, functions, engines, targets, and what is refused."""

import gc
import tracemalloc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from black_boxes import METHODS, SIZE, X, method, scores
from nets import MODELS, images, linear, pooled, regularised, seeded, two_inputs
from test_purity import assert_same, state

from tfviz import perturb, tap, target
from tfviz.errors import EmptyMapWarning, InputError


@pytest.mark.parametrize("name", METHODS)
def test_a_model_and_a_function_of_its_logits_give_the_same(name):
    model, x = linear(), X.astype(np.float32)
    kernel, bias = model.get_weights()

    def logits(images):
        return images.reshape(len(images), -1) @ kernel + bias

    options = METHODS[name]
    want = method(name)(model, x, 1, **options)
    np.testing.assert_allclose(method(name)(logits, x, 1, **options), want, rtol=1e-4, atol=1e-5)
    assert want.dtype == np.float32
    assert want.shape == (2, 6, 6)


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_gives_what_its_images_give_whatever_the_batch_size(name):
    options = METHODS[name]
    want = method(name)(scores, X, [0, 2], **options)
    for batch_size in (1, 7, 1000):
        np.testing.assert_allclose(method(name)(scores, X, [0, 2], batch_size=batch_size, **options), want, atol=1e-5)
    alone = [method(name)(scores, x, k, **options) for x, k in zip(X, [0, 2], strict=True)]
    np.testing.assert_allclose(np.concatenate(alone), want, atol=1e-5)
    np.testing.assert_array_equal(method(name)(scores, X, [0, 2], **options), want)


@pytest.mark.parametrize("name", ["rise", "lime", "sobol", "hsic"])
def test_another_seed_draws_other_samples(name):
    assert np.abs(method(name)(curved, X, **METHODS[name]) - method(name)(curved, X, seed=1, **METHODS[name])).max() > 0


def curved(x):
    return np.tanh(scores(x) / 4) ** 2


@pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
@pytest.mark.parametrize("name", METHODS)
def test_constant_black_huge_and_tiny_images_give_finite_maps(name):
    x = np.stack([np.zeros(SIZE), np.ones(SIZE), np.full(SIZE, 1e30), np.full(SIZE, 1e-30)]).astype(np.float32)
    options = {key: 9 if key == "segments" else value for key, value in METHODS[name].items()}
    got = method(name)(linear(), x, 1, **options)
    assert np.isfinite(got).all()
    assert not got[0].any() or name == "rise"  # black is what is filled in


@pytest.mark.parametrize("name", METHODS)
def test_a_score_that_nothing_changes_gives_an_empty_map_that_is_flagged(name):
    value = 0.0 if name == "rise" else 5.0
    with pytest.warns(EmptyMapWarning, match="2 of 2 .* zero everywhere"):
        got = method(name)(lambda x: np.full((len(x), 2), value), X, **METHODS[name])
    assert not got.any()


def test_nothing_is_compiled_anew_for_a_new_class_or_more_samples():
    model, x = pooled(), images()
    perturb.rise(model, x, 0, samples=300)
    before = tap.traces()
    perturb.rise(model, x, 1, samples=500)
    perturb.occlusion(model, x, 2)
    assert tap.traces() == before


@pytest.mark.parametrize("kind", ["nested", "subclassed", "reads_batch", "mixed", "wrapped"])
def test_models_of_every_kind_are_explained_by_their_logits(kind):
    model, x = MODELS[kind](), images(2)
    before = [w.value.numpy() for w in model.weights]
    got = perturb.occlusion(model, x, 1, patch=6)
    covered = x.copy()
    covered[:, :6, :6] = 0
    want = target.scores(model, x, 1) - target.scores(model, covered, 1)
    np.testing.assert_allclose(got[:, 0, 0], want, atol=5e-3 if kind == "mixed" else 1e-5)
    for a, b in zip(before, [w.value.numpy() for w in model.weights], strict=True):
        np.testing.assert_array_equal(a, b)


def test_none_goes_on_with_the_class_of_the_unchanged_image():
    model, x = pooled(), images()
    own = target.predictions(model, x)
    np.testing.assert_array_equal(perturb.occlusion(model, x), perturb.occlusion(model, x, own))
    best = scores(X).argmax(axis=1)
    np.testing.assert_array_equal(perturb.occlusion(scores, X), perturb.occlusion(scores, X, best))


def test_a_head_of_one_unit_is_for_and_against_on_a_model_and_one_column_of_a_function():
    model, x = pooled(units=1), images()
    np.testing.assert_allclose(perturb.occlusion(model, x, 1), -perturb.occlusion(model, x, 0), atol=1e-6)
    one = perturb.occlusion(lambda images: scores(images)[:, :1], X, 0)
    np.testing.assert_array_equal(one, perturb.occlusion(lambda images: scores(images)[:, 0], X))


def test_targets_of_a_function_are_columns_names_differences_and_functions():
    a, b = (perturb.occlusion(scores, X, k) for k in (0, 1))
    np.testing.assert_allclose(perturb.occlusion(scores, X, target.difference(0, 1)), a - b, atol=1e-5)
    np.testing.assert_array_equal(perturb.occlusion(scores, X, "cat", class_names=["dog", "cat", "cow"]), b)
    np.testing.assert_array_equal(perturb.occlusion(scores, X, lambda y: y[:, 1]), b)
    np.testing.assert_array_equal(perturb.occlusion(scores, X, ["dog", 1], class_names=["dog", "cat", "cow"])[1], b[1])


def test_whole_number_images_stay_what_they_were_and_are_rounded():
    seen = []

    def predict(x):
        seen.append(x)
        return x.astype(float).mean(axis=(1, 2))

    x = np.full((1, 4, 4, 1), 255, np.uint8)
    x[0, 0] = 0
    perturb.occlusion(predict, x, patch=2, fill="mean")
    assert {part.dtype for part in seen} == {np.dtype(np.uint8)}
    assert set(np.unique(np.concatenate(seen))) == {0, 191, 255}  # 0.75 * 255 = 191.25


def test_a_tensorflow_lite_interpreter_is_explained_as_its_model_is():
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    model = pooled()
    inputs = keras.Input(batch_shape=(1, 12, 12, 2))
    fixed = keras.Model(inputs, model(inputs))
    flat = tf.lite.TFLiteConverter.from_keras_model(fixed).convert()
    lite = interpreter.Interpreter(model_content=flat)
    lite.allocate_tensors()

    def predict(x):
        answers = []
        for one in x:
            lite.set_tensor(lite.get_input_details()[0]["index"], one[None])
            lite.invoke()
            answers.append(lite.get_tensor(lite.get_output_details()[0]["index"])[0])
        return np.stack(answers)

    x = images(2)
    want = perturb.rise(model, x, 1, samples=50)
    np.testing.assert_allclose(perturb.rise(predict, x, 1, samples=50), want, atol=1e-4)


REFUSED = {
    "predict.* is expected": lambda: perturb.occlusion("model", X),
    "returned float64 of shape \\(\\)": lambda: perturb.occlusion(lambda _: 1.0, X),
    "for 2 images": lambda: perturb.occlusion(lambda _: np.zeros((5, 2)), X),
    "expected \\(B, H, W, C\\)": lambda: perturb.occlusion(scores, X[0, 0]),
    "within the picture": lambda: perturb.occlusion(scores, X, patch=7),
    "a stride at least 1": lambda: perturb.occlusion(scores, X, patch=2, stride=0),
    "'mean' or 'blur'": lambda: perturb.occlusion(scores, X, fill="grey"),
    "does not broadcast": lambda: perturb.occlusion(scores, X, fill=np.zeros(5)),
    "columns 0 to 2": lambda: perturb.occlusion(scores, X, 3),
    "Column -1": lambda: perturb.occlusion(scores, X, -1),
    "3 targets": lambda: perturb.occlusion(scores, X, [0, 1, 2]),
    "is no target": lambda: perturb.occlusion(scores, X, 1.5),
    "names are not known": lambda: perturb.occlusion(scores, X, "cat"),
    "names are dog": lambda: perturb.occlusion(scores, X, "cat", class_names=["dog"]),
    "needs a Keras model": lambda: perturb.occlusion(scores, X, target.probability(1)),
    "returned shape \\(2, 3\\)": lambda: perturb.occlusion(scores, X, lambda y: y),
    "give a function": lambda: perturb.occlusion(lambda x: x, X),
    "NaN or infinite": lambda: perturb.occlusion(lambda x: scores(x) / x.min(), X),
    "samples=0": lambda: perturb.rise(scores, X, samples=0),
    "probability=1": lambda: perturb.rise(scores, X, probability=1),
    "grid of 9 x 9": lambda: perturb.rise(scores, X, grid=9),
    "kernel_width=0": lambda: perturb.lime(scores, X, kernel_width=0),
    "whole numbers": lambda: perturb.lime(scores, X, segments=np.zeros((3, 3))),
    "at least 2": lambda: perturb.kernel_shap(scores, X, samples=1),
    "reach 555 cells": lambda: perturb.sobol(lambda x: x[:, 0, 0], np.ones((1, 30, 30, 1)), grid=30),
    "one input": lambda: perturb.occlusion(two_inputs(), [images(), images(size=8, channels=1)]),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("sentence", REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(sentence):
    with pytest.raises(InputError, match=sentence):
        REFUSED[sentence]()


def test_memory_does_not_grow_with_the_samples():
    x = np.ones((1, 32, 32, 1))
    peaks = []
    for samples in (200, 2000):
        tracemalloc.start()
        perturb.rise(lambda images: images.sum(axis=(1, 2)), x, samples=samples, batch_size=50)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.parametrize("name", METHODS)
def test_the_model_is_left_as_it_was_also_by_a_call_that_raises_and_is_freed(name):
    model, x = regularised(), images(1)
    before = state(model)
    labels = np.arange(144).reshape(12, 12) // 36
    options = {key: labels if key == "segments" else value for key, value in METHODS[name].items()}
    method(name)(model, x, 1, **options)
    assert_same(before, state(model))
    with pytest.raises(RuntimeError, match="own mistake"):
        method(name)(model, x, explode, **options)
    assert_same(before, state(model))
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def explode(_):
    raise RuntimeError("the user's own mistake")


def test_a_model_of_whole_numbers_gets_rounded_mixtures():
    inputs = keras.Input((4, 4, 1), dtype="uint8")
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1.0)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(mean))
    model.set_weights([np.ones((1, 1))])
    x = np.full((1, 4, 4, 1), 255, np.uint8)
    x[0, 0] = 0
    got = perturb.occlusion(model, x, 1, patch=2, fill="mean")
    # The mean, 191.25, becomes 191; a quarter of the pixels is covered: half of it black in the upper patches.
    want = [255 / 8 - 191 / 4, 255 / 4 - 191 / 4]
    np.testing.assert_allclose(got[0, ::2, 0], want, rtol=1e-5)


def test_layers_that_a_seed_would_move_do_not_matter_to_a_model_explained():
    model, x = seeded(keras.Sequential([keras.Input((12, 12, 2)), keras.layers.Dropout(0.5), pooled()])), images()
    np.testing.assert_array_equal(perturb.occlusion(model, x, 1), perturb.occlusion(model, x, 1))
