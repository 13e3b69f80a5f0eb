"""Metrics of explanations against closed forms: linear models, exact maps, constructed masks."""

import keras
import nets
import numpy as np
import pytest

from tfviz import metrics, target
from tfviz.errors import InputError, ProbabilityWarning
from tfviz.perturb._fill import filled

SCORED = {
    "deletion": metrics.deletion,
    "insertion": metrics.insertion,
    "road": metrics.road,
    "average_drop": lambda *a, **k: metrics.average_drop(*a[:3], target.probability(a[3]), **k),
    "average_increase": metrics.average_increase,
    "average_gain": lambda *a, **k: metrics.average_gain(*a[:3], target.probability(a[3]), **k),
    "mu_fidelity": metrics.mu_fidelity,
    "infidelity": metrics.infidelity,
}


@pytest.fixture(scope="module")
def linear():
    """A linear model, images, and its weights for class 1 as (6, 6, 2)."""
    model = nets.linear()
    weights = model.get_weights()[0][:, 1].reshape(6, 6, 2)
    return model, nets.images(4, 6, 2), weights


@pytest.fixture(scope="module")
def network():
    return nets.pooled(), nets.images(3), np.random.default_rng(5).random((3, 4, 4), np.float32)


def test_deletion_of_a_linear_model_is_the_score_less_what_was_deleted(linear):
    model, x, w = linear
    maps = (w * x).sum(axis=-1)
    curve = metrics.deletion_curve(model, x, maps, 1, steps=36)
    lost = np.cumsum(-np.sort(-maps.reshape(4, -1), axis=1), axis=1)
    whole = target.scores(model, x, 1)[:, None]
    np.testing.assert_allclose(curve, np.concatenate([whole, whole - lost], axis=1), atol=2e-6)
    np.testing.assert_allclose(metrics.deletion(model, x, maps, 1, steps=36), np.trapezoid(curve, dx=1 / 36), atol=1e-9)


def test_insertion_of_a_linear_model_goes_from_the_baselines_score_to_the_images(linear):
    model, x, w = linear
    maps = (w * (x - 0.25)).sum(axis=-1)
    curve = metrics.insertion_curve(model, x, maps, 1, steps=36, baseline=0.25)
    won = np.cumsum(-np.sort(-maps.reshape(4, -1), axis=1), axis=1)
    start = target.scores(model, np.full_like(x, 0.25), 1)[:, None]
    np.testing.assert_allclose(curve, np.concatenate([start, start + won], axis=1), atol=2e-6)


def test_deletion_and_insertion_with_one_baseline_mirror_each_other_for_the_opposite_map(linear):
    model, x, w = linear
    maps = (w * x).sum(axis=-1)
    forward = metrics.deletion_curve(model, x, maps, 1, steps=6)
    backward = metrics.insertion_curve(model, x, -maps, 1, steps=6, baseline=0.0)
    np.testing.assert_allclose(forward, backward[:, ::-1], atol=1e-6)


def test_the_true_map_is_deleted_and_inserted_better_than_its_opposite_and_than_noise(linear):
    model, x, w = linear
    maps = (w * x).sum(axis=-1)
    noise = metrics.random_maps(x)
    for metric, sign in ((metrics.deletion, -1), (metrics.insertion, 1)):
        good, blind, bad = (sign * metric(model, x, m, 1, baseline=0.0) for m in (maps, noise, -maps))
        assert (good > blind).all()
        assert (blind > bad).all()


def test_equal_pixels_are_deleted_in_an_order_that_the_seed_alone_decides():
    def total_of_left(x):
        return x[:, :, :4].sum(axis=(1, 2))

    x = np.ones((2, 8, 8, 1))
    flat = np.zeros((2, 8, 8))
    curve = metrics.deletion_curve(total_of_left, x, flat, steps=16)
    np.testing.assert_allclose(curve[0], curve[1])
    assert 0 < curve[0, 8] < 32  # neither all of the left half nor none of it went first
    np.testing.assert_array_equal(curve, metrics.deletion_curve(total_of_left, x, flat, steps=16, seed=0))
    assert not np.array_equal(curve, metrics.deletion_curve(total_of_left, x, flat, steps=16, seed=1))


@pytest.mark.parametrize("grid", [None, 3])
@pytest.mark.parametrize("baseline", [0.0, 0.5, "mean"])
def test_mu_fidelity_of_the_exact_map_of_a_linear_model_is_one(linear, grid, baseline):
    model, x, w = linear
    exact = (w * (x - filled(x, baseline))).sum(axis=-1)
    options = {"samples": 32, "grid": grid, "baseline": baseline}
    np.testing.assert_allclose(metrics.mu_fidelity(model, x, exact, 1, **options), 1, atol=1e-5)
    np.testing.assert_allclose(metrics.mu_fidelity(model, x, -3 * exact, 1, **options), -1, atol=1e-5)


def test_mu_fidelity_of_a_map_that_is_the_same_everywhere_is_zero(linear):
    model, x, _ = linear
    np.testing.assert_array_equal(metrics.mu_fidelity(model, x, np.full((4, 6, 6), 0.1), 1, grid=None), 0)


def test_infidelity_of_the_gradient_of_a_linear_model_is_zero(linear):
    model, x, w = linear
    exact = np.tile(w.sum(axis=-1), (4, 1, 1))
    np.testing.assert_allclose(metrics.infidelity(model, x, exact, 1, scale="given"), 0, atol=1e-9)
    np.testing.assert_allclose(metrics.infidelity(model, x, 100 * exact, 1), 0, atol=1e-9)


def test_infidelity_as_given_of_nothing_is_the_mean_square_of_the_scores_change(linear):
    model, x, w = linear
    nothing = metrics.infidelity(model, x, np.zeros((4, 6, 6)), 1, samples=4000, noise=0.1)
    span = np.ptp(x.reshape(4, -1), axis=1)
    np.testing.assert_allclose(nothing, (0.1 * span) ** 2 * (w.sum(axis=-1) ** 2).sum(), rtol=0.1)


def test_max_sensitivity_of_a_constant_explainer_is_zero(network):
    model, x, _ = network
    always = np.ones((12, 12))
    found = metrics.max_sensitivity(
        model, x, np.stack([always] * 3), explain=lambda _m, x, _t: np.stack([always] * len(x))
    )
    np.testing.assert_array_equal(found, 0)


def test_max_sensitivity_of_the_pictures_own_pixels_is_bounded_by_the_ball():
    x = np.concatenate([np.zeros((2, 5, 5, 1)), np.ones((2, 5, 5, 1))], axis=2)
    found = metrics.max_sensitivity(
        lambda x: x.mean(axis=(1, 2)), x, x[..., 0], explain=lambda _m, x, _t: x[..., 0], radius=0.1, samples=64
    )
    assert (found < 0.1 * np.sqrt(2)).all()  # |x' - x| <= 0.1 sqrt(50), |x| = sqrt(25)
    assert (found > 0.1 * np.sqrt(2 / 3)).all()  # and more than its mean over the ball


def test_max_sensitivity_explains_the_class_of_the_unchanged_image(network):
    model, x, maps = network
    asked = []

    def explain(_, copies, classes):
        asked.append(np.asarray(classes))
        return np.zeros((len(copies), 4, 4))

    metrics.max_sensitivity(model, x, maps, explain=explain, samples=2, radius=50.0, batch_size=2)
    np.testing.assert_array_equal(np.concatenate(asked), np.repeat(target.predictions(model, x), 2))


def test_average_drop_increase_and_gain_by_hand():
    def left_share(x):
        left = x[:, :, 0].sum(axis=(1, 2)) / 10
        return np.stack([1 - left, left], axis=1)

    x = np.array([[[[4.0], [2.0]]], [[[4.0], [2.0]]], [[[4.0], [2.0]]]])
    maps = np.array([[[2.0, 0.0]], [[1.0, 2.0]], [[-1.0, -1.0]]])  # all, half, nothing of the left pixel is shown
    np.testing.assert_allclose(metrics.average_drop(left_share, x, maps, 1), [0, 0.5, 1])
    np.testing.assert_allclose(metrics.average_increase(left_share, x, maps, 0), [0, 1, 1])
    np.testing.assert_allclose(metrics.average_gain(left_share, x, maps, 0), [0, 0.5, 1])


def test_what_is_no_probability_has_no_average_gain_and_a_negative_score_no_drop(linear):
    model, x, _ = linear
    lowest = np.argmin(np.stack([target.scores(model, x, k) for k in (0, 1)], axis=1), axis=1)
    shifted = keras.Sequential([model, keras.layers.Rescaling(1.0, -50.0)])
    with pytest.raises(InputError, match=r"give target.probability\(k\)"):
        metrics.average_drop(shifted, x, x[..., 0], lowest)
    with pytest.raises(InputError, match=r"give target.probability\(k\)"):
        metrics.average_gain(shifted, x, x[..., 0], lowest)


def test_removed_pixels_become_the_weighted_mean_of_their_neighbours():
    draws = np.random.default_rng(2)
    picture, removed = draws.random((1, 6, 5, 2)), draws.random((1, 6, 5)) < 0.6
    filled = metrics.impute(picture, removed, tolerance=1e-6)[0]
    np.testing.assert_array_equal(filled[~removed[0]], picture[0][~removed[0]].astype(np.float32))
    for i, j in np.argwhere(removed[0]):
        total, weights = 0.0, 0.0
        for di, dj in np.ndindex(3, 3):
            y, x = i + di - 1, j + dj - 1
            if (di, dj) != (1, 1) and 0 <= y < 6 and 0 <= x < 5:
                weight = 1 / 6 if 1 in (di, dj) else 1 / 12
                total, weights = total + weight * filled[y, x], weights + weight
        np.testing.assert_allclose(filled[i, j], total / weights, atol=1e-4)


def test_a_flat_picture_is_imputed_as_itself_however_much_is_removed():
    removed = np.ones((1, 40, 40), bool)
    removed[0, 3, 5] = False
    np.testing.assert_allclose(metrics.impute(np.full((1, 40, 40, 1), 7.0), removed), 7, rtol=2e-3)


def test_road_of_a_map_of_the_only_pixels_that_count_falls_at_once():
    """The score is the brightness of a bright square: removed, it is filled in from the dark around it."""
    x = np.zeros((1, 16, 16, 1), np.float32)
    x[0, 5:9, 5:9] = 1

    def predict(x):
        return x[:, 5:9, 5:9].mean(axis=(1, 2))

    exact = x[..., 0]
    most, least = (metrics.road(predict, x, exact, 0, order=order, noise=0) for order in ("most", "least"))
    assert most[0] < 0.01
    assert least[0] > 0.999
    np.testing.assert_allclose(metrics.road(predict, x, exact, 0, noise=0), (least - most) / 2)


def test_gini_and_entropy_at_their_ends_whatever_the_scale():
    uniform, one_hot = np.ones((5, 4)), np.eye(1, 20, 7).reshape(5, 4)
    for size in (1e-30, 1.0, -3.0, 1e300):
        both = size * np.stack([uniform, one_hot])
        np.testing.assert_allclose(metrics.sparseness(both), [0, 1 - 1 / 20], atol=1e-12)
        np.testing.assert_allclose(metrics.complexity(both), [np.log(20), 0], atol=1e-12)
    np.testing.assert_allclose(metrics.sparseness(np.zeros((5, 4))), 0)
    np.testing.assert_allclose(metrics.complexity(np.zeros((5, 4))), np.log(20))


def test_a_map_equal_to_the_mask_hits_it_and_its_opposite_misses():
    masks = np.zeros((2, 8, 8), bool)
    masks[:, 2:5, 3:7] = True
    for metric in (metrics.pointing_game, metrics.relevance_mass, metrics.relevance_rank):
        np.testing.assert_allclose(metric(masks.astype(float), masks), 1)
        np.testing.assert_allclose(metric(1.0 - masks, masks), 0)


def test_a_map_without_relevance_hits_as_often_as_the_object_is_large():
    masks = np.zeros((1, 8, 8), bool)
    masks[:, :2] = True
    for metric in (metrics.pointing_game, metrics.relevance_mass, metrics.relevance_rank):
        np.testing.assert_allclose(metric(np.zeros((1, 8, 8)), masks), 0.25)
        np.testing.assert_allclose(metric(np.full((1, 8, 8), -1.0), masks), 0.25)


def test_the_pointing_game_forgives_a_miss_within_its_tolerance():
    masks, maps = np.zeros((1, 9, 9), bool), np.zeros((1, 9, 9))
    masks[0, 4, 2], maps[0, 4, 5] = True, 1
    assert [float(metrics.pointing_game(maps, masks, tolerance=t)[0]) for t in (0, 2, 3)] == [0, 0, 1]


@pytest.mark.parametrize("name", SCORED)
def test_a_batch_is_judged_as_each_image_alone(network, name):
    model, x, maps = network
    whole = SCORED[name](model, x, maps, 1, batch_size=5)
    alone = [SCORED[name](model, x[i : i + 1], maps[i : i + 1], 1)[0] for i in range(3)]
    np.testing.assert_allclose(whole, alone, atol=1e-6)


@pytest.mark.parametrize("name", SCORED)
def test_a_model_and_a_function_are_judged_alike(network, name):
    model, x, maps = network
    ends = keras.Sequential([model, keras.layers.Softmax()])
    plain = SCORED[name](model, x, maps, 1)
    if name in ("average_drop", "average_gain"):
        metric = getattr(metrics, name)
        np.testing.assert_allclose(plain, metric(lambda x: ends(x).numpy(), x, maps, 1), atol=1e-6)
    else:
        np.testing.assert_allclose(plain, SCORED[name](lambda x: model(x).numpy(), x, maps, 1), atol=1e-6)


@pytest.mark.parametrize("name", SCORED)
@pytest.mark.parametrize("make", [np.zeros_like, np.ones_like, lambda x: 1e4 * x, lambda x: 1e-30 * x])
def test_extreme_pictures_and_empty_maps_give_finite_numbers(network, name, make):
    model, x, maps = network
    for given in (maps, np.zeros_like(maps)):
        assert np.isfinite(SCORED[name](model, make(x), given, 1)).all()


@pytest.mark.parametrize("name", SCORED)
def test_the_number_of_samples_does_not_change_how_many_copies_exist_at_once(network, name):
    _, x, maps = network
    seen = []

    def predict(copies):
        seen.append(len(copies))
        return np.full((len(copies), 2), 0.5)

    metric = getattr(metrics, name)
    metric(predict, x, maps, 1, batch_size=4)
    assert max(seen) <= 4


def test_a_probability_is_judged_where_it_is_asked_for(network):
    model, x, maps = network
    ends = keras.Sequential([model, keras.layers.Softmax()])
    asked = metrics.deletion_curve(model, x, maps, target.probability(2), steps=4)
    np.testing.assert_allclose(asked, metrics.deletion_curve(ends, x, maps, target.probability(2), steps=4), atol=1e-6)
    np.testing.assert_allclose(asked[:, 0], ends(x).numpy()[:, 2], atol=1e-6)


def test_random_maps_are_seeded_and_as_coarse_as_asked(network):
    _, x, _ = network
    np.testing.assert_array_equal(metrics.random_maps(x, seed=3), metrics.random_maps(x, seed=3))
    assert not np.array_equal(metrics.random_maps(x, seed=3), metrics.random_maps(x, seed=4))
    coarse = np.abs(np.diff(metrics.random_maps(x, grid=3), axis=1)).mean()
    assert coarse < np.abs(np.diff(metrics.random_maps(x), axis=1)).mean() / 2


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m, x, a: metrics.deletion(m, x, a[:2], 1), "given for 3 images"),
        (lambda m, x, a: metrics.deletion(m, x, a * np.nan, 1), "NaN or infinity"),
        (lambda m, x, a: metrics.deletion(m, x, a, 1, steps=0), "at least 1"),
        (lambda m, x, a: metrics.deletion(m, x, a, 1, baseline="grey"), "fill='grey' was given"),
        (lambda m, x, a: metrics.deletion(m, x, a, 9), "is not one of 0 to 3-1"),
        (lambda _m, x, a: metrics.deletion("model", x, a, 1), "expected a Keras model or a function"),
        (lambda _m, x, a: metrics.deletion(lambda x: x, x, a, 1), "give a function of them"),
        (lambda _m, x, a: metrics.deletion(lambda x: x[:, 0, 0], x, a, 7), "Column 7"),
        (lambda _m, x, a: metrics.deletion(lambda x: x[:, 0, 0], x, a, target.probability(1)), "needs a Keras model"),
        (lambda m, x, a: metrics.road(m, x, a, 1, percentages=(0, 100)), "below 100"),
        (lambda m, x, a: metrics.road(m, x, a, 1, order="first"), "both, most, least"),
        (lambda m, x, a: metrics.mu_fidelity(m, x, a, 1, samples=1), "at least 2"),
        (lambda m, x, a: metrics.infidelity(m, x, a, 1, scale="any"), "'best' or 'given'"),
        (lambda _m, _x, a: metrics.pointing_game(a, np.zeros((3, 8, 8), bool)), "mask of image 0 is empty"),
        (lambda _m, _x, a: metrics.pointing_game(a, np.ones((3, 8, 8), bool), tolerance=-1), "0 pixels or more"),
        (lambda _m, _x, a: metrics.ssim(a, a[:2]), "expected two of"),
        (lambda m, x, a: metrics.max_sensitivity(m, x, a, explain=lambda _m, x, _t: x), "explain returned"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_a_sentence(network, call, sentence):
    with pytest.raises(InputError, match=sentence):
        call(*network)


def test_a_target_with_a_part_for_each_image_follows_the_copies(network):
    model, x, maps = network
    classes = np.array([2, 0, 1])
    several = metrics.deletion_curve(model, x, maps, target.difference(classes, 0), steps=3, batch_size=2)
    for i, k in enumerate(classes):
        alone = metrics.deletion_curve(model, x[i : i + 1], maps[i : i + 1], target.difference(int(k), 0), steps=3)
        np.testing.assert_allclose(several[i], alone[0], atol=1e-6)
    asked = []

    def explain(_, copies, wanted):
        asked.extend(wanted.classes[0])
        return np.ones((len(copies), 4, 4))

    metrics.max_sensitivity(model, x, maps, target.probability(classes), explain=explain, samples=2, batch_size=2)
    assert asked == [2, 2, 0, 0, 1, 1]


def test_probabilities_that_pass_for_logits_are_told(network):
    _, x, maps = network
    hidden = keras.Sequential(
        [
            keras.Input((12, 12, 2)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Lambda(lambda t: t / keras.ops.sum(t, axis=-1, keepdims=True)),
        ]
    )
    with pytest.warns(ProbabilityWarning):
        metrics.mu_fidelity(hidden, x, maps, 1, samples=4)


def test_whole_numbers_stay_whole_and_in_their_range_for_a_quantised_model():
    x = np.random.default_rng(0).integers(-128, 128, (2, 8, 8, 1)).astype(np.int8)
    seen = []

    def predict(copies):
        seen.append(copies)
        return copies.astype(float).mean(axis=(1, 2))

    for metric in (metrics.deletion, metrics.insertion, metrics.road, metrics.mu_fidelity, metrics.infidelity):
        assert np.isfinite(metric(predict, x, np.abs(x[..., 0].astype(float)))).all()
    assert {copies.dtype.name for copies in seen} == {"int8"}
