"""Black-box methods: closed forms, and the same written out, on functions whose answer is known."""

from itertools import permutations

import cv2
import numpy as np
import pytest
from black_boxes import QUARTERS, SIZE, X, per_quarter, scores, terms

from tfviz import perturb
from tfviz.perturb._hsic import bandwidth, dependence
from tfviz.perturb._rise import _interpolation, random_masks
from tfviz.perturb._sobol import Jansen, _Design


@pytest.mark.parametrize("fill", [0.0, 0.3, "mean", np.array([0.2, 0.4]), "blur"], ids=str)
def test_occlusion_of_a_linear_function_is_the_sum_over_the_patch_of_w_times_what_was_taken(fill):
    got = perturb.occlusion(scores, X, 1, patch=3, fill=fill)
    base = {"mean": X.mean(axis=(1, 2), keepdims=True), "blur": blurred(X)}.get(str(fill), fill)
    np.testing.assert_allclose(got, per_quarter(terms(1, base)), rtol=1e-6, atol=1e-6)


def blurred(x):
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
    masks = random_masks((9, 7), (3, 4), 0.3, 1)(range(20_000))
    assert masks.min() >= 0
    assert masks.max() <= 1 + 1e-6
    np.testing.assert_allclose(masks.mean(axis=0), 0.3, atol=0.015)
    cut = random_masks((9, 7), (3, 4), 0.3, 1)
    np.testing.assert_array_equal(np.concatenate([cut(range(0, 3)), cut(range(3, 10))]), masks[:10])


def test_rise_enlarges_as_opencv_does():
    grid = np.random.default_rng(0).random((3, 4)).astype(np.float32)
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
