"""Guided Grad-CAM, Blur-IG, expected gradients and FullGrad: their identities and closed forms."""

import keras
import numpy as np
import pytest
from nets import MODELS, flattened, images, layers, linear, pooled, seeded, two_inputs

from tfviz import cam, gradients, target
from tfviz.errors import InputError
from tfviz.gradients._blur import blur_matrix
from tfviz.image import resize

pytestmark = pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
X = images(3).astype(np.float64)


def blurred(x, sigma):
    rows, columns = blur_matrix(x.shape[1], sigma), blur_matrix(x.shape[2], sigma)
    return np.einsum("ij,bjkc,lk->bilc", rows, x, columns)


def test_guided_grad_cam_is_guided_backprop_times_the_enlarged_map():
    model = flattened()
    x = X.astype(np.float32)
    expected = gradients.guided_backprop(model, x, 2) * resize(cam.grad_cam(model, x, 2, layer="first"), 12)
    np.testing.assert_array_equal(gradients.guided_grad_cam(model, x, 2, layer="first"), expected)
    assert np.abs(expected).max() > 0


def test_the_blur_keeps_the_sum_flattens_in_the_end_and_halves_no_step():
    line = np.random.default_rng(0).normal(size=9)
    np.testing.assert_allclose((blur_matrix(9, 2.0) @ line).sum(), line.sum(), rtol=1e-12)
    np.testing.assert_allclose(blur_matrix(9, 60.0) @ line, np.full(9, line.mean()), atol=1e-12)
    # Variances add: blurring by 3 and then by 4 is blurring by 5.
    np.testing.assert_allclose(blur_matrix(9, 3.0) @ blur_matrix(9, 4.0), blur_matrix(9, 5.0), atol=1e-14)
    # Inside a long line, the variance of a blurred point is that of the Gaussian.
    spread = blur_matrix(101, 4.0)[50]
    assert float(spread @ (np.arange(101) - 50) ** 2) == pytest.approx(16, rel=1e-9)


def test_blur_ig_of_a_linear_model_is_its_weight_times_what_the_blur_takes():
    model = linear("float64")
    x = images(2, size=6).astype(np.float64)
    w = model.get_layer("logits").kernel.value.numpy()[:, 1].reshape(6, 6, 2)
    got = gradients.blur_integrated_gradients(model, x, 1, max_sigma=2.0, steps=20)
    np.testing.assert_allclose(got, (w * (x - blurred(x, 2.0))).sum(-1), rtol=1e-5, atol=1e-7)
    residual = gradients.blur_integrated_gradients_residual(model, x, 1, max_sigma=2.0, steps=20)
    np.testing.assert_allclose(residual, 0, atol=1e-12)


def test_blur_ig_is_complete_and_its_residual_says_by_how_much_it_is_not():
    model = flattened("float64")
    change = (model(X) - model(blurred(X, 3.0))).numpy()[:, 1]
    for rule, steps in (("gauss-legendre", 200), ("midpoint", 7)):
        options = {"max_sigma": 3.0, "steps": steps, "rule": rule}
        sums = gradients.blur_integrated_gradients(model, X, 1, **options).sum(axis=(1, 2))
        residual = gradients.blur_integrated_gradients_residual(model, X, 1, **options)
        np.testing.assert_allclose(residual, sums - change, atol=1e-5)
        if steps == 200:
            assert np.abs(residual).max() < 0.03 * np.abs(change).max()
    for size in (1, 5, 100):
        whole = gradients.blur_integrated_gradients(model, X, 1, steps=9)
        np.testing.assert_allclose(
            gradients.blur_integrated_gradients(model, X, 1, steps=9, batch_size=size), whole, rtol=1e-5, atol=1e-7
        )


def test_blur_ig_refuses_what_cannot_be_blurred():
    vector = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(InputError, match="cannot be blurred"):
        gradients.blur_integrated_gradients(vector, np.ones((1, 4)), 0)
    with pytest.raises(InputError, match="max_sigma=0"):
        gradients.blur_integrated_gradients(pooled(), images(), 0, max_sigma=0)


def test_expected_gradients_of_a_linear_model_are_its_weight_times_the_distance_from_the_mean_reference():
    model = linear("float64")
    x, references = images(2, size=6).astype(np.float64), images(4, size=6, seed=7).astype(np.float64)
    w = model.get_layer("logits").kernel.value.numpy()[:, 0].reshape(6, 6, 2)
    got = gradients.expected_gradients(model, x, 0, references=references, samples=12)
    np.testing.assert_allclose(got, (w * (x - references.mean(0))).sum(-1), rtol=1e-5, atol=1e-7)


def test_expected_gradients_tend_to_the_mean_of_integrated_gradients_over_the_references():
    model, references = flattened("float64"), images(4, seed=7).astype(np.float64)
    each = [gradients.integrated_gradients(model, X, 1, baseline=one, steps=200) for one in references]
    expected = np.mean(each, axis=0)
    got = gradients.expected_gradients(model, X, 1, references=references, samples=800)
    np.testing.assert_allclose(got, expected, atol=0.01 * np.abs(expected).max())


def test_expected_gradients_against_noise_are_complete_on_average_and_never_leave_the_images_range():
    model = linear("float64", units=3)
    x = images(2, size=6).astype(np.float64)
    w = model.get_layer("logits").kernel.value.numpy()[:, 2].reshape(6, 6, 2)
    middle = (x.max(axis=(1, 2, 3), keepdims=True) + x.min(axis=(1, 2, 3), keepdims=True)) / 2
    got = gradients.expected_gradients(model, x, 2, samples=2000)
    np.testing.assert_allclose(got, (w * (x - middle)).sum(-1), atol=0.05)
    with pytest.raises(InputError, match="references do not fit"):
        gradients.expected_gradients(model, x, 2, references=np.zeros((2, 5, 5, 2)))
    with pytest.raises(InputError, match="at least 1"):
        gradients.expected_gradients(model, x, 2, samples=0)


def curved():
    """Every way in which a bias hides: depthwise, separable and transposed kernels, norms, curved activations."""
    steps = [
        keras.Input((12, 12, 2)),
        layers.Rescaling(0.5),
        layers.Conv2D(4, 3, activation="swish"),
        layers.BatchNormalization(scale=False),
        layers.Activation("gelu"),
        layers.ReLU(max_value=2.0),
        layers.Conv2DTranspose(3, 2, strides=2, use_bias=False),
        layers.BatchNormalization(center=False),
        layers.ELU(),
        layers.DepthwiseConv2D(3, activation="tanh"),
        layers.MaxPooling2D(2),
        layers.SeparableConv2D(3, 3, activation="relu6"),
        layers.Flatten(),
        layers.Dense(4, activation="sigmoid"),
        layers.Dense(3, activation="softmax"),
    ]
    return seeded(keras.Sequential(steps))


NETS = {**{kind: MODELS[kind] for kind in MODELS if kind not in ("mixed", "reads_batch")}, "curved": curved}


@pytest.mark.parametrize("kind", NETS)
def test_full_grads_terms_are_all_of_the_logit(kind):
    model, x = NETS[kind](), images()
    scores = target.scores(model, x, 1)
    residual = gradients.full_grad_residual(model, x, 1)
    np.testing.assert_allclose(residual, 0, atol=3e-6 * max(1, np.abs(scores).max()))
    assert np.abs(scores).min() > 1e-3


def test_full_grads_terms_in_float64_miss_nothing_and_a_product_of_branches_shows():
    np.testing.assert_allclose(gradients.full_grad_residual(flattened("float64"), X, 1), 0, atol=1e-14)
    inputs = keras.Input((6, 6, 1))
    product = layers.Multiply()([inputs, inputs])
    model = seeded(keras.Model(inputs, layers.Dense(2)(layers.Flatten()(product))))
    x = images(2, 6, 1)
    # A square is 2 x * x by its slope, once too often.
    b = model.layers[-1].bias.value.numpy()[1]
    residual = gradients.full_grad_residual(model, x, 1)
    np.testing.assert_allclose(residual, target.scores(model, x, 1) - b, rtol=1e-4)


def test_the_full_grad_map_is_the_sum_of_the_scaled_sizes_of_its_terms():
    inputs = keras.Input((4, 4, 1))
    conv = layers.Conv2D(2, 1, name="conv")
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(layers.Flatten()(layers.ReLU()(conv(inputs)))))
    seeded(model)
    conv.bias.assign([0.5, -0.25])
    x = images(2, 4, 1)

    def psi(term):
        size = np.abs(term) - np.abs(term).min(axis=(1, 2, 3), keepdims=True)
        return (size / size.max(axis=(1, 2, 3), keepdims=True)).sum(-1)

    w = model.layers[-1].kernel.value.numpy().reshape(4, 4, 2)
    slope = w * (conv(x).numpy() > 0)
    pixels = x * (slope * conv.kernel.value.numpy()[0, 0]).sum(-1, keepdims=True)
    expected = psi(pixels) + psi(slope * [0.5, -0.25])
    np.testing.assert_allclose(gradients.full_grad(model, x, 1), expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="one input"):
        gradients.full_grad(two_inputs(), [images(1), images(1, 8, 1)], 0)
