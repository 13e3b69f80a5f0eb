"""Models of the wild: every family of keras.applications, half precision, other layouts, Keras 2."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from nets import body, images, layers, seeded

from tfviz import cam, gradients, maps, tap, target
from tfviz.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")

# One of each family, at a size that it takes.
QUICK = {"MobileNet": 32, "MobileNetV3Small": 32}
FAMILIES = {
    "ConvNeXtTiny": 32,
    "DenseNet121": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "InceptionResNetV2": 75,
    "InceptionV3": 75,
    "MobileNetV2": 32,
    "NASNetMobile": 64,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "VGG16": 32,
    "VGG19": 32,
    "Xception": 71,
}


@pytest.mark.parametrize("family", [*QUICK, *(pytest.param(family, marks=pytest.mark.slow) for family in FAMILIES)])
def test_every_family_of_keras_applications_is_explained(family):
    size = (QUICK | FAMILIES)[family]
    model = getattr(keras.applications, family)(
        input_shape=(size, size, 3), weights=None, classes=5, classifier_activation="softmax"
    )
    x = images(2, size, 3) * 255
    infos = tap.layers(model)
    assert sum(info.parameters for info in infos) >= model.count_params()
    last = [info.address for info in infos if len(info.output_shape) == 4][-1]
    got = maps.feature_maps(model, x, [infos[0].address, infos[-1].address])
    np.testing.assert_allclose(got[infos[-1].address], model(x, training=False), rtol=1e-3, atol=1e-5)
    seen = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(seen)
        score = model(seen, training=False)._keras_logits[:, 2]
    expected = tape.gradient(score, seen).numpy().sum(-1)
    np.testing.assert_allclose(
        gradients.gradient(model, x, 2), expected, rtol=0, atol=2e-3 * np.abs(expected).max() + 1e-9
    )
    np.testing.assert_allclose(target.scores(model, x, 2), score, rtol=1e-3, atol=1e-4)
    assert np.isfinite(cam.grad_cam(model, x, 2, layer=last)).all()


@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        "bfloat16",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("float16", "mixed_bfloat16")),
    ],
)
def test_half_precision_models_give_the_float32_models_maps_to_their_precision(policy):
    def network(dtype):
        inputs = keras.Input((12, 12, 2))
        x = inputs
        for layer in body(dtype):
            x = layer(x)
        x = layers.BatchNormalization(dtype=dtype)(x)
        x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
        return seeded(keras.Model(inputs, layers.Dense(3, activation="softmax", dtype="float32")(x)))

    half, full, x = network(policy), network("float32"), images()
    tolerance = 0.2 if "bfloat16" in policy else 0.02  # 8 and 11 bits of precision, through seven layers and kinks
    calls = (
        lambda model: maps.feature_maps(model, x, "last")["last"],
        lambda model: gradients.gradient(model, x, 1),
        lambda model: gradients.integrated_gradients(model, x, 1, steps=5),
        lambda model: gradients.smoothgrad(model, x, 1, samples=5),
        lambda model: gradients.full_grad(model, x, 1),
        lambda model: gradients.blur_integrated_gradients(model, x, 1, steps=5),
        lambda model: cam.layer_cam(model, x, 1, layer="first"),
        lambda model: cam.eigen_cam(model, x, 1, layer="first"),
        lambda model: cam.shapley_cam(model, x, 1, layer="first"),
    )
    for call in calls:
        got, expected = call(half), call(full)
        assert got.dtype == np.float32
        assert np.linalg.norm(got - expected) <= tolerance * np.linalg.norm(expected)


class Branching(keras.Model):
    """Chooses in Python by an attribute, a shape, a loop and a condition on a tensor."""

    def __init__(self):
        super().__init__(name="branching")
        self.deep = True
        self.convs = [layers.Conv2D(3, 3, padding="same", activation="relu", name=f"conv{i}") for i in range(3)]
        self.head = layers.Dense(2, name="head")

    def call(self, x):
        for number, conv in enumerate(self.convs):
            if number and not self.deep:
                break
            x = conv(x)
            if x.shape[1] > 10:
                x = keras.ops.max(keras.ops.stack([x, x / 2]), axis=0)
        return self.head(keras.ops.cond(keras.ops.mean(x) > 1e3, lambda: x[:, 0, 0], lambda: keras.ops.mean(x, (1, 2))))


def test_python_control_flow_is_followed_also_when_what_decides_changes():
    model, x = Branching(), images()
    model(x)
    seeded(model)
    for deep in (True, False):
        model.deep = deep
        seen = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(seen)
            score = model(seen)[:, 1]
        expected = tape.gradient(score, seen).numpy().sum(-1)
        np.testing.assert_allclose(gradients.gradient(model, x, 1), expected, rtol=1e-4, atol=1e-7)
        assert [i.address for i in tap.layers(model)] == [f"conv{i}" for i in range(3 if deep else 1)] + ["head"]


def test_several_inputs_and_outputs_are_explained_together():
    left, right = keras.Input((8, 8, 1), name="left"), keras.Input((6, 6, 2), name="right")
    a = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, activation="relu", name="a")(left))
    b = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, activation="relu", name="b")(right))
    both = layers.Concatenate()([a, b])
    outputs = {"kind": layers.Dense(3, name="kind")(both), "size": layers.Dense(1, name="size")(both)}
    model = seeded(keras.Model({"left": left, "right": right}, outputs))
    x = {"left": images(2, 8, 1), "right": images(2, 6, 2)}
    for wanted, column in (
        (target.output("kind", 2), ("kind", 2)),
        (target.output("size", target.value()), ("size", 0)),
    ):
        seen = {name: tf.convert_to_tensor(value) for name, value in x.items()}
        with tf.GradientTape() as tape:
            tape.watch(seen)
            score = model(seen)[column[0]][:, column[1]]
        expected = tape.gradient(score, seen)
        got = gradients.gradient(model, x, wanted)
        assert sorted(got) == ["left", "right"]
        for name, values in got.items():
            np.testing.assert_allclose(values, expected[name].numpy().sum(-1), rtol=1e-4, atol=1e-7)
        noisy = gradients.expected_gradients(model, x, wanted, references=x, samples=4)
        assert {name: values.shape for name, values in noisy.items()} == {"left": (2, 8, 8), "right": (2, 6, 6)}
        blurred = gradients.blur_integrated_gradients(model, x, wanted, steps=30, max_sigma=2)
        assert np.isfinite(blurred["left"]).all()
        np.testing.assert_allclose(
            gradients.blur_integrated_gradients_residual(model, x, wanted, steps=200, max_sigma=2), 0, atol=0.02
        )
        assert cam.grad_cam(model, x, wanted, layer="b").shape == (2, 4, 4)


def test_a_model_whose_channels_come_first_is_refused_in_a_sentence_each_time():
    steps = [
        keras.Input((2, 8, 8)),
        layers.Conv2D(3, 3, data_format="channels_first", name="conv"),
        layers.Flatten(),
        layers.Dense(2),
    ]
    model = keras.Sequential(steps)
    calls = (gradients.saliency, cam.grad_cam, maps.feature_maps, lambda model, _: tap.layers(model))
    for call in (*calls, *calls):
        with pytest.raises(InputError, match="'conv' is channels_first"):
            call(model, np.ones((1, 2, 8, 8)))


def test_a_keras_2_model_is_refused_with_the_way_to_keras_3():
    old = type("Sequential", (), {"__module__": "tf_keras.src.engine.sequential"})()
    with pytest.raises(InputError, match=r"tfviz.load_model\('model.h5'\)"):
        gradients.saliency(old, images())
