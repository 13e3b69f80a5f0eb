"""CAMs that weigh channels by scores alone: against the same written out, closed forms, and what is run again."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from nets import MODELS, flattened, functional, images, layers, pooled, seeded, two_inputs
from test_purity import assert_same, state

from tfviz import cam, image, maps, tap, target
from tfviz.cam.ablation import _ablated_scores
from tfviz.cam.ablation import weights as drops
from tfviz.cam.score import softmax
from tfviz.cam.weighing import Weighing
from tfviz.errors import EmptyMapWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
X = images(3)
METHODS = {
    "score": (cam.score_cam, {}),
    "top": (cam.score_cam, {"top": 2}),
    "ss": (cam.ss_cam, {"samples": 3}),
    "is": (cam.is_cam, {"steps": 3}),
    "ablation": (cam.ablation_cam, {}),
}


def through_channels(model, x, k, layer="last", fade=(1.0,), noise=None):
    """Score-CAM written out, one image and one channel at a time: the activations and each channel's mean score."""
    activations = maps.feature_maps(model, x, layer)[layer]
    scores = np.zeros((len(x), activations.shape[-1]))
    for b, c in np.ndindex(*scores.shape):
        large = image.resize(activations[b, ..., c], x.shape[1:3])
        span = large.max() - large.min()
        mask = (large - large.min()) / span if span > 0 else np.zeros_like(large)
        masks = [f * mask + (0 if noise is None else noise[i]) for i, f in enumerate(fade)]
        seen = np.stack([x[b] * m[..., None] for m in masks])
        scores[b, c] = target.scores(model, seen, k).mean()
    return activations, scores


def rectified(activations, weights):
    return np.maximum(np.einsum("bijk,bk->bij", activations, weights), 0)


@pytest.mark.parametrize("kind", ["pooled", "flattened", "functional", "nested"])
def test_score_cam_is_the_maps_weighted_by_the_softmax_over_channels_of_the_class_score(kind):
    model = MODELS[kind]()
    layer = {"nested": "middle/inner/last"}.get(kind, "last")
    activations, scores = through_channels(model, X, 1, layer)
    got = cam.score_cam(model, X, 1, layer=layer)
    np.testing.assert_allclose(got, rectified(activations, softmax(scores)), rtol=1e-4, atol=1e-5)


def test_a_one_unit_head_gives_channels_different_weights_and_its_classes_opposite_ones():
    model = pooled(units=1)
    activations, scores = through_channels(model, X, 1)
    assert np.ptp(softmax(scores), axis=1).min() > 0.01
    for k, sign in ((1, 1), (0, -1)):
        got = cam.score_cam(model, X, k)
        np.testing.assert_allclose(got, rectified(activations, softmax(sign * scores)), rtol=1e-4, atol=1e-5)
    assert np.abs(cam.score_cam(model, X, 1) - cam.score_cam(model, X, 0)).max() > 0.01


def test_a_softmax_at_the_end_of_the_model_changes_nothing_and_probability_is_a_target_of_its_own():
    plain, wrapped = pooled(), MODELS["wrapped"]()
    for name, (method, options) in METHODS.items():
        got = method(wrapped, X, 1, layer="pooled/last", **options)
        np.testing.assert_allclose(
            got, method(plain, X, 1, layer="last", **options), rtol=1e-4, atol=1e-6, err_msg=name
        )
    assert np.abs(cam.score_cam(plain, X, target.probability(1)) - cam.score_cam(plain, X, 1)).max() > 1e-3


def test_the_top_channels_are_those_of_the_largest_variance():
    model = pooled()
    activations, scores = through_channels(model, X, 2)
    chosen = np.argsort(-activations.var(axis=(1, 2)), axis=1)[:, :2]
    few = np.zeros_like(scores)
    np.put_along_axis(few, chosen, softmax(np.take_along_axis(scores, chosen, 1)), 1)
    np.testing.assert_allclose(cam.score_cam(model, X, 2, top=2), rectified(activations, few), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(cam.score_cam(model, X, 2, top=99), cam.score_cam(model, X, 2))


def test_is_cam_averages_the_scores_while_the_mask_fades_in_and_one_step_is_score_cam():
    model = flattened()
    activations, scores = through_channels(model, X, 0, fade=(0.25, 0.5, 0.75, 1.0))
    got = cam.is_cam(model, X, 0, steps=4)
    np.testing.assert_allclose(got, rectified(activations, softmax(scores)), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(cam.is_cam(model, X, 0, steps=1), cam.score_cam(model, X, 0))


def test_ss_cam_averages_the_scores_over_noisy_masks_and_without_noise_is_score_cam():
    model = flattened()
    noise = [0.5 * np.random.default_rng([3, i]).standard_normal((12, 12), np.float32) for i in range(4)]
    activations, scores = through_channels(model, X, 0, fade=(1.0,) * 4, noise=noise)
    got = cam.ss_cam(model, X, 0, samples=4, noise=0.5, seed=3)
    np.testing.assert_allclose(got, rectified(activations, softmax(scores)), rtol=1e-4, atol=1e-5)
    calm = cam.ss_cam(model, X, 0, samples=3, noise=0.0)
    np.testing.assert_allclose(calm, cam.score_cam(model, X, 0), rtol=1e-5, atol=1e-6)
    assert np.abs(got - cam.ss_cam(model, X, 0, samples=4, noise=0.5, seed=4)).max() > 1e-4


def test_a_channel_that_is_the_same_everywhere_is_seen_through_as_nothing():
    inputs = keras.Input((4, 4, 1))
    maps_ = layers.Conv2D(2, 1, use_bias=True, name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(1, name="head")(layers.GlobalAveragePooling2D()(maps_)))
    # Channel 0 is the image, channel 1 is 3 everywhere; the score is the mean of channel 0.
    model.set_weights([np.array([[[[1.0, 0.0]]]]), np.array([0.0, 3.0]), np.array([[1.0], [0.0]]), np.zeros(1)])
    x = np.arange(16.0).reshape(1, 4, 4, 1) / 15
    scores = np.array([[(x**2).mean(), 0.0]])
    want = (softmax(scores)[0] * np.stack([x[0, ..., 0], np.full((4, 4), 3.0)], -1)).sum(-1)
    np.testing.assert_allclose(cam.score_cam(model, x, 1, layer="conv")[0], want, rtol=1e-5)


def test_ablation_weights_of_a_linear_head_are_its_weights_times_the_mean_map_over_the_score():
    model, x, k = pooled("float64"), X.astype(np.float64), np.array([0, 2, 1])
    with tap.steady(model):
        job = Weighing.of(model, x, k, "last", None)
        scores, activations = job.activations(0, 3)
        ablated = _ablated_scores(job, 0, activations, None)
    assert scores.dtype == activations.dtype == ablated.dtype == np.float64
    kernel = model.get_layer("logits").kernel.numpy()
    want = kernel.T[k] * activations.mean(axis=(1, 2)) / scores[:, None]
    np.testing.assert_allclose(drops(scores, ablated), want, rtol=0, atol=1e-14)
    np.testing.assert_allclose(cam.ablation_cam(model, x, k), rectified(activations, want), rtol=1e-6)


def residual():
    """The tapped layer has a way around it, so the tail is not all that is needed."""
    inputs = keras.Input((12, 12, 2))
    first = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(inputs)
    second = layers.Conv2D(4, 3, padding="same", activation="relu", name="second")(first)
    joined = layers.Add(name="add")([first, second])
    last = layers.Conv2D(5, 3, activation="relu", name="last")(joined)
    return seeded(keras.Model(inputs, layers.Dense(3, name="logits")(layers.Flatten()(last))))


def test_ablation_in_the_middle_is_the_rest_of_the_model_on_maps_with_a_channel_off():
    model = residual()
    first, second = maps.feature_maps(model, X, ["first", "second"]).values()

    def rest(a):
        for name in ("last", "flatten", "logits"):
            a = next(layer for layer in model.layers if layer.name.startswith(name))(a)
        return a.numpy()[:, 1]

    y = rest(first + second)
    off = [np.where(np.arange(4) == c, 0, second) for c in range(4)]
    ablated = np.stack([rest(first + one) for one in off], axis=1)
    got = cam.ablation_cam(model, X, 1, layer="second", batch_size=5)
    np.testing.assert_allclose(got, rectified(second, drops(y, ablated)), rtol=1e-4, atol=1e-5)


def test_what_comes_before_the_ablated_layer_is_not_run_again():
    model = pooled()

    def traced(instead):
        def body(x):
            return tap.run(model, x, (tap.Tap("last"),), instead=instead).outputs

        return tf.function(body, autograph=False).get_concrete_function(tf.TensorSpec([None, 12, 12, 2]))

    def convolutions(function):
        """What the outputs hang on."""
        found, waiting = set(), [t.op for t in function.graph.outputs]
        while waiting:
            op = waiting.pop()
            if op not in found:
                found.add(op)
                waiting += [t.op for t in op.inputs]
        return sum(op.type == "Conv2D" for op in found)

    assert convolutions(traced(None)) == 2
    assert convolutions(traced(lambda t: tf.ones_like(tf.zeros([2, 3, 3, 5]), t.dtype))) == 0


def test_ablation_of_a_model_with_two_inputs_goes_on_with_both():
    model = two_inputs()
    x = [images(), images(size=8, channels=1)]
    a = maps.feature_maps(model, x, "conv_left")["conv_left"]
    y = target.scores(model, x, 2)
    kernel = model.layers[-1].kernel.numpy()[:3, 2]
    want = rectified(a, kernel * a.mean(axis=(1, 2)) / y[:, None])
    np.testing.assert_allclose(cam.ablation_cam(model, x, 2, layer="conv_left"), want, rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="masks one image"):
        cam.score_cam(model, x, 2, layer="conv_left")


def test_a_score_of_zero_gives_an_empty_ablation_map_that_is_flagged():
    model = pooled()
    with pytest.warns(EmptyMapWarning, match="3 of 3 ablation-cam"):
        got = cam.ablation_cam(model, X, nil)
    assert not got.any()


def nil(outputs):
    return outputs[:, 0] * 0


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_gives_what_its_images_give_whatever_the_batch_size(name):
    method, options = METHODS[name]
    model, k = flattened(), [0, 2, 1]
    want = method(model, X, k, layer="first", **options)
    assert want.dtype == np.float32
    for batch_size in (1, 2, 7, 100):
        got = method(model, X, k, layer="first", batch_size=batch_size, **options)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    alone = [method(model, x, one, layer="first", **options) for x, one in zip(X, k, strict=True)]
    np.testing.assert_allclose(np.concatenate(alone), want, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(method(model, X, k, layer="first", **options), want)


@pytest.mark.parametrize("name", METHODS)
def test_none_is_the_class_of_the_whole_image_and_a_new_class_compiles_nothing(name):
    method, options = METHODS[name]
    model = functional()
    own = target.predictions(model, X)
    np.testing.assert_array_equal(method(model, X, **options), method(model, X, own, **options))
    before = tap.traces()
    method(model, X, (own + 1) % 3, **options)
    assert tap.traces() == before


@pytest.mark.parametrize("name", METHODS)
def test_tensors_are_explained_as_arrays_are_in_any_parts(name):
    method, options = METHODS[name]
    model = pooled()
    given = method(model, X, 1, batch_size=2, **options)
    np.testing.assert_array_equal(method(model, tf.constant(X), 1, batch_size=2, **options), given)


def test_what_is_seen_through_channels_and_the_channels_are_one_compilation():
    model = pooled()
    before = tap.traces()
    cam.score_cam(model, X, 1)
    assert tap.traces() == before + 1


@pytest.mark.parametrize("kind", ["subclassed", "data_dependent", "reads_batch", "mixed", "regularised", "nested"])
def test_models_of_every_kind_are_explained_and_left_as_they_were(kind):
    model = MODELS[kind]()
    before = state(model)
    for name, (method, options) in METHODS.items():
        got = method(model, X[:2], 1, **options)
        assert np.isfinite(got).all(), name
        assert got.any(), name
        assert_same(before, state(model))


def test_before_the_activation_is_a_layer_of_its_own():
    model = pooled()
    before, after = (maps.feature_maps(model, X, name)[name] for name in ("last:pre", "last"))
    assert (before < 0).any()
    kernel = model.get_layer("logits").kernel.numpy()[:, 1]
    y = target.scores(model, X, 1)
    weights = kernel * after.mean(axis=(1, 2)) / y[:, None]
    got = cam.ablation_cam(model, X, 1, layer="last:pre")
    np.testing.assert_allclose(got, rectified(before, weights), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m: cam.score_cam(m, X, 0, top=0), "top=0"),
        (lambda m: cam.ss_cam(m, X, 0, samples=0), "samples=0"),
        (lambda m: cam.is_cam(m, X, 0, steps=0), "steps=0"),
        (lambda m: cam.ablation_cam(m, X, 0, layer="logits"), "the last layer that has is 'last'"),
        (lambda m: cam.score_cam(m, X, 7), "not one of 0 to 3-1"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call(pooled())
