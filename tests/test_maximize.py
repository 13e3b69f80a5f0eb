"""Activation maximisation: closed forms, the algebra of objectives, and what any user may rely on."""

import keras
import nets
import numpy as np
import pytest

import tfviz
from tfviz import parametrisation, tap, target, transform
from tfviz.errors import InputError
from tfviz.objective import (
    Objective,
    channel,
    deep_dream,
    direction,
    diversity,
    logit,
    neuron,
    norm,
    total_variation,
)
from tfviz.objective import target as of_target
from tfviz.preprocess import Preprocess

LINEAR = {"parametrisation": parametrisation.pixels(bounded=False), "transforms": (), "smoothness": 0}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return nets.pooled()


def read(model: keras.Model, objective: Objective, pictures: np.ndarray) -> np.ndarray:
    return tfviz.activations(model, objective, pictures)


@pytest.mark.parametrize("weight", [0.3, 1.0, 5.0])
def test_a_linear_model_with_a_norm_is_maximised_by_its_weights_over_twice_the_factor(weight: float) -> None:
    linear = nets.linear()
    w = linear.get_layer("logits").kernel.numpy().reshape(6, 6, 2, 2)
    found = tfviz.maximize(linear, of_target([0, 1]) - weight * norm(), **LINEAR)
    np.testing.assert_allclose(found, np.moveaxis(w, -1, 0) / (2 * weight), atol=2e-3)


def test_the_closed_form_holds_for_a_model_whose_numbers_are_huge_or_tiny() -> None:
    for size in (1e15, 1e-15):
        linear = nets.linear()
        kernel, bias = linear.get_layer("logits").get_weights()
        linear.get_layer("logits").set_weights([kernel * size, bias])
        found = tfviz.maximize(linear, of_target(0) - size * norm(), **LINEAR)
        np.testing.assert_allclose(found[0], kernel[:, 0].reshape(6, 6, 2) / 2, atol=2e-3)


def test_objectives_read_the_layers_that_they_name(model: keras.Model) -> None:
    x = nets.images(2)
    maps = tfviz.feature_maps(model, x, ["last", "last:pre", "logits"])
    last = maps["last"]
    v = np.array([1.0, -2.0, 0.5, 0.0, 3.0], np.float32)
    along = last @ v
    cosine = along / (np.linalg.norm(last, axis=-1) * np.linalg.norm(v) + 1e-6)
    expected = {
        "channel": (channel("last", 3), last[..., 3].mean((1, 2))),
        "a channel each": (channel("last", [3, 1]), np.array([last[0, ..., 3].mean(), last[1, ..., 1].mean()])),
        "before the activation": (channel("last:pre", 2), maps["last:pre"][..., 2].mean((1, 2))),
        "a Dense unit": (channel("logits", 1), maps["logits"][:, 1]),
        "the middle neuron": (neuron("last", 4), last[:, 1, 1, 4]),
        "a neuron": (neuron("last", 4, (2, 0)), last[:, 2, 0, 4]),
        "direction": (direction("last", v), along.mean((1, 2))),
        "direction with a power": (direction("last", v, power=2), (along * np.maximum(cosine, 0.1) ** 2).mean((1, 2))),
        "deep dream": (deep_dream("last"), (last**2).mean((1, 2, 3))),
        "logit": (logit(2), maps["logits"][:, 2]),
        "difference": (of_target(target.difference(0, 1)), maps["logits"][:, 0] - maps["logits"][:, 1]),
    }
    for name, (objective, values) in expected.items():
        # An objective of one subject reads both pictures; of two, one picture each.
        np.testing.assert_allclose(read(model, objective, x), values, rtol=1e-4, atol=1e-6, err_msg=name)


def test_objectives_add_and_multiply_like_numbers(model: keras.Model) -> None:
    x = nets.images(3)
    a, b = read(model, channel("last", 1), x), read(model, logit(2), x)
    one, two = channel("last", 1), logit(2)
    for objective, values in (
        (0.2 * one + 0.8 * two, 0.2 * a + 0.8 * b),
        (one - two * 3, a - 3 * b),
        (-one, -a),
        (1 - one / 4, 1 - a / 4),
        (one * two + 2, a * b + 2),
    ):
        np.testing.assert_allclose(read(model, objective, x), values, rtol=1e-5, atol=1e-6)


def test_priors_are_sums_over_the_picture(model: keras.Model) -> None:
    x = nets.images(2)
    rough = np.abs(np.diff(x, axis=1)).sum((1, 2, 3)) + np.abs(np.diff(x, axis=2)).sum((1, 2, 3))
    np.testing.assert_allclose(read(model, total_variation(), x), rough, rtol=1e-5)
    np.testing.assert_allclose(read(model, norm(), x), (x**2).sum((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(read(model, norm(3), x), (x**3).sum((1, 2, 3)), rtol=1e-5)


def test_diversity_is_minus_the_mean_cosine_of_gram_matrices(model: keras.Model) -> None:
    x = nets.images(3)
    a = tfviz.feature_maps(model, x, "last")["last"].reshape(3, -1, 5)
    grams = np.einsum("bpc,bpd->bcd", a, a).reshape(3, -1)
    grams /= np.linalg.norm(grams, axis=1, keepdims=True)
    alike = grams @ grams.T
    expected = -(alike.sum(axis=1) - 1) / 2
    np.testing.assert_allclose(read(model, diversity("last"), x), expected, rtol=1e-4)


def test_diversity_makes_variations_differ_more(model: keras.Model) -> None:
    plain = tfviz.maximize(model, channel("last:pre", 1), count=3, steps=40)
    varied = tfviz.maximize(model, channel("last:pre", 1) + 50 * diversity("last"), count=3, steps=40)
    assert read(model, diversity("last"), varied).mean() > read(model, diversity("last"), plain).mean() + 0.2


def test_the_same_seed_gives_the_same_pictures_and_another_does_not(model: keras.Model) -> None:
    first, again, other = (tfviz.maximize(model, 1, steps=12, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.05


def test_several_units_are_what_a_loop_over_them_gives(model: keras.Model) -> None:
    together = tfviz.maximize(model, channel("last:pre", [0, 2, 4]), steps=25)
    alone = [tfviz.maximize(model, channel("last:pre", k), steps=25)[0] for k in (0, 2, 4)]
    np.testing.assert_allclose(together, alone, atol=2e-3)


def test_variations_of_a_subject_stand_side_by_side_and_begin_with_the_single_one(model: keras.Model) -> None:
    single = tfviz.maximize(model, logit([0, 1]), steps=10)
    several = tfviz.maximize(model, logit([0, 1]), steps=10, count=2)
    np.testing.assert_allclose(several[::2], single, atol=1e-3)
    assert np.abs(several[0] - several[1]).max() > 0.05


def test_another_unit_weight_class_seed_or_number_of_steps_compiles_nothing(model: keras.Model) -> None:
    tfviz.maximize(model, 0.5 * channel("last", 1) + logit(0), steps=3)
    before = tap.traces()
    for unit, weight, k, steps in ((2, 0.1, 1, 5), (4, 3.0, 2, 8)):
        objective = weight * channel("last", unit) + logit(k)
        tfviz.maximize(model, objective, steps=steps, seed=unit, smoothness=weight, rate=0.01)
    tfviz.maximize(model, 0.5 * channel("last", [1, 2, 3]) + logit([0, 1, 2]), steps=3, count=2)
    # Two variations are another loop; nothing else is.
    assert tap.traces() == before + 1


def test_units_that_go_through_in_parts_are_what_they_are_together_and_a_last_part_compiles_nothing(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = channel("last:pre", [0, 1, 2, 3, 4])
    together = tfviz.maximize(model, objective, steps=10)
    monkeypatch.setattr("tfviz._maximize.chunk_size", lambda _: 2)
    before = tap.traces()
    np.testing.assert_allclose(tfviz.maximize(model, objective, steps=10), together, atol=1e-3)
    assert tap.traces() == before + 1


@pytest.mark.parametrize("kind", nets.MODELS)
def test_every_kind_of_model_is_excited_and_left_as_it_was(kind: str) -> None:
    model = nets.MODELS[kind]()
    target.scores(model, nets.images(1), 1)  # models written in Python may learn their input's shape only now
    weights = [np.array(weight) for weight in model.weights]
    attributes = [dict(vars(layer)) for layer in model._flatten_layers()]
    start = tfviz.maximize(model, 1, steps=1, rate=1e-9, size=(12, 12))
    found = tfviz.maximize(model, 1, steps=10, size=(12, 12))
    assert found.shape == (1, 12, 12, 2)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    assert target.scores(model, found, 1) > target.scores(model, start, 1) + 1e-3
    for weight, before in zip(model.weights, weights, strict=True):
        np.testing.assert_array_equal(np.array(weight), before)
    for layer, before in zip(model._flatten_layers(), attributes, strict=True):
        assert vars(layer).keys() == before.keys()


def test_a_class_means_its_logit_behind_a_softmax() -> None:
    bare = nets.pooled()
    wrapped = keras.Sequential([bare, keras.layers.Softmax()])
    np.testing.assert_allclose(tfviz.maximize(wrapped, 1, steps=15), tfviz.maximize(bare, 1, steps=15), atol=2e-3)


def test_pictures_are_in_the_units_and_the_channel_order_of_the_model() -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    weights = np.zeros((8, 8, 3))
    weights[..., 0] = 1
    model.set_weights([weights.reshape(-1, 1), np.zeros(1)])
    rule = Preprocess(scale=1 / 127.5, mean=(1.0,), colour="bgr")
    found = tfviz.maximize(model, 1, preprocess=rule, steps=100, rate=0.2)
    assert found.min() >= -1
    assert found.max() <= 1
    assert found[..., 0].mean() > 0.9  # the model's first channel is blue
    shown = rule.display(found)[0]
    assert shown[..., 2].mean() > 240
    assert shown[..., 2].mean() > shown[..., 0].mean() + 10


@pytest.mark.parametrize("way", ["pixels", "fourier", "maco"])
@pytest.mark.parametrize("factor", [0.0, 1e-20, 1e12])
def test_odd_models_give_finite_pictures(way: str, factor: float) -> None:
    model = nets.pooled()
    model.set_weights([weight * factor for weight in model.get_weights()])
    found = tfviz.maximize(model, 0, parametrisation=getattr(parametrisation, way)(), steps=5)
    assert np.isfinite(found).all()
    assert 0 <= found.min() <= found.max() <= 1


def test_smoothness_makes_smoother_pictures(model: keras.Model) -> None:
    rough, smooth = (tfviz.maximize(model, 1, steps=60, smoothness=how) for how in (0, 20))
    assert read(model, total_variation(), smooth) < 0.7 * read(model, total_variation(), rough)


def pictures_of(way: parametrisation.Parametrisation, variable: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    return np.asarray(way.pictures(variable[None], way.constants(shape), shape))[0]


def logits_of(u: np.ndarray) -> np.ndarray:
    return np.log(u / (1 - u))


def test_no_smoothness_is_the_limit_of_little(model: keras.Model) -> None:
    none, little = (tfviz.maximize(model, 1, steps=8, smoothness=how) for how in (0.0, 1e-20))
    assert np.ptp(none) > 1e-3  # something was climbed
    np.testing.assert_allclose(none, little, atol=1e-5)


def test_fourier_draws_a_wave_of_the_frequency_that_is_set() -> None:
    way, shape = parametrisation.fourier(decay=1.0), (8, 8, 1)
    variable = np.zeros((2, 8, 5, 1), np.float32)
    variable[0, 0, 2] = 1
    # One frequency of 2 / 8 a pixel, weighted by sqrt(64) / (2 / 8), and irfft2's 2 / 64.
    wave = 2 / 64 * 8 / 0.25 * np.cos(2 * np.pi * 2 * np.arange(8) / 8)
    np.testing.assert_allclose(logits_of(pictures_of(way, variable, shape))[..., 0], np.tile(wave, (8, 1)), atol=1e-5)


def test_maco_keeps_the_magnitudes_whatever_the_phases() -> None:
    shape = (12, 12, 1)
    magnitude = np.random.default_rng(0).uniform(1, 5, (12, 7, 1)).astype(np.float32)
    way = parametrisation.maco(magnitude)
    phases = np.random.default_rng(1).uniform(-3, 3, (12, 7, 1)).astype(np.float32)
    spectrum = np.fft.rfft2(logits_of(pictures_of(way, phases, shape))[..., 0].astype(np.float64))
    # A real picture's first and last column of frequencies come in conjugate pairs and cannot keep both phases.
    np.testing.assert_allclose(np.abs(spectrum)[:, 1:6], magnitude[:, 1:6, 0], rtol=1e-3)
    np.testing.assert_allclose(np.angle(spectrum)[:, 1:6], phases[:, 1:6, 0], atol=1e-3)


def test_the_magnitude_of_pictures_is_measured_where_maco_uses_it() -> None:
    grey = np.random.default_rng(0).integers(40, 200, (3, 12, 10, 1), dtype=np.uint8)
    z = logits_of(grey / 255.0)[..., 0]
    found = parametrisation.natural_magnitude(grey)
    np.testing.assert_allclose(found[..., 0], np.abs(np.fft.rfft2(z)).mean(axis=0), rtol=1e-4)
    assert tfviz.maximize(nets.seeded(_grey_net()), 0, parametrisation=parametrisation.maco(found), steps=2).shape == (
        1,
        12,
        10,
        1,
    )


def _grey_net() -> keras.Model:
    return keras.Sequential([keras.Input((12, 10, 1)), keras.layers.Conv2D(2, 3), keras.layers.GlobalMaxPooling2D()])


def test_the_law_of_photographs_falls_with_frequency_and_has_their_contrast() -> None:
    (r,) = parametrisation.maco().constants((64, 64, 1))
    np.testing.assert_allclose(r[0, 2, 0] / r[0, 8, 0], 4, rtol=1e-5)
    assert r[0, 0, 0] == 0
    phases = np.random.default_rng(0).uniform(-np.pi, np.pi, (64, 33, 1)).astype(np.float32)
    z = logits_of(pictures_of(parametrisation.maco(), phases, (64, 64, 1)))
    assert z.std() == pytest.approx(1.4, rel=0.1)


def test_grey_stays_grey_and_colours_are_decorrelated() -> None:
    way = parametrisation.pixels()
    light = np.zeros((1, 1, 3), np.float32)
    np.testing.assert_allclose(pictures_of(way, light, (1, 1, 3)), 0.5)
    light[..., 0] = 2
    red, green, blue = pictures_of(way, light, (1, 1, 3))[0, 0]
    assert min(red, green, blue) > 0.74
    assert max(red, green, blue) - min(red, green, blue) < 0.02


def apply(change: transform.Transform, x: np.ndarray, seed: tuple[int, int] = (0, 0)) -> np.ndarray:
    return np.asarray(change.apply(x.astype(np.float32), np.array(seed, np.int32)))


def test_jitter_rolls_by_no_more_than_it_says() -> None:
    x = np.random.default_rng(0).uniform(0, 1, (1, 9, 9, 1)).astype(np.float32)
    rolls = {(i, j): np.roll(x, (i, j), axis=(1, 2)) for i in range(-2, 3) for j in range(-2, 3)}
    found = {
        next(by for by, rolled in rolls.items() if (rolled == apply(transform.jitter(2), x, (7, n))).all())
        for n in range(40)
    }
    assert len(found) > 10


@pytest.mark.parametrize(
    "change",
    [transform.rotate(0), transform.scale(1, 1), transform.crop(1, 1), transform.noise(0), transform.jitter(0)],
)
def test_a_transform_by_nothing_changes_nothing(change: transform.Transform) -> None:
    x = np.random.default_rng(0).uniform(0, 1, (2, 8, 10, 3))
    np.testing.assert_allclose(apply(change, x), x, atol=1e-5)


def test_scale_and_crop_magnify() -> None:
    ramp = np.broadcast_to(np.arange(16.0)[None, None, :, None], (1, 16, 16, 1))
    grown = apply(transform.scale(2, 2), ramp)[0, 8, :, 0]
    np.testing.assert_allclose(np.diff(grown), 0.5, atol=1e-4)
    np.testing.assert_allclose(grown.mean(), 7.5, atol=1e-4)
    for n in range(5):
        part = apply(transform.crop(0.25, 0.25), ramp, (1, n))[0, 8, :, 0]
        np.testing.assert_allclose(np.diff(part), 0.25, atol=1e-4)
        assert -1e-3 < part[0] < part[-1] < 15 + 1e-3


def test_transforms_draw_anew_at_each_step_and_the_same_for_every_picture() -> None:
    x = np.repeat(np.random.default_rng(0).uniform(0, 1, (1, 8, 8, 1)), 2, axis=0)
    for change in (transform.rotate(), transform.scale(), transform.crop(), transform.noise(), transform.jitter()):
        one, two = apply(change, x, (0, 1)), apply(change, x, (0, 2))
        np.testing.assert_array_equal(one[0], one[1])
        assert np.abs(one - two).max() > 1e-3


@pytest.mark.parametrize(
    ("objective", "options", "said"),
    [
        (channel("last", 9), {}, "channels 0 to 4"),
        (channel("lost", 0), {}, "near names: 'last'"),
        (channel("last", "x"), {}, "no channel"),
        (neuron("last", 0, (9, 9)), {}, "Place"),
        (neuron("logits", 0), {}, "no places"),
        (direction("last", [1.0, 2.0]), {}, "5 channels"),
        (logit(5), {}, "Class 5"),
        (None, {}, "name the class"),
        (diversity("last"), {}, "count=2"),
        (0, {"steps": 0}, "steps=0"),
        (0, {"rate": -1.0}, "rate=-1.0"),
        (0, {"seed": -1}, "seed=-1"),
        (0, {"size": (9, 9)}, "do not fit"),
        (0, {"preprocess": Preprocess()}, "3 channels"),
        (0, {"parametrisation": parametrisation.maco(np.ones((2, 2, 2)))}, "magnitudes"),
    ],
)
def test_what_cannot_be_maximised_is_said(model: keras.Model, objective: object, options: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tfviz.maximize(model, objective, **options)


def test_objectives_of_different_numbers_of_pictures_do_not_add() -> None:
    with pytest.raises(InputError, match=r"[23] and [23] pictures"):
        channel("a", [1, 2]) + logit([0, 1, 2])


def test_models_that_do_not_take_one_picture_are_refused() -> None:
    with pytest.raises(InputError, match="one input"):
        tfviz.maximize(nets.two_inputs(), 0)
    whole = keras.Sequential([keras.Input((8, 8, 1), dtype="int32"), keras.layers.Flatten(), keras.layers.Dense(1)])
    with pytest.raises(InputError, match="no gradient"):
        tfviz.maximize(whole, 0)


def test_models_of_any_size_need_one() -> None:
    model = nets.seeded(
        keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(2, 3), keras.layers.GlobalMaxPooling2D()])
    )
    with pytest.raises(InputError, match="any size"):
        tfviz.maximize(model, 0)
    assert tfviz.maximize(model, 0, steps=2, size=(10, 14)).shape == (1, 10, 14, 1)
