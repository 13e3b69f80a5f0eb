"""The networks that explanations are measured on, with seeded weights, equal in every process that builds them."""

import dataclasses
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
layers = keras.layers


@dataclasses.dataclass(frozen=True)
class Net:
    """A model that ends in logits, its input, the class of each image, and the layer that is explained."""

    model: Any
    images: Array
    layer: str
    sampled: int
    """So many of the images are explained by the sampling methods."""

    @property
    def classes(self) -> Array:
        return np.arange(len(self.images)) % 10

    @property
    def few(self) -> Array:
        return self.images[: self.sampled]

    @property
    def convolutions(self) -> list[str]:
        kinds = (layers.Conv2D, layers.DepthwiseConv2D)
        return [layer.name for layer in self.model.layers if isinstance(layer, kinds)]


def small() -> Net:
    """a: 64 x 64 x 1, Conv8, pool, Conv16, pool, Conv32, GAP, Dense10; batch 32."""
    inputs = x = keras.Input((64, 64, 1))
    for filters in (8, 16, 32):
        x = layers.MaxPooling2D()(x) if filters > 8 else x
        x = layers.Conv2D(filters, 3, activation="relu", name=f"conv{filters}")(x)
    x = layers.Dense(10, name="logits")(layers.GlobalAveragePooling2D()(x))
    # Functional, since half of the peers fail on a Sequential model.
    model = keras.Model(inputs, x)
    return Net(seeded(model), images(32, 64, 1), "conv32", 8)


def mobilenet() -> Net:
    """b: MobileNetV2 at 96 x 96; batch 8."""
    model = keras.applications.MobileNetV2((96, 96, 3), weights=None, classifier_activation=None)
    return Net(seeded(model), images(8, 96, 3), "out_relu", 1)


def resnet() -> Net:
    """c: ResNet50 at 224 x 224; batch 8."""
    model = keras.applications.ResNet50(weights=None, classifier_activation=None)
    return Net(seeded(model), images(8, 224, 3), "conv5_block3_out", 1)


def colour() -> Net:
    """Not in the table: RGB, batch norms and a Flatten, small enough that rounding stays at its own size."""
    inputs = x = keras.Input((32, 32, 3))
    for filters in (8, 16):
        x = layers.Conv2D(filters, 3, use_bias=False, name=f"conv{filters}")(x)
        x = layers.ReLU(name=f"relu{filters}")(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D()(x)
    model = keras.Model(inputs, layers.Dense(10, name="logits")(layers.Flatten()(x)))
    return Net(seeded(model), images(6, 32, 3), "relu16", 4)


NETS = {"a": small, "b": mobilenet, "c": resnet, "colour": colour}


def images(count: int, size: int, channels: int) -> Array:
    return np.random.default_rng(0).uniform(-1, 1, (count, size, size, channels)).astype(np.float32)


def seeded(model: Any, seed: int = 1) -> Any:
    """Kernels as He et al. 2015 start them; batch norms that shift and scale, so that nothing cancels by accident."""
    draws = np.random.default_rng(seed)
    for weight in model.weights:
        if not str(weight.dtype).startswith("float"):
            continue
        noise = draws.normal(size=weight.shape)
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(1 + 0.1 * np.tanh(noise))
        elif len(weight.shape) == 1:
            weight.assign(0.1 * noise)
        else:
            inputs = np.prod(weight.shape[:2]) if "depthwise" in weight.path else np.prod(weight.shape[:-1])
            weight.assign(noise * np.sqrt(2 / inputs))
    return model
