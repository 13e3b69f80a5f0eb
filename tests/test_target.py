"""What is explained: logits behind softmax and sigmoid, one-unit heads, names, functions, masks, several outputs."""

import gc
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from nets import DataDependent, built, images, layers, pooled, seeded, two_outputs

from tfviz import cam, gradients, tap, target, zoo
from tfviz.errors import InputError, ProbabilityWarning, RetracingWarning

pytestmark = pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")


def ended(end, units=3):
    """The same network, ended in many ways."""
    logits = pooled(units=units)
    if end == "wrapped softmax":
        return logits, keras.Sequential([logits, layers.Softmax()])
    if end == "nested twice":
        return logits, keras.Sequential([keras.Input((12, 12, 2)), keras.Sequential([logits, layers.Softmax()])])
    if end == "flat softmax layer":
        return logits, zoo.probability_model(keras.Model(logits.inputs, logits.outputs[0]))
    if end == "operation":
        return logits, keras.Model(logits.inputs, keras.ops.softmax(logits.outputs[0]))
    if end == "reshaped":
        x = layers.Softmax()(layers.Reshape((1, 1, units))(logits.outputs[0]))
        return logits, keras.Model(logits.inputs, layers.Reshape((units,))(x))
    x = layers.Activation(end)(logits.outputs[0])
    return logits, keras.Model(logits.inputs, x)


ENDS = [
    "wrapped softmax",
    "nested twice",
    "flat softmax layer",
    "operation",
    "reshaped",
    "softmax",
    "sigmoid",
    "log_softmax",
]


@pytest.mark.parametrize("end", ENDS)
def test_a_class_means_its_logit_however_the_model_ends(end):
    logits, model = ended(end)
    x = images()
    for k in (None, 2, [0, 1, 2]):
        np.testing.assert_allclose(
            gradients.gradient(model, x, k), gradients.gradient(logits, x, k), rtol=1e-5, atol=1e-8
        )
        np.testing.assert_allclose(cam.grad_cam(model, x, k), cam.grad_cam(logits, x, k), rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(
            gradients.smoothgrad(model, x, k, samples=3), gradients.smoothgrad(logits, x, k, samples=3), atol=1e-6
        )


def test_the_logits_of_a_sure_model_are_found_where_its_probabilities_have_no_gradient():
    logits, model = ended("wrapped softmax")
    for weight in logits.get_layer("logits").weights:
        weight.assign(weight * 1000)
    x = images()
    k = np.argmax(logits(x), axis=-1)
    assert np.abs(gradients.gradient(model, x, target.probability(k))).max() == 0
    assert np.abs(gradients.gradient(model, x)).max() > 1


def test_every_quantity_is_the_same_on_logits_and_on_probabilities():
    logits, model = ended("wrapped softmax")
    x = images()
    for quantity in (target.probability(1), target.cross_entropy([0, 2, 1]), target.difference(2, 0), target.logit(1)):
        np.testing.assert_allclose(
            gradients.gradient(model, x, quantity), gradients.gradient(logits, x, quantity), rtol=1e-4, atol=1e-8
        )


def test_scores_are_the_quantities_that_are_explained():
    logits, model = ended("wrapped softmax")
    x = images()
    y, p = logits(x).numpy(), model(x).numpy()
    np.testing.assert_allclose(target.scores(model, x, 1), y[:, 1], rtol=1e-5)
    np.testing.assert_allclose(target.scores(model, x), y.max(-1), rtol=1e-5)
    np.testing.assert_allclose(target.scores(model, x, target.probability(2)), p[:, 2], rtol=1e-5)
    np.testing.assert_allclose(target.scores(model, x, lambda outputs: outputs[:, 0] ** 2), p[:, 0] ** 2, rtol=1e-5)
    np.testing.assert_array_equal(target.predictions(model, x), y.argmax(-1))


@pytest.mark.parametrize("activation", ["linear", "sigmoid"])
def test_class_one_of_a_one_unit_head_is_its_logit_and_class_zero_the_negative(activation):
    logits = pooled(units=1)
    model = keras.Sequential([logits, layers.Activation(activation)])
    x = images()
    y = logits(x).numpy()[:, 0]
    np.testing.assert_allclose(target.scores(model, x, 1), y, rtol=1e-5)
    np.testing.assert_allclose(target.scores(model, x, 0), -y, rtol=1e-5)
    np.testing.assert_allclose(target.scores(model, x), np.abs(y), rtol=1e-5)
    np.testing.assert_allclose(target.scores(model, x, target.probability(0)), 1 / (1 + np.exp(y)), rtol=1e-5)
    np.testing.assert_allclose(target.scores(model, x, target.cross_entropy(1)), np.log1p(np.exp(-y)), rtol=1e-5)
    np.testing.assert_allclose(gradients.gradient(model, x, 0), -gradients.gradient(model, x, 1), rtol=0, atol=0)
    with pytest.raises(InputError, match="0 to 2-1"):
        target.scores(model, x, 2)


def test_probabilities_of_a_multi_label_head_are_sigmoids():
    logits, model = ended("sigmoid")
    x = images()
    y = logits(x).numpy()
    np.testing.assert_allclose(target.scores(model, x, target.probability(2)), 1 / (1 + np.exp(-y[:, 2])), rtol=1e-5)
    truth = np.eye(3)[[1, 1, 0]]
    p = 1 / (1 + np.exp(-y))
    expected = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).sum(-1)
    np.testing.assert_allclose(target.scores(model, x, target.cross_entropy([1, 1, 0])), expected, rtol=1e-5)


def test_probabilities_without_logits_behind_them_are_explained_with_a_warning():
    class Own(layers.Layer):
        def call(self, x):
            e = keras.ops.exp(x)
            return e / keras.ops.sum(e, axis=-1, keepdims=True)

    model = keras.Sequential([pooled(), Own()])
    with pytest.warns(ProbabilityWarning, match="probabilities are being explained"):
        gradients.saliency(model, images(), 0)
    with pytest.warns(ProbabilityWarning):
        gradients.smoothgrad(model, images(), 0, samples=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gradients.saliency(pooled(), images(), 0)


def test_logits_are_found_when_the_model_runs_eagerly():
    model = built(DataDependent())
    x = images()
    expected = gradients.gradient(model, x, 1)

    class Ended(DataDependent):
        def call(self, x):
            return keras.ops.softmax(super().call(x))

    ended_model = Ended()
    ended_model(x)
    seeded(ended_model)
    np.testing.assert_allclose(gradients.gradient(ended_model, x, 1), expected, rtol=1e-5, atol=1e-8)


def test_class_names_stand_for_indices():
    model, x, names = pooled(), images(), ["sit", "stand", "lie"]
    np.testing.assert_array_equal(
        gradients.saliency(model, x, "stand", class_names=names), gradients.saliency(model, x, 1)
    )
    np.testing.assert_array_equal(
        cam.grad_cam(model, x, ["lie", "sit", "sit"], class_names=names), cam.grad_cam(model, x, [2, 0, 0])
    )
    np.testing.assert_array_equal(
        gradients.gradient(model, x, target.difference("lie", "sit"), class_names=names),
        gradients.gradient(model, x, target.difference(2, 0)),
    )
    with pytest.raises(InputError, match="near names: stand"):
        gradients.saliency(model, x, "stnd", class_names=names)
    with pytest.raises(InputError, match="not known"):
        gradients.saliency(model, x, "stand")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (3, "Class 3 is not one of 0 to 3-1"),
        (-1, "Class -1"),
        ([0, 1], "2 classes .* for 3 images"),
        (1.5, "is no target"),
        (target.output("nowhere"), "no output 'nowhere'"),
        (target.difference(0, None), "None was given"),
        (lambda outputs: outputs, r"expected \(B,\)"),
        (True, "is no target"),
    ],
)
def test_targets_that_do_not_fit_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        gradients.saliency(pooled(), images(), wrong)


def test_one_of_several_outputs_is_named():
    model, x = two_outputs(), images()
    pose, age = (output.numpy() for output in model(x))
    np.testing.assert_allclose(target.scores(model, x, target.output("pose", 2)), pose[:, 2], rtol=1e-5)
    np.testing.assert_allclose(target.scores(model, x, target.output("age", 1)), age[:, 0], rtol=1e-5)
    np.testing.assert_allclose(target.scores(model, x, target.output(0)), pose.max(-1), rtol=1e-5)
    got = target.scores(model, x, target.output("pose", target.difference(0, 1)))
    np.testing.assert_allclose(got, pose[:, 0] - pose[:, 1], rtol=1e-4)
    np.testing.assert_allclose(target.scores(model, x, lambda outputs: outputs[1][:, 0]), age[:, 0], rtol=1e-5)
    for unsaid in (None, 1):
        with pytest.raises(InputError, match="pose, age"):
            target.scores(model, x, unsaid)


def test_an_output_with_places_needs_a_mask():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    model = seeded(keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax", name="classes")(x)))
    x = images(2, 8, 1)
    with pytest.raises(InputError, match=r"target.masked\(mask, k\)"):
        gradients.saliency(model, x)
    mask = np.zeros((8, 8), bool)
    mask[2:4, 5] = True
    logits = keras.Model(inputs, keras.layers.Conv2D(2, 1)(model.layers[1].output))
    logits.set_weights(model.get_weights())
    expected = logits(x).numpy()[:, 2:4, 5, 1].sum(1)
    np.testing.assert_allclose(target.scores(model, x, target.masked(mask, 1)), expected, rtol=1e-5)
    far = gradients.gradient(model, x, target.masked(mask, 1))
    assert np.abs(far[:, :, :3]).max() == 0
    assert np.abs(far[:, 1:5, 4:7]).min() > 0
    each = np.stack([mask, ~mask])
    got = target.scores(model, x, target.masked(each, [1, 0]))
    np.testing.assert_allclose(got[1], logits(x).numpy()[1, ~mask, 0].sum(), rtol=1e-5)
    with pytest.raises(InputError, match="mask has shape"):
        gradients.saliency(model, x, target.masked(mask[:5], 1))


def test_a_function_is_compiled_once_and_a_fresh_one_each_time_is_warned_of_once():
    model, x = pooled(), images()

    def score(outputs):
        return outputs[:, 0] - outputs[:, 1]

    np.testing.assert_allclose(
        gradients.gradient(model, x, score), gradients.gradient(model, x, target.difference(0, 1)), atol=1e-7
    )
    before = tap.traces()
    for _ in range(3):
        gradients.gradient(model, x, score)
    assert tap.traces() == before
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for weight in range(1, 7):
            got = gradients.gradient(model, x, lambda outputs, weight=weight: weight * outputs[:, 1])
            np.testing.assert_allclose(got, weight * gradients.gradient(model, x, 1), rtol=1e-5, atol=1e-7)
    assert [warning.category for warning in caught] == [RetracingWarning]


def test_a_method_of_an_object_is_a_target_and_is_compiled_once():
    class Explainer:
        def score(self, outputs):
            return tf.reduce_sum(outputs, axis=-1)

    model, explainer = pooled(), Explainer()
    first = gradients.gradient(model, images(), explainer.score)
    before = tap.traces()
    np.testing.assert_array_equal(gradients.gradient(model, images(), explainer.score), first)
    assert tap.traces() == before
    del explainer
    gc.collect()


def test_grad_cam_of_a_half_precision_model_does_not_underflow():
    policy = "mixed_float16"
    steps = [
        keras.Input((64, 64, 1)),
        layers.Conv2D(2, 3, padding="same", activation="relu", dtype=policy, name="conv"),
        layers.GlobalAveragePooling2D(dtype=policy),
        layers.Dense(2, dtype="float32"),
    ]
    model = seeded(keras.Sequential(steps))
    model.layers[-1].kernel.assign([[1e-3, 0], [2e-3, 0]])
    x = images(1, 64, 1)
    w = model.layers[-1].kernel.value.numpy()[:, 0]
    a = model.layers[0](x).numpy().astype(np.float64)
    expected = a @ w / 64**2
    np.testing.assert_allclose(cam.grad_cam(model, x, 0), expected, rtol=5e-3)


def test_the_rivals_of_a_class_are_those_with_the_nearest_logits():
    logits, model = ended("wrapped softmax", units=5)
    x = images()
    y = logits(x).numpy()
    k = np.array([3, 0, 4])
    expected = []
    for row, own in zip(y, k, strict=True):
        others = sorted((d for d in range(5) if d != own), key=lambda d: abs(row[d] - row[own]))[:2]
        p = np.exp(row[others])
        expected.append(row[own] - 0.7 * (p * row[others]).sum() / p.sum())
    for subject in (logits, model):
        got = target.scores(subject, x, target.rivals(k, count=2, strength=0.7))
        np.testing.assert_allclose(got, expected, rtol=1e-4)
    np.testing.assert_allclose(
        target.scores(model, x, target.rivals(count=1)), np.diff(np.sort(y), axis=1)[:, -1], rtol=1e-4, atol=1e-6
    )
    for wrong in ({"count": 0}, {"strength": -1}):
        with pytest.raises(InputError, match="expected"):
            target.rivals(1, **wrong)


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("activation", ["linear", "sigmoid", "softplus"])
def test_a_regression_output_is_explained_as_the_number_it_gives(units, activation):
    base = pooled(units=units)
    model, x = keras.Sequential([base, layers.Activation(activation)]), images()
    y = model(x).numpy()
    for k in range(units):
        np.testing.assert_allclose(target.scores(model, x, target.value(k)), y[:, k], rtol=1e-5)
    seen = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(seen)
        score = model(seen)[:, units - 1]
    expected = tape.gradient(score, seen).numpy().sum(-1)
    np.testing.assert_allclose(gradients.gradient(model, x, target.value(units - 1)), expected, rtol=1e-4, atol=1e-7)
    with pytest.raises(InputError, match=f"Class {units} is not"):
        target.scores(model, x, target.value(units))


def test_a_regression_output_is_one_of_several_and_has_places():
    model, x = two_outputs(), images()
    age = model(x)[1].numpy()[:, 0]
    np.testing.assert_allclose(target.scores(model, x, target.output("age", target.value())), age, rtol=1e-5)
    inputs = keras.Input((8, 8, 1))
    depth = seeded(keras.Model(inputs, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(inputs)))
    x = images(2, 8, 1)
    mask = np.zeros((8, 8))
    mask[3, 1:4] = [1, 0, 2]
    expected = (depth(x).numpy()[..., 0] * mask).sum(axis=(1, 2))
    np.testing.assert_allclose(target.scores(depth, x, target.masked(mask, target.value())), expected, rtol=1e-5)


def test_an_embedding_is_explained_by_its_likeness_to_a_reference():
    model, x = pooled(units=4), images()
    y = model(x).numpy()
    reference = model(images(1, seed=5)).numpy()[0]

    def cosine(a, b):
        return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)

    np.testing.assert_allclose(target.scores(model, x, target.similarity(reference)), cosine(y, reference), rtol=1e-5)
    each = np.roll(y, 1, axis=0)
    np.testing.assert_allclose(target.scores(model, x, target.similarity(each)), cosine(y, each), rtol=1e-5)
    np.testing.assert_allclose(target.scores(model, x, target.similarity(y)), 1, rtol=1e-6)
    # At the reference itself likeness is at its highest, so no pixel can raise it.
    np.testing.assert_allclose(gradients.gradient(model, x, target.similarity(y)), 0, atol=1e-6)
    before = tap.traces()
    together = cam.grad_cam(model, x, target.similarity(reference), layer="first")
    assert tap.traces() == before + 1
    cam.grad_cam(model, x, target.similarity(reference + 1), layer="first")
    assert tap.traces() == before + 1
    alone = cam.grad_cam(model, x[1], target.similarity(reference), layer="first")
    np.testing.assert_allclose(alone[0], together[1], rtol=1e-4, atol=1e-7)


def test_a_likeness_of_probabilities_is_that_of_the_output_as_it_is_and_zero_vectors_are_alike_to_nothing():
    logits, model = ended("wrapped softmax")
    x = images()
    p = model(x).numpy()
    expected = p[:, 1] / np.linalg.norm(p, axis=-1)
    np.testing.assert_allclose(target.scores(model, x, target.similarity([0.0, 1.0, 0.0])), expected, rtol=1e-5)
    np.testing.assert_array_equal(target.scores(logits, x, target.similarity(np.zeros(3))), 0)
    silent = pooled()
    for weight in silent.get_layer("logits").weights:
        weight.assign(0 * weight)
    assert np.isfinite(gradients.gradient(silent, x, target.similarity([1.0, 2.0, 3.0]))).all()


@pytest.mark.parametrize("reference", [np.ones(2), np.ones((2, 3)), np.ones((3, 3, 3)), 1.0])
def test_references_that_do_not_fit_are_refused(reference):
    with pytest.raises(InputError, match=r"expected an output \(B, D\)"):
        target.scores(pooled(), images(), target.similarity(reference))


def test_differences_of_classes_explain_every_way():
    model, x = pooled(), images()
    each = np.array([2, 0, 1])
    wanted = target.difference(each, [0, 1, 2])
    y = model(x).numpy()
    np.testing.assert_allclose(
        target.scores(model, x, wanted), y[np.arange(3), each] - y[np.arange(3), [0, 1, 2]], rtol=1e-4
    )
    both = [gradients.integrated_gradients(model, x, k, steps=4) for k in (2, 0)]
    np.testing.assert_allclose(
        gradients.integrated_gradients(model, x, target.difference(2, 0), steps=4), both[0] - both[1], atol=1e-5
    )
    with_itself = target.difference(1, 1)
    np.testing.assert_array_equal(target.scores(model, x, with_itself), 0)
