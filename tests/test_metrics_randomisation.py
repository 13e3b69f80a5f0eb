"""The sanity check and what it is made of: similarities, random weights, a private copy of the model."""

import cv2
import keras
import nets
import numpy as np
import pytest
import tensorflow as tf
from test_purity import assert_same, state

import tfviz
from tfviz import metrics
from tfviz.errors import InputError
from tfviz.metrics.randomising import random_weight


def sobel(_, images, __):
    """An "explanation" that looks at the picture alone."""
    grey = np.asarray(images).mean(axis=-1)
    return np.stack([np.hypot(cv2.Sobel(one, -1, 1, 0), cv2.Sobel(one, -1, 0, 1)) for one in grey])


def test_equal_maps_are_alike_and_opposite_ones_are_not():
    maps = np.random.default_rng(0).random((3, 20, 20))
    np.testing.assert_allclose(metrics.ssim(maps, maps), 1)
    np.testing.assert_allclose(metrics.spearman(maps, np.exp(5 * maps)), 1)
    np.testing.assert_allclose(metrics.spearman(maps, -maps), -1)
    assert (metrics.ssim(maps, 1 - maps) < -0.8).all()


def test_ssim_is_the_formula_under_a_gaussian_window():
    draws = np.random.default_rng(1)
    a, b = draws.random((2, 11, 11))
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / axis.sum() ** 2
    ma, mb = (window * a).sum(), (window * b).sum()
    va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
    cov = (window * (a - ma) * (b - mb)).sum()
    by_hand = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    np.testing.assert_allclose(metrics.ssim(a, b), by_hand, rtol=1e-9)


def test_ssim_agrees_with_tensorflows():
    draws = np.random.default_rng(4)
    a = cv2.GaussianBlur(draws.random((24, 31)), (0, 0), 2)
    b = a + draws.normal(0, 0.1, a.shape)
    theirs = tf.image.ssim(a[np.newaxis, ..., np.newaxis], b[np.newaxis, ..., np.newaxis], max_val=1.0).numpy()
    np.testing.assert_allclose(metrics.ssim(a, b), theirs, atol=1e-5)


def test_ssim_of_two_flat_maps_compares_their_means_alone():
    found = metrics.ssim(np.full((1, 16, 16), 0.2), np.full((1, 16, 16), 0.6))
    np.testing.assert_allclose(found, (2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4), rtol=1e-6)


def test_spearman_gives_ties_their_mean_rank():
    a, b = np.array([[1.0, 2.0, 2.0, 3.0]]), np.array([[4.0, 1.0, 2.0, 3.0]])
    by_hand = np.corrcoef([0, 1.5, 1.5, 3], [3, 0, 1, 2])[0, 1]
    np.testing.assert_allclose(metrics.spearman(a, b), by_hand)
    assert metrics.spearman(np.zeros((1, 4)), np.ones((1, 4)))[0] == 1
    assert metrics.spearman(np.zeros((1, 4)), a)[0] == 0


def test_random_weights_keep_their_size_and_statistics_their_values():
    draws = np.random.default_rng(0)
    kernel = draws.normal(3, 0.1, (3, 3, 64, 64)).astype(np.float32)
    other = random_weight(kernel, np.random.default_rng(1))
    np.testing.assert_allclose(np.sqrt((other**2).mean()), np.sqrt((kernel**2).mean()), rtol=0.02)
    assert abs(other.mean()) < 0.1
    assert abs(np.corrcoef(kernel.ravel(), other.ravel())[0, 1]) < 0.02
    variances = draws.random(50)
    np.testing.assert_array_equal(np.sort(random_weight(variances, np.random.default_rng(1))), np.sort(variances))


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_edges_do_not_change_whatever_is_randomised(mode):
    model, x = nets.functional(), nets.images(2)
    found = metrics.randomisation(model, x, sobel(None, x, None), explain=sobel, mode=mode)
    assert [step.layer for step in found] == ["head", "norm", "last", "first"]
    for step in found:
        np.testing.assert_array_equal(step.ssim, 1)
        np.testing.assert_allclose(step.spearman, 1)


def test_the_gradient_hangs_on_every_layer_and_guided_backprop_less_on_the_upper_ones():
    """Adebayo et al. 2018, figure 2: the ordering, on a network of five convolutions with the head cascading down."""
    model, x = tfviz.zoo.dog_cnn((32, 32, 3)), nets.images(12, 32, 3)
    means = {}
    for name, explain in (("gradient", tfviz.gradient), ("guided", tfviz.guided_backprop)):
        steps = metrics.randomisation(model, x, explain(model, x, 0), 0, explain=explain)
        means[name] = np.array([step.spearman.mean() for step in steps])
        assert [step.layer for step in steps] == ["logits", "conv5", "conv4", "conv3", "conv2", "conv1"]
    upper = slice(0, 3)
    assert (means["guided"][upper] > means["gradient"][upper] + 0.1).all()
    assert means["gradient"][-1] < 0.2


def test_the_sanity_check_is_the_same_for_a_seed_and_moves_with_it():
    model, x = nets.pooled(), nets.images(2)
    maps = tfviz.gradient(model, x)
    first, again, other = (
        metrics.randomisation(model, x, maps, explain=tfviz.gradient, mode="independent", seed=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal([s.spearman for s in first], [s.spearman for s in again])
    assert not np.array_equal([s.spearman for s in first], [s.spearman for s in other])


def test_independent_layers_are_put_back_before_the_next():
    """Randomising the first layer alone leaves a Dense head's CAM weights; cascading does not."""
    model, x = nets.pooled(), nets.images(2)
    seen = {}
    for mode in ("cascading", "independent"):
        seen[mode] = []

        def explain(own, images, _, seen=seen[mode]):
            seen.append(np.asarray(own.get_layer("logits").kernel))
            return np.ones((len(images), 4, 4))

        metrics.randomisation(model, x, np.ones((2, 4, 4)), explain=explain, mode=mode)
    trained = np.asarray(model.get_layer("logits").kernel)
    changed = {mode: [not np.array_equal(kernel, trained) for kernel in kernels] for mode, kernels in seen.items()}
    assert changed == {"cascading": [True, True, True], "independent": [True, False, False]}


@pytest.mark.parametrize("name", nets.MODELS)
@pytest.mark.parametrize("stop", [None, RuntimeError, KeyboardInterrupt])
def test_the_users_model_is_the_same_afterwards_even_when_interrupted(name, stop):
    model, x = nets.MODELS[name](), nets.images(2)
    output = np.asarray(model(x))
    before = state(model)

    def explain(own, images, _):
        if stop is not None:
            raise stop
        return np.abs(np.asarray(own(images)))[:, np.newaxis]

    def check():
        return metrics.randomisation(model, x, np.abs(output)[:, np.newaxis], 0, explain=explain)

    if stop is None:
        assert min(step.spearman.min() for step in check()) < 1  # the random weights were really used
    else:
        with pytest.raises(stop):
            check()
    assert_same(before, state(model))
    np.testing.assert_array_equal(np.asarray(model(x)), output)


def test_a_model_that_keras_can_copy_is_never_touched_even_meanwhile():
    model, x = nets.functional(), nets.images(1)
    output = np.asarray(model(x))
    with metrics.private(model) as own:
        own.get_layer("head").kernel.assign(np.zeros((5, 3)))
        np.testing.assert_array_equal(np.asarray(model(x)), output)
        assert own is not model


def test_a_wrong_mode_and_a_model_without_weights_are_refused():
    model, x = nets.pooled(), nets.images(1)
    with pytest.raises(InputError, match="cascading, independent"):
        metrics.randomisation(model, x, np.ones((1, 4, 4)), explain=sobel, mode="both")
    bare = keras.Sequential([keras.Input((12, 12, 2)), keras.layers.Flatten()])
    with pytest.raises(InputError, match="has no weights"):
        metrics.randomisation(bare, x, np.ones((1, 4, 4)), explain=sobel)
