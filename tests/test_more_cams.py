"""The CAMs beyond the gradient family, several layers in one map, and methods made calmer."""

import keras
import numpy as np
import pytest
from nets import flattened, images, layers, pooled, seeded
from test_identities import inside

from tfviz import cam, gradients, maps, tap, target
from tfviz.cam import components, members
from tfviz.errors import EmptyMapWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
X = images(4).astype(np.float64)
K = np.array([0, 2, 1, 2])


def test_eigen_grad_cam_is_the_first_singular_part_of_maps_times_gradients_signed_like_hires_cam():
    a, g, _ = inside(flattened("float64"), X, K, "first")
    expected = []
    for one in (a * g).reshape(4, -1, 4):
        u, s, _ = np.linalg.svd(one)
        part = u[:, 0] * s[0]
        expected.append((part * np.sign(part @ one.sum(-1))).reshape(10, 10))
    np.testing.assert_allclose(components.eigen_grad_cam(a, g), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        cam.eigen_grad_cam(flattened("float64"), X, K, layer="first"), np.maximum(expected, 0), rtol=1e-6, atol=1e-8
    )


def test_eigen_grad_cam_turns_around_with_the_class_and_eigen_cam_does_not():
    a, g, _ = inside(flattened("float64"), X, K, "first")
    np.testing.assert_allclose(components.eigen_grad_cam(a, -g), -components.eigen_grad_cam(a, g), atol=1e-12)
    np.testing.assert_allclose(components.eigen_cam(3 * a), 3 * components.eigen_cam(a), rtol=1e-10)


def test_kpca_cam_is_kernel_pca_written_out():
    a = np.random.default_rng(0).normal(size=(2, 4, 5, 3))
    for image, got in zip(a, components.kpca_cam(a).numpy(), strict=True):
        places = image.reshape(20, 3) / np.sqrt((image**2).mean())
        kernel = np.tanh(places @ places.T / 3 + 1)
        middle = np.eye(20) - 1 / 20
        values, vectors = np.linalg.eigh(middle @ kernel @ middle)
        part = np.sqrt(values[-1]) * vectors[:, -1]
        strength = np.abs(places).sum(1)
        part *= np.sign(part @ (strength - strength.mean()))
        np.testing.assert_allclose(got, part.reshape(4, 5), rtol=0, atol=1e-12)
    np.testing.assert_allclose(components.kpca_cam(7 * a), components.kpca_cam(a), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(components.kpca_cam(np.full((1, 3, 3, 2), 0.3, np.float32)), 0)


def test_fem_adds_the_means_of_channels_where_they_stand_out():
    a = np.random.default_rng(3).gamma(1.0, size=(2, 6, 6, 5))
    mean, deviation = a.mean(axis=(1, 2)), a.std(axis=(1, 2))
    expected = np.einsum("bk,bijk->bij", mean, a > (mean + 2 * deviation)[:, None, None])
    np.testing.assert_allclose(members.fem(a), expected, rtol=1e-12)
    assert 0 < (expected > 0).mean() < 0.5
    np.testing.assert_array_equal(members.fem(np.full((1, 5, 5, 2), 0.1, np.float32)), 0)


class Quadratic(keras.Model):
    """y = w.A + A.Q.A / 2 on the pooled maps' places: its second derivative is Q."""

    def __init__(self):
        super().__init__(name="quadratic")
        self.conv = layers.Conv2D(2, 1, name="conv", dtype="float64")
        self.square = self.add_weight(shape=(32, 32), name="square", dtype="float64")
        self.linear = self.add_weight(shape=(32, 1), name="linear", dtype="float64")

    def call(self, x):
        a = keras.ops.reshape(self.conv(x), (-1, 32))
        return keras.ops.matmul(a, self.linear) + keras.ops.sum(a * keras.ops.matmul(a, self.square), 1, True) / 2


def test_shapley_cam_takes_half_of_the_curvature_off_the_gradient():
    model = Quadratic()
    x = images(2, 4, 3).astype(np.float64)
    model(x)
    seeded(model)
    q = model.square.value.numpy() + model.square.value.numpy().T
    a = model.conv(x).numpy()
    flat = a.reshape(2, 32)
    g = model.linear.value.numpy()[:, 0] + flat @ q / 2
    weights = (g - flat @ q / 4).reshape(2, 4, 4, 2).mean(axis=(1, 2))
    signed = np.einsum("bijk,bk->bij", a, weights)
    for k, expected in ((1, np.maximum(signed, 0)), (0, np.maximum(-signed, 0))):
        np.testing.assert_allclose(cam.shapley_cam(model, x, k, layer="conv"), expected, rtol=1e-6, atol=1e-9)
    assert np.abs(cam.grad_cam(model, x, 0, layer="conv") - np.maximum(-signed, 0)).max() > 1e-3


def test_shapley_cam_of_a_logit_over_a_piecewise_linear_head_is_grad_cam():
    model = flattened("float64")
    np.testing.assert_allclose(cam.shapley_cam(model, X, K), cam.grad_cam(model, X, K), rtol=1e-7)


def test_finer_cam_over_pooling_takes_the_rivals_weights_off():
    model = pooled("float64")
    a, _, _ = inside(model, X, K)
    w = model.get_layer("logits").kernel.value.numpy().T
    y = model(X).numpy()
    expected = []
    for one, k, logits in zip(a, K, y, strict=True):
        others = [d for d in range(3) if d != k]
        nearest = min(others, key=lambda d: abs(logits[d] - logits[k]))
        p = np.exp(logits[others]) / np.exp(logits[others]).sum()
        expected.append([one @ (w[k] - w[nearest]), one @ (w[k] - 0.5 * p @ w[others])])
    expected = np.maximum(np.array(expected), 0) / 9
    np.testing.assert_allclose(cam.finer_cam(model, X, K, count=1), expected[:, 0], rtol=1e-6, atol=1e-9)
    half = cam.finer_cam(model, X, K, strength=0.5)  # of three classes there are no more than two rivals
    np.testing.assert_allclose(half, expected[:, 1], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(cam.finer_cam(model, X, K, strength=0), cam.grad_cam(model, X, K), rtol=1e-6)
    with pytest.raises(InputError, match="give a class"):
        cam.finer_cam(model, X, target.probability(1))


def test_finer_cam_of_a_one_unit_head_is_twice_grad_cam():
    model = pooled(units=1)
    np.testing.assert_allclose(cam.finer_cam(model, images(), 1), 2 * cam.grad_cam(model, images(), 1), rtol=1e-6)


def test_random_cam_is_the_layers_maps_weighed_by_the_stated_draws():
    model = flattened()
    a = maps.feature_maps(model, images(), "first")["first"]
    for seed in (0, 4):
        weights = np.random.default_rng(seed).uniform(-1, 1, 4)
        got = cam.random_cam(model, images(), layer="first", seed=seed)
        np.testing.assert_allclose(got, np.maximum(a @ weights, 0), rtol=1e-5, atol=1e-6)


def test_several_layers_are_fused_in_one_pass_as_their_single_maps_would_be():
    model, x = flattened(), images()
    single = [cam.layer_cam(model, x, 2, layer=layer) for layer in ("first", "last")]
    before = tap.traces()
    got = cam.fused_cam(model, x, 2, layer=["first", "last"])
    assert tap.traces() == before + 1
    assert got.shape == (3, 10, 10)
    np.testing.assert_allclose(got, cam.fuse(single), rtol=1e-5, atol=1e-6)
    most = cam.fused_cam(model, x, 2, layer=["first", "last"], how="max")
    np.testing.assert_allclose(most, cam.fuse(single, how="max"), rtol=1e-5, atol=1e-6)
    assert (most >= got - 1e-6).all()
    np.testing.assert_array_equal(
        cam.fused_cam(model, x, 2), cam.fused_cam(model, x, 2, layer=["first", "pool", "last"])
    )


def test_fusing_scales_each_map_by_itself_and_leaves_an_empty_one_out():
    low, high = np.array([[[1.0, 2.0]]]), np.array([[[100.0]]])
    np.testing.assert_allclose(cam.fuse([low, high]), [[[0.75, 1.0]]])
    np.testing.assert_allclose(cam.fuse([low, 0 * high]), [[[0.25, 0.5]]])
    np.testing.assert_allclose(cam.fuse([-low, high], how="max"), [[[1.0, 1.0]]])
    for wrong, message in (([], "expected"), ([low, np.ones((2, 1, 1))], "one B"), ([low[0]], "expected")):
        with pytest.raises(InputError, match=message):
            cam.fuse(wrong)
    with pytest.raises(InputError, match="'mean' or 'max'"):
        cam.fuse([low], how="median")


@pytest.mark.parametrize("flips", [("left-right",), ("up-down", "both"), ("left-right", "up-down", "both")])
def test_flips_are_undone_exactly_and_averaged(flips):
    model, x = flattened(), images()
    k = target.predictions(model, x)
    axes = {"left-right": 2, "up-down": 1, "both": (1, 2)}
    each = [gradients.saliency(model, x, k)]
    each += [np.flip(gradients.saliency(model, np.flip(x, axes[name]), k), axes[name]) for name in flips]
    got = cam.flip_smoothed(gradients.saliency, flips=flips)(model, x)
    np.testing.assert_allclose(got, np.mean(each, axis=0), rtol=1e-5, atol=1e-7)


def test_a_symmetric_network_has_the_same_map_after_smoothing_by_flips():
    model, x = pooled(), images()
    for layer in model.layers:
        if layer.name in ("first", "last"):
            kernel = layer.kernel.value.numpy()
            layer.kernel.assign((kernel + kernel[:, ::-1]) / 2)
    smoothed = cam.flip_smoothed(cam.grad_cam)
    assert smoothed.__name__ == "grad_cam"
    np.testing.assert_allclose(smoothed(model, x, 1), cam.grad_cam(model, x, 1), rtol=1e-4, atol=1e-6)


def test_flips_take_the_mask_of_a_target_along():
    inputs = keras.Input((8, 8, 1))
    model = seeded(keras.Model(inputs, layers.Conv2D(2, 1, name="classes")(inputs)))
    mask = np.zeros((8, 8))
    mask[2, 6] = 1
    for each in (mask, np.stack([mask, mask])):
        wanted = target.masked(each, 1)
        got = cam.flip_smoothed(gradients.gradient, flips=["both"])(model, images(2, 8, 1), wanted)
        np.testing.assert_array_equal(got != 0, np.broadcast_to(mask != 0, got.shape))


def test_unknown_flips_and_methods_without_weights_are_refused():
    with pytest.raises(InputError, match="left-right"):
        cam.flip_smoothed(cam.grad_cam, flips=("sideways",))
    with pytest.raises(InputError, match="weigh channels"):
        cam.eigen_smoothed("fem")(pooled(), images(), 0)
    with pytest.raises(InputError, match="'sum' or 'eigen'"):
        cam.cams(pooled(), images(), ["grad-cam"], 0, channels="mean")


def test_eigen_smoothing_is_the_first_component_of_the_weighted_channels():
    model = flattened("float64")
    a, g, _ = inside(model, X, K, "first")
    np.testing.assert_allclose(
        cam.eigen_smoothed("hires-cam")(model, X, K, layer="first"), cam.eigen_grad_cam(model, X, K, layer="first")
    )
    each = a * g.mean(axis=(1, 2), keepdims=True)
    expected = np.maximum(components.principal(a, g.mean(axis=(1, 2))), 0)
    got = cam.flip_smoothed(cam.eigen_smoothed("grad-cam"), flips=["up-down"])  # the two compose
    assert got(model, X, K, layer="first").shape == expected.shape
    np.testing.assert_allclose(cam.eigen_smoothed("grad-cam")(model, X, K, layer="first"), expected, rtol=1e-6)
    rank_one = np.einsum("bij,k->bijk", each.sum(-1), np.arange(1.0, 4.0))
    np.testing.assert_allclose(
        components.principal(rank_one, np.ones((4, 3))), each.sum(-1) * np.sqrt(14), rtol=1e-9, atol=1e-12
    )


def test_an_empty_layer_is_flagged_by_the_new_maps_too():
    model = pooled()
    model.get_layer("last").bias.assign(np.full(5, -100.0))
    for method in (cam.fem, cam.random_cam, cam.fused_cam, cam.eigen_grad_cam):
        with pytest.warns(EmptyMapWarning, match="3 of 3"):
            method(model, images(), layer="last")
