"""Black-box methods: closed forms on functions whose answer is known, and the same on models and on functions."""

import gc
import weakref

import keras
import numpy as np
import pytest
from nets import MODELS, images, linear, pooled, regularised, seeded, two_inputs
from test_purity import assert_same, state

from tfviz import perturb, registry, tap, target
from tfviz.errors import EmptyMapWarning, InputError

RNG = np.random.default_rng(5)
SIZE = (6, 6, 2)
X = RNG.uniform(0.5, 1.5, (2, *SIZE))
W = RNG.normal(size=(*SIZE, 3))
QUARTERS = np.kron(np.arange(4).reshape(2, 2), np.ones((3, 3), int))

METHODS = {
    "occlusion": {},
    "rise": {"samples": 40},
    "lime": {"samples": 40, "segments": QUARTERS},
    "kernel-shap": {"samples": 40, "segments": QUARTERS},
    "sobol": {"samples": 4, "grid": 2},
    "hsic": {"samples": 40, "grid": 2},
}


def scores(x):
    """A linear function with three outputs."""
    return np.einsum("bijc,ijck->bk", x.astype(np.float64), W) + np.array([1.0, 2.0, 3.0])


def per_quarter(values):
    """The sum over each quarter of the picture, painted on it."""
    sums = np.stack([values[:, q == QUARTERS].sum(axis=1) for q in range(4)], axis=1)
    return sums[:, QUARTERS]


def terms(k, fill=0.0):
    """What each pixel adds to column `k` beside its fill."""
    return ((X - fill) * W[..., k]).sum(axis=-1)


def method(name):
    return registry.find(name, "black-box").function


@pytest.mark.parametrize("fill", [0.0, 0.3, "mean", np.array([0.2, 0.4]), "blur"], ids=str)
def test_occlusion_of_a_linear_function_is_the_sum_over_the_patch_of_w_times_what_was_taken(fill):
    got = perturb.occlusion(scores, X, 1, patch=3, fill=fill)
    base = {"mean": X.mean(axis=(1, 2), keepdims=True), "blur": blurred(X)}.get(str(fill), fill)
    np.testing.assert_allclose(got, per_quarter(terms(1, base)), rtol=1e-6, atol=1e-6)


def blurred(x):
    import cv2

    return np.stack([cv2.GaussianBlur(one, (0, 0), 1.0) for one in x])


def test_occlusion_by_single_pixels_shows_each_pixels_own_term():
    np.testing.assert_allclose(perturb.occlusion(scores, X, [2, 0], patch=1)[0], terms(2)[0], rtol=1e-6, atol=1e-6)


def test_overlapping_patches_are_averaged_and_the_last_one_ends_at_the_edge():
    line = np.arange(1.0, 6.0).reshape(1, 1, 5, 1)
    got = perturb.occlusion(lambda x: x.sum(axis=(1, 2, 3)), line, patch=(1, 2), stride=1)
    np.testing.assert_allclose(got[0, 0], [3, (3 + 5) / 2, (5 + 7) / 2, (7 + 9) / 2, 9], rtol=1e-6)
    moved = perturb.occlusion(lambda x: x.sum(axis=(1, 2, 3)), line, patch=(1, 2))
    np.testing.assert_allclose(moved[0, 0], [3, 3, 7, (7 + 9) / 2, 9], rtol=1e-6)
    gaps = perturb.occlusion(lambda x: x.sum(axis=(1, 2, 3)), line, patch=(1, 1), stride=(1, 2))
    np.testing.assert_allclose(gaps[0, 0], [1, 0, 3, 0, 5], rtol=1e-6)


def test_the_default_patch_makes_sixty_four():
    asked = []

    def count(x):
        asked.append(len(x))
        return x.mean(axis=(1, 2))

    perturb.occlusion(count, np.ones((1, 64, 64, 1)))
    assert sum(asked) == 1 + 1 + 64  # which column, the whole picture, the patches


def test_rise_of_a_linear_function_tends_to_its_expectation():
    x, w = np.array([[[[1.0], [2.0]], [[3.0], [4.0]]]]), np.array([5.0, -1.0, 2.0, 0.5])

    def predict(images):
        return images.reshape(-1, 4) @ w

    # Each of the four pixels is the mean a of two or four cells, so E[y M_i] / p = sum_j w_j x_j (p + (1 - p) a_i a_j).
    got = perturb.rise(predict, x, samples=40_000, grid=2, probability=0.25, batch_size=4000)
    corner = np.array([[1.0, 0.0], [0.5, 0.5]])
    a = np.kron(corner, corner)
    want = (0.25 + 0.75 * a @ a.T) @ (w * x.reshape(4))
    np.testing.assert_allclose(got.reshape(4), want, atol=0.15)
    assert np.abs(got.reshape(4) - want).max() > 0  # sampled, not computed


def test_rise_masks_have_the_mean_that_they_are_divided_by():
    from tfviz.perturb._rise import random_masks

    masks = random_masks((9, 7), (3, 4), 0.3, 1)(range(20_000))
    assert masks.min() >= 0
    assert masks.max() <= 1 + 1e-6
    np.testing.assert_allclose(masks.mean(axis=0), 0.3, atol=0.015)
    cut = random_masks((9, 7), (3, 4), 0.3, 1)
    np.testing.assert_array_equal(np.concatenate([cut(range(0, 3)), cut(range(3, 10))]), masks[:10])


def test_rise_enlarges_as_opencv_does():
    import cv2

    from tfviz.perturb._rise import _interpolation

    grid = RNG.random((3, 4)).astype(np.float32)
    got = _interpolation(3, 12) @ grid @ _interpolation(4, 20).T
    np.testing.assert_allclose(got, cv2.resize(grid, (20, 12), interpolation=cv2.INTER_LINEAR), atol=1e-6)


def test_lime_without_a_ridge_finds_the_terms_of_an_additive_function_and_the_ridge_shrinks_them():
    want = per_quarter(terms(1))
    got = perturb.lime(scores, X, 1, samples=60, segments=QUARTERS, alpha=0, fill=0.0)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    shrunk = perturb.lime(scores, X, 1, samples=60, segments=QUARTERS, alpha=100.0, fill=0.0)
    assert 0 < np.abs(shrunk).sum() < 0.5 * np.abs(want).sum()


def test_lime_is_the_weighted_ridge_of_its_samples():
    nonlinear = seen_samples(perturb.lime, samples=30, segments=QUARTERS, alpha=2.0, kernel_width=0.4, fill=0.0)
    z, y, got = nonlinear
    pi = np.exp(-(((1 - np.sqrt(z.mean(axis=1))) / 0.4) ** 2))
    middle, level = pi @ z / pi.sum(), pi @ y / pi.sum()
    centred = z - middle
    want = np.linalg.solve(centred.T @ (pi[:, None] * centred) + 2 * np.eye(4), centred.T @ (pi * (y - level)))
    np.testing.assert_allclose(got, want, rtol=1e-5)


def seen_samples(function, **options):
    """The coalitions that a method asked for, their scores, and each quarter's value."""
    seen, values = [], []

    def predict(x):
        z = np.stack([x[:, q == QUARTERS].any(axis=(1, 2)) for q in range(4)], axis=1).astype(float)
        y = game(z)
        seen.append(z)
        values.append(y)
        return y

    got = function(predict, np.ones((1, 6, 6, 1)), **options)[0]
    z, y = np.concatenate(seen), np.concatenate(values)
    first = len(z) - options["samples"]
    return z[first:], y[first:], got[[0, 0, 3, 3], [0, 3, 0, 3]]


def game(z):
    """A game of four players with interactions of two and of three."""
    return 2 * z[:, 0] - z[:, 1] + 3 * z[:, 0] * z[:, 1] + z[:, 1] * z[:, 2] * z[:, 3] + np.exp(z[:, 3]) + 7


def shapley(players=4):
    """By the definition: the mean over all orders of what each player adds."""
    from itertools import permutations

    orders, values = list(permutations(range(players))), np.zeros(players)
    for order in orders:
        z = np.zeros((1, players))
        for player in order:
            before = game(z)[0]
            z[0, player] = 1
            values[player] += game(z)[0] - before
    return values / len(orders)


def test_kernel_shap_over_all_coalitions_is_shapley_by_brute_force():
    z, _, got = seen_samples(perturb.kernel_shap, samples=14, segments=QUARTERS, fill=0.0)
    assert sorted(z.astype(int) @ [1, 2, 4, 8]) == list(range(1, 15))
    np.testing.assert_allclose(got, shapley(), rtol=1e-6)


def test_sampled_kernel_shap_is_complete_and_near_and_of_an_additive_function_exact():
    blocks = np.kron(np.arange(9).reshape(3, 3), np.ones((2, 2), int))
    got = perturb.kernel_shap(scores, X, 0, samples=60, segments=blocks, fill=0.0)
    want = np.stack([terms(0)[:, blocks == q].sum(axis=1) for q in range(9)], axis=1)[:, blocks]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)

    def interacting(x):
        means = np.stack([x[:, blocks == q].mean(axis=(1, 2)) for q in range(9)], axis=1)
        return means[:, 0] * means[:, 1] + means[:, 2] * means[:, 3] * means[:, 4] + means[:, 8]

    x = np.ones((1, *SIZE))
    exact = perturb.kernel_shap(interacting, x, samples=510, segments=blocks, fill=0.0)
    sampled = perturb.kernel_shap(interacting, x, samples=500, segments=blocks, fill=0.0)
    assert sampled[0, ::2, ::2].sum() == pytest.approx(3, abs=1e-5)
    assert 0 < np.abs(sampled - exact).max() < 0.1


def test_total_sobol_indices_of_a_linear_function_are_its_squared_terms():
    c = per_quarter(terms(2))
    squares = c[:, ::3, ::3] ** 2
    want = squares / squares.sum(axis=(1, 2), keepdims=True)
    got = perturb.sobol(scores, X, 2, samples=1024, grid=2)
    np.testing.assert_allclose(got[:, ::3, ::3], want, atol=0.02)


def test_total_sobol_indices_count_interactions_for_each_that_takes_part():
    def product(x):
        return x[:, 0, 0, 0] * x[:, 0, 3, 0]

    # Of a product of two uniform numbers: ST = (1/12 * 1/4 + 1/144) / (7/144) = 4/7 each.
    got = perturb.sobol(product, np.ones((1, *SIZE)), samples=1024, grid=2)[0, ::3, ::3]
    np.testing.assert_allclose(got, [[4 / 7, 4 / 7], [0, 0]], atol=0.02)


def test_the_sobol_design_is_jansens_however_it_is_cut():
    from tfviz.perturb._sobol import Jansen, _Design

    design = _Design(3, 4)
    whole = design.masks(range(40)).reshape(8, 5, 3)
    a, b = whole[:, 0], whole[:, 1]
    for i in range(3):
        np.testing.assert_array_equal(np.delete(whole[:, 2 + i], i, 1), np.delete(a, i, 1))
        np.testing.assert_array_equal(whole[:, 2 + i, i], b[:, i])
    parts = [design.masks(range(i, min(i + 7, 40))) for i in range(0, 40, 7)]
    np.testing.assert_array_equal(np.concatenate(parts).reshape(8, 5, 3), whole)
    y = 1e6 + np.random.default_rng(0).normal(size=(2, 40))
    of = y.reshape(2, 8, 5)
    plain = of[:, :, :2].reshape(2, -1)
    want = ((of[:, :, :1] - of[:, :, 2:]) ** 2).sum(axis=1) / (2 * 8 * plain.var(axis=1)[:, None])
    jansen = Jansen(2, 3)
    for i in range(0, 40, 7):
        for rows in (slice(0, 1), slice(1, 2)):
            jansen.add(rows, i, y[rows, i : i + 7])
    np.testing.assert_allclose(jansen.total_indices(), want, rtol=1e-6)


def test_hsic_is_the_trace_of_its_centred_kernels():
    from tfviz.perturb._hsic import bandwidth, dependence

    draws = np.random.default_rng(2)
    kept, y = draws.integers(0, 2, (700, 3)), draws.normal(size=700)
    centre = np.eye(700) - 1 / 700
    kernel = np.exp(-((y[:, None] - y) ** 2) / (2 * bandwidth(y) ** 2))
    for i in range(3):
        agree = (kept[:, i, None] == kept[:, i]).astype(float)
        want = np.trace(agree @ centre @ kernel @ centre) / 699**2
        assert dependence(kept, y)[i] == pytest.approx(want, rel=1e-9)


def test_hsic_sees_the_cell_that_the_score_hangs_on_and_a_dependence_that_leaves_the_mean_alone():
    def corner(x):
        return x[:, 0, 0, 0]

    got = perturb.hsic(corner, np.ones((1, *SIZE)), grid=2)[0, ::3, ::3]
    # y is 0 or 1, s = 1: HSIC of a fair coin is (1 - exp(-1/2)) / 4 here.
    assert got[0, 0] == pytest.approx((1 - np.exp(-0.5)) / 4, rel=0.03)
    assert got.reshape(-1)[1:].max() < 0.01 * got[0, 0]
    draws = np.random.default_rng(0)

    def spread(x):
        return draws.normal(size=len(x)) * x[:, 0, 0, 0]

    wide = perturb.hsic(spread, np.ones((1, *SIZE)), grid=2)[0, ::3, ::3]
    assert wide.argmax() == 0
    assert wide[0, 0] > 20 * np.sort(wide.reshape(-1))[-2]


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
    import tensorflow as tf

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
    import tracemalloc

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
