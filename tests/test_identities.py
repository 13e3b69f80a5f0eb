"""Identities that the explanations must satisfy, on random networks in float64.

`a` is the explained layer's output, HW its area, `w` and `b` the head's weights and bias, `y` the logit.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from nets import flattened, images, linear, pooled, seeded

from tfviz import cam, gradients, quadrature, target
from tfviz.cam import members
from tfviz.heads import heads

pytestmark = pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
X = images(4).astype(np.float64)
K = np.array([0, 2, 1, 2])


def inside(model, x, k, layer="last"):
    """A layer's activations, the gradients of logit `k` there and the logits, in float64, by another way."""
    with tf.GradientTape() as tape:
        a = tf.convert_to_tensor(x)
        for step in model.layers:
            a = step(a)
            if step.name == layer:
                tape.watch(a)
                kept = a
        score = tf.gather(a, k, axis=1, batch_dims=1)
    return kept.numpy(), tape.gradient(score, kept).numpy(), score.numpy()


def head(model):
    kernel, bias = (weight.value.numpy() for weight in model.get_layer("logits").weights)
    return kernel.T[K], bias[K]


def test_grad_cam_over_pooling_is_cam_over_the_area_and_sums_to_the_logit_without_its_bias():
    model = pooled("float64")
    a, g, y = inside(model, X, K)
    w, b = head(model)
    grad_cam = np.asarray(members.grad_cam(a, g))
    np.testing.assert_allclose(grad_cam * a.shape[1] * a.shape[2], np.einsum("bijk,bk->bij", a, w), rtol=0, atol=1e-14)
    np.testing.assert_allclose(grad_cam.sum(axis=(1, 2)), y - b, rtol=0, atol=1e-14)


def test_hires_and_xgrad_cam_equal_grad_cam_over_pooling_and_layer_cam_takes_positive_weights():
    model = pooled("float64")
    a, g, _ = inside(model, X, K)
    w, _ = head(model)
    grad_cam = np.asarray(members.grad_cam(a, g))
    np.testing.assert_allclose(members.hires_cam(a, g), grad_cam, rtol=0, atol=1e-15)
    np.testing.assert_allclose(members.xgrad_cam(a, g), grad_cam, rtol=0, atol=1e-15)
    positive = np.einsum("bijk,bk->bij", a, np.maximum(w, 0))
    np.testing.assert_allclose(members.layer_cam(a, g) * a.shape[1] * a.shape[2], positive, rtol=0, atol=1e-14)


def test_hires_and_xgrad_cam_sum_to_the_logit_over_flatten_and_grad_cam_does_not():
    model = flattened("float64")
    a, g, y = inside(model, X, K)
    _, b = head(model)
    np.testing.assert_allclose(np.sum(members.hires_cam(a, g), axis=(1, 2)), y - b, rtol=0, atol=1e-13)
    np.testing.assert_allclose(np.sum(members.xgrad_cam(a, g), axis=(1, 2)), y - b, rtol=0, atol=1e-13)
    assert np.abs(np.sum(members.grad_cam(a, g), axis=(1, 2)) - (y - b)).max() > 0.1


def test_grad_cam_plus_plus_over_pooling_is_exp_of_the_logit_times_the_positive_part_of_cam():
    model = pooled("float64")
    a, g, y = inside(model, X, K)
    w, _ = head(model)
    expected = np.einsum("bijk,bk->bij", a, np.maximum(w, 0)) / (a.shape[1] * a.shape[2])
    expected *= np.exp(y)[:, None, None]
    np.testing.assert_allclose(members.grad_cam_plus_plus(a, g, y), expected, rtol=1e-13)


def test_grad_cam_plus_plus_agrees_with_the_papers_alpha_written_out():
    model = flattened("float64")
    a, g, y = inside(model, X, K)
    first, second, third = (np.exp(y)[:, None, None, None] * g**power for power in (1, 2, 3))
    alpha = second / (2 * second + a.sum(axis=(1, 2), keepdims=True) * third)
    alpha = np.where(first > 0, alpha, 0)
    alpha = alpha / alpha.sum(axis=(1, 2), keepdims=True)
    expected = np.einsum("bijk,bk->bij", a, (alpha * np.maximum(first, 0)).sum(axis=(1, 2)))
    np.testing.assert_allclose(members.grad_cam_plus_plus(a, g, y), expected, rtol=1e-12)


def test_grad_cam_plus_plus_stays_finite_for_a_huge_logit():
    a = np.ones((1, 2, 2, 1), np.float32)
    assert np.isfinite(members.grad_cam_plus_plus(a, a, np.array([1e6], np.float32))).all()


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (2, 2, 2, 9)])
def test_eigen_cam_is_the_projection_on_the_first_singular_vector(shape):
    a = np.random.default_rng(0).normal(size=shape)
    expected = []
    for one in a.reshape(shape[0], -1, shape[-1]):
        u, s, _ = np.linalg.svd(one)
        map_ = u[:, 0] * s[0]
        expected.append((map_ * np.sign(map_.sum())).reshape(shape[1:3]))
    np.testing.assert_allclose(cam.components.eigen_cam(a), expected, rtol=0, atol=1e-12)


def test_element_wise_grad_cam_drops_what_speaks_against():
    a, g = np.array([[[[1.0, 2.0]]]]), np.array([[[[3.0, -5.0]]]])
    assert float(members.elementwise_grad_cam(a, g)[0, 0, 0]) == 3.0
    assert float(members.hires_cam(a, g)[0, 0, 0]) == -7.0


PUBLIC = {
    "grad-cam": (cam.grad_cam, members.grad_cam),
    "hires-cam": (cam.hires_cam, members.hires_cam),
    "layer-cam": (cam.layer_cam, members.layer_cam),
    "xgrad-cam": (cam.xgrad_cam, members.xgrad_cam),
    "elementwise-grad-cam": (cam.elementwise_grad_cam, members.elementwise_grad_cam),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_functions_are_the_rectified_members_at_the_layer_asked_for(name):
    public, member = PUBLIC[name]
    model = flattened("float64")
    for layer in ("first", "last"):
        a, g, _ = inside(model, X, K, layer)
        got = public(model, X, K, layer=layer)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, np.maximum(member(a, g), 0), rtol=1e-6, atol=1e-8)


def test_closed_form_cam_is_grad_cam_times_the_area_and_its_mean_is_the_logit_without_its_bias():
    model = pooled("float64")
    a, g, y = inside(model, X, K)
    _, b = head(model)
    got = cam.class_activation_map(model, X, K)
    np.testing.assert_allclose(got, members.grad_cam(a, g) * a.shape[1] * a.shape[2], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(got.mean(axis=(1, 2)), y - b, rtol=1e-6, atol=1e-6)


def test_gradient_times_input_of_a_bias_free_network_sums_to_the_logit():
    model = flattened("float64", bias=False)
    y = model(X).numpy()[np.arange(4), K]
    np.testing.assert_allclose(gradients.gradient_input(model, X, K).sum(axis=(1, 2)), y, rtol=2e-6)


def test_integrated_gradients_of_a_bias_free_network_are_exact_in_one_midpoint_and_err_as_known_by_trapezoid():
    model = flattened("float64", bias=False)
    y = model(X).numpy()[np.arange(4), K]
    one = gradients.integrated_gradients(model, X, K, steps=1, rule="midpoint")
    np.testing.assert_allclose(one.sum(axis=(1, 2)), y, rtol=2e-6)
    # At the baseline 0 itself, half of a trapezoid's end weight, the gradient of such a network is 0.
    for steps in (5, 11):
        residual = gradients.integrated_gradients_residual(model, X, K, steps=steps, rule="trapezoid")
        np.testing.assert_allclose(residual / y, -1 / (2 * (steps - 1)), rtol=1e-5)


def smooth():
    """Differentiable everywhere, so that a quadrature rule's order shows."""
    steps = [
        keras.Input((12, 12, 2), dtype="float64"),
        keras.layers.Conv2D(4, 3, activation="tanh", dtype="float64"),
        keras.layers.Flatten(dtype="float64"),
        keras.layers.Dense(3, dtype="float64"),
    ]
    return seeded(keras.Sequential(steps))


def completeness_error(model, rule, steps):
    residual = gradients.integrated_gradients_residual(model, X, K, steps=steps, rule=rule)
    y, y0 = model(X).numpy()[np.arange(4), K], model(0 * X).numpy()[np.arange(4), K]
    return np.linalg.norm(residual) / np.linalg.norm(y - y0)


def test_completeness_error_with_biases_falls_with_the_steps():
    model = flattened("float64")
    for rule in ("gauss-legendre", "midpoint", "trapezoid"):
        assert 5 * completeness_error(model, rule, 200) < completeness_error(model, rule, 5)
        assert completeness_error(model, rule, 200) < 2e-3


def test_completeness_error_of_a_smooth_network_has_the_order_of_the_rule():
    model = smooth()
    assert completeness_error(model, "gauss-legendre", 20) < 1e-6
    halved = [completeness_error(model, "midpoint", steps) for steps in (20, 40)]
    assert halved[0] / halved[1] == pytest.approx(4, rel=0.1)
    assert completeness_error(model, "trapezoid", 21) / halved[0] == pytest.approx(2, rel=0.2)


def test_residual_is_what_the_attributions_miss():
    model = flattened("float64")
    x0 = np.full_like(X, 0.3)
    sums = gradients.integrated_gradients(model, X, K, baseline=0.3, steps=7, rule="midpoint").sum(axis=(1, 2))
    difference = (model(X).numpy() - model(x0).numpy())[np.arange(4), K]
    residual = gradients.integrated_gradients_residual(model, X, K, baseline=0.3, steps=7, rule="midpoint")
    np.testing.assert_allclose(residual, sums - difference, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rule", ["gauss-legendre", "midpoint", "trapezoid"])
def test_quadrature_integrates_a_straight_line_exactly(rule):
    places, weights = quadrature.nodes(rule, 4)
    assert abs(float(weights @ (3 * places + 1)) - 2.5) < 1e-14


def test_a_linear_model_has_its_weights_as_saliency_at_any_noise():
    model = linear("float64")
    x = images(3, size=6).astype(np.float64)
    w = model.get_layer("logits").kernel.value.numpy()[:, 1].reshape(6, 6, 2)
    np.testing.assert_allclose(gradients.saliency(model, x, 1)[2], np.abs(w).max(-1), rtol=1e-6)
    np.testing.assert_allclose(gradients.saliency_sum(model, x, 1)[0], np.abs(w).sum(-1), rtol=1e-6)
    for noise in (0.0, 0.1, 2.0):
        np.testing.assert_allclose(gradients.smoothgrad(model, x, 1, noise=noise)[1], w.sum(-1), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(gradients.squaregrad(model, x, 1, noise=noise)[1], (w**2).sum(-1), rtol=1e-5)
        np.testing.assert_allclose(gradients.vargrad(model, x, 1, noise=noise), 0, atol=1e-12)
    integrated = gradients.integrated_gradients(model, x, 1, baseline=0.5, steps=3)
    np.testing.assert_allclose(integrated[2], (w * (x[2] - 0.5)).sum(-1), rtol=1e-4, atol=1e-6)


def test_smoothgrad_without_noise_is_the_gradient_whatever_the_chunks():
    model = flattened()
    x = X.astype(np.float32)
    plain = gradients.gradient(model, x, K)
    np.testing.assert_allclose(gradients.smoothgrad(model, x, K, noise=0, samples=7), plain, rtol=1e-4, atol=1e-6)
    noisy = gradients.smoothgrad(model, x, K, samples=11, seed=5)
    for size in (2, 3, 40):
        np.testing.assert_allclose(
            gradients.smoothgrad(model, x, K, samples=11, seed=5, batch_size=size), noisy, rtol=1e-4, atol=1e-6
        )
    assert np.abs(gradients.smoothgrad(model, x, K, samples=11, seed=6) - noisy).max() > 1e-4


def test_smoothgrad_and_vargrad_are_the_mean_and_variance_over_the_stated_draws():
    model, x = flattened("float64"), X[:1]
    span = x.max() - x.min()
    draws = [np.random.default_rng([9, 0, s]).standard_normal((12, 12, 2)) for s in range(4)]
    each = []
    for draw in draws:
        noisy = tf.convert_to_tensor(x + 0.2 * span * draw)
        with tf.GradientTape() as tape:
            tape.watch(noisy)
            score = model(noisy)[:, 1]
        each.append(tape.gradient(score, noisy).numpy()[0])
    options = {"samples": 4, "noise": 0.2, "seed": 9}
    np.testing.assert_allclose(gradients.smoothgrad(model, x, 1, **options)[0], np.mean(each, 0).sum(-1), rtol=1e-6)
    squares = np.mean(np.square(each), 0).sum(-1)
    np.testing.assert_allclose(gradients.squaregrad(model, x, 1, **options)[0], squares, rtol=1e-6)
    np.testing.assert_allclose(gradients.vargrad(model, x, 1, **options)[0], np.var(each, 0).sum(-1), rtol=1e-5)


METHODS = [
    gradients.gradient,
    gradients.saliency,
    gradients.guided_backprop,
    gradients.deconvnet,
    gradients.smoothgrad,
    gradients.vargrad,
    gradients.integrated_gradients,
    cam.grad_cam,
    cam.grad_cam_plus_plus,
    cam.layer_cam,
    cam.eigen_cam,
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_a_batch_gives_what_its_images_give_one_by_one(method):
    model = flattened("float64")
    together = method(model, X, K)
    for image, k, expected in zip(X, K, together, strict=True):
        np.testing.assert_allclose(method(model, image, int(k))[0], expected, rtol=1e-6, atol=1e-9)


def test_grad_cam_gives_the_values_that_captum_publishes_for_its_one_convolution_model():
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(2, 3, name="conv1")(inputs)
    x = keras.layers.ReLU(name="relu1")(x)
    x = keras.layers.Permute((3, 1, 2))(x)  # channels first, as there
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(4, activation="relu")(x))
    head = np.repeat(np.array([1, 1, 1, 1, 1, -1, -1, -1.0])[:, None], 4, axis=1)
    model.set_weights([np.ones((3, 3, 1, 2)), np.array([-50.0, -75.0]), head, np.zeros(4)])
    image = np.arange(16.0).reshape(4, 4, 1)
    np.testing.assert_array_equal(cam.grad_cam(model, image, 0, layer="conv1"), [[[11.25, 13.5], [20.25, 22.5]]])
    np.testing.assert_array_equal(cam.grad_cam(model, image, 0, layer="relu1"), [[[0, 4], [28, 32.5]]])


def test_guided_backprop_and_deconvnet_follow_their_rules_on_one_relu():
    x = np.array([[-1.0, 2.0], [3.0, -4.0]])[None, ..., None]
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.ReLU(), keras.layers.Flatten(), keras.layers.Dense(1, use_bias=False)]
    )
    model.set_weights([np.array([[1.0], [1.0], [-1.0], [1.0]])])
    np.testing.assert_array_equal(gradients.gradient(model, x, 1), [[[0, 1], [-1, 0]]])
    np.testing.assert_array_equal(gradients.guided_backprop(model, x, 1), [[[0, 1], [0, 0]]])
    np.testing.assert_array_equal(gradients.deconvnet(model, x, 1), [[[1, 1], [0, 1]]])


def test_targets_are_the_quantities_that_they_are_called():
    logits = tf.constant([[1.0, 2.0, -1.0], [0.0, 0.5, 3.0]], tf.float64)
    k = tf.constant([1, 2])

    @tf.function
    def all_of(logits):
        head = heads(tf.nn.softmax(logits))[0]
        options = {"rivals": (2, 0.5)}
        return {name: build(head, [k, 0 * k], *options.get(name, ())) for name, build in target.QUANTITIES.items()}

    got = all_of(logits)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(got["logit"], [2, 3], rtol=1e-14)
    np.testing.assert_allclose(got["probability"], [p[0, 1], p[1, 2]], rtol=1e-14)
    np.testing.assert_allclose(got["cross_entropy"], -np.log([p[0, 1], p[1, 2]]), rtol=1e-14)
    np.testing.assert_allclose(got["difference"], [1, 3], rtol=1e-14)
    q = np.exp([[1.0, -1.0], [0.0, 0.5]])
    rivals = (q * [[1.0, -1.0], [0.0, 0.5]]).sum(-1) / q.sum(-1)
    np.testing.assert_allclose(got["rivals"], [2 - 0.5 * rivals[0], 3 - 0.5 * rivals[1]], rtol=1e-14)


def test_the_gradient_of_the_cross_entropy_is_probability_minus_truth_on_a_linear_model():
    model = seeded(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="logits")]))
    x = np.array([[0.2, -0.4, 0.9]], np.float32)
    w = model.get_layer("logits").kernel.value.numpy()
    p = np.exp(model(x).numpy()[0])
    p /= p.sum()
    np.testing.assert_allclose(gradients.gradient(model, x, target.cross_entropy(1))[0], w @ (p - [0, 1]), rtol=1e-5)
    np.testing.assert_allclose(
        gradients.gradient(model, x, target.probability(0))[0], w @ (p[0] * (np.array([1, 0]) - p)), rtol=1e-5
    )
    np.testing.assert_allclose(gradients.gradient(model, x, target.difference(1, 0))[0], w @ [-1, 1], rtol=1e-5)
