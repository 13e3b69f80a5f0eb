"""Small models of every kind that the tests explain, seeded."""

from typing import Any

import keras
import numpy as np

layers = keras.layers


def seeded(model: Any, seed: int = 0, scale: float = 0.4) -> Any:
    """Give every weight a seeded value, biases too, so that nothing is zero by accident; variances stay positive."""
    draws = np.random.default_rng(seed)
    for weight in model.weights:
        if "seed" in weight.name or not str(weight.dtype).startswith(("float", "bfloat")):
            continue
        values = draws.normal(0, scale, weight.shape)
        weight.assign(np.abs(values) + 0.5 if weight.name.endswith(("variance", "gamma")) else values)
    return model


def images(batch: int = 3, size: int = 12, channels: int = 2, seed: int = 1) -> Any:
    return np.random.default_rng(seed).uniform(0, 1, (batch, size, size, channels)).astype(np.float32)


def body(dtype: str | None = None, bias: bool = True) -> list[Any]:
    return [
        layers.Conv2D(4, 3, activation="relu", use_bias=bias, name="first", dtype=dtype),
        layers.MaxPooling2D(2, name="pool", dtype=dtype),
        layers.Conv2D(5, 3, activation="relu", use_bias=bias, name="last", dtype=dtype),
    ]


def pooled(dtype: str = "float32", units: int = 3, bias: bool = True, name: str = "pooled") -> Any:
    """Convolutions, global average pooling, Dense logits."""
    return seeded(
        keras.Sequential(
            [
                keras.Input((12, 12, 2), dtype=dtype),
                *body(dtype, bias),
                layers.GlobalAveragePooling2D(name="mean", dtype=dtype),
                layers.Dense(units, name="logits", use_bias=bias, dtype=dtype),
            ],
            name=name,
        )
    )


def flattened(dtype: str = "float32", bias: bool = True) -> Any:
    """Convolutions, Flatten, Dense logits."""
    return seeded(
        keras.Sequential(
            [
                keras.Input((12, 12, 2), dtype=dtype),
                *body(dtype, bias),
                layers.Flatten(name="flat", dtype=dtype),
                layers.Dense(3, name="logits", use_bias=bias, dtype=dtype),
            ]
        )
    )


def linear(dtype: str = "float32", units: int = 2) -> Any:
    return seeded(
        keras.Sequential(
            [
                keras.Input((6, 6, 2), dtype=dtype),
                layers.Flatten(dtype=dtype),
                layers.Dense(units, name="logits", dtype=dtype),
            ]
        )
    )


def called_once() -> Any:
    model = keras.Sequential([*body(), layers.Flatten(), layers.Dense(3)])
    model(images())
    return seeded(model)


def functional() -> Any:
    inputs = keras.Input((12, 12, 2), name="image")
    x = inputs
    for layer in body():
        x = layer(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.5, name="drop", seed=3)(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return seeded(keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x)))


def nested() -> Any:
    inner = keras.Sequential([keras.Input((12, 12, 2)), *body()], name="inner")
    middle_input = keras.Input((12, 12, 2))
    middle = keras.Model(middle_input, layers.Activation("relu", name="act")(inner(middle_input)), name="middle")
    return seeded(
        keras.Sequential([keras.Input((12, 12, 2)), middle, layers.GlobalAveragePooling2D(), layers.Dense(3)])
    )


class Subclassed(keras.Model):
    """Layers called from Python code, one of them twice, in a list, with a choice in Python."""

    def __init__(self) -> None:
        super().__init__(name="subclassed")
        self.first = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")
        self.twice = layers.Conv2D(4, 3, padding="same", activation="relu", name="twice")
        self.norm = layers.BatchNormalization(name="norm")
        self.rest = [layers.GlobalAveragePooling2D(name="mean"), layers.Dense(3, name="logits")]

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.first(x)
        for _ in range(2):
            x = self.twice(x)
        if not training:
            x = self.norm(x, training=training)
        for layer in self.rest:
            x = layer(x)
        return x


class DataDependent(keras.Model):
    """Cannot be compiled: what it does hangs on a value."""

    def __init__(self) -> None:
        super().__init__(name="data_dependent")
        self.conv = layers.Conv2D(4, 3, activation="relu", name="conv")
        self.head = layers.Dense(3, name="head")

    def call(self, x: Any) -> Any:
        x = self.conv(x)
        if float(keras.ops.max(x)) > 1e6:
            x = x * 0
        return self.head(keras.ops.mean(x, axis=(1, 2)))


class ReadsBatch(keras.Model):
    """Needs its batch size as a number."""

    def __init__(self) -> None:
        super().__init__(name="reads_batch")
        self.conv = layers.Conv2D(4, 3, activation="relu", name="conv")
        self.head = layers.Dense(3, name="head")

    def call(self, x: Any) -> Any:
        x = self.conv(x)
        parts = [keras.ops.mean(x[i], axis=(0, 1)) for i in range(x.shape[0])]
        return self.head(keras.ops.stack(parts))


def built(model: Any, *, batch: int = 2) -> Any:
    model(images(batch))
    return seeded(model)


def shared() -> Any:
    inputs = keras.Input((12, 12, 2))
    conv = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")
    x = conv(conv(inputs))
    return seeded(keras.Model(inputs, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x))))


def two_inputs() -> Any:
    left, right = keras.Input((12, 12, 2), name="left"), keras.Input((8, 8, 1), name="right")
    a = layers.Conv2D(3, 3, activation="relu", name="conv_left")(left)
    b = layers.Conv2D(2, 3, activation="relu", name="conv_right")(right)
    pool = layers.GlobalAveragePooling2D
    return seeded(keras.Model([left, right], layers.Dense(3)(layers.Concatenate()([pool()(a), pool()(b)]))))


def two_outputs() -> Any:
    inputs = keras.Input((12, 12, 2))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    return seeded(keras.Model(inputs, [layers.Dense(3, name="pose")(x), layers.Dense(1, name="age")(x)]))


def mixed() -> Any:
    inputs = keras.Input((12, 12, 2))
    x = inputs
    for layer in body("mixed_float16"):
        x = layer(x)
    x = layers.GlobalAveragePooling2D(dtype="mixed_float16")(x)
    return seeded(keras.Model(inputs, layers.Dense(3, activation="softmax", dtype="float32")(x)))


def regularised() -> Any:
    """Losses, dropout seeds and batch-norm statistics: state that a careless call would move."""
    inputs = keras.Input((12, 12, 2))
    x = layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2", activity_regularizer="l1", name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.GaussianNoise(0.1, seed=1)(x)
    x = layers.Dropout(0.5, seed=2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return seeded(keras.Model(inputs, layers.Dense(3)(x)))


MODELS = {
    "pooled": pooled,
    "flattened": flattened,
    "called_once": called_once,
    "functional": functional,
    "nested": nested,
    "subclassed": lambda: built(Subclassed()),
    "data_dependent": lambda: built(DataDependent()),
    "reads_batch": lambda: built(ReadsBatch()),
    "shared": shared,
    "mixed": mixed,
    "regularised": regularised,
    "wrapped": lambda: keras.Sequential([pooled(), layers.Softmax(name="softmax")]),
}
