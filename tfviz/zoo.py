"""The small networks: the dog-training log's CNN, the twin that it is trained as, its two probability models.

And the one that comes trained.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfviz.errors import InputError
from tfviz.preprocess import Preprocess, read_sidecar

if TYPE_CHECKING:
    import keras

FILTERS = (8, 16, 32, 48, 48)
POOLED = 3  # so many of the convolutions are followed by max pooling: 64 pixels leave 8 x 8 maps


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained model with what is recorded beside it; `path` is what a command line takes."""

    path: Path
    model: "keras.Model"
    preprocess: Preprocess
    class_names: tuple[str, ...]


def trained_dog_cnn() -> Trained:
    """The `dog_cnn` that ships with the package, trained on the drawings of dog-poses: sit, stand, lie.

    Made by `tfviz train dog-poses --out dog_cnn.keras`: 12,000 drawings of its train split, 93.2 % right on 1,000 of
    its test split. For notebooks and tests that need a network which has learned something; of photographs it knows
    nothing.

    >>> dogs = trained_dog_cnn()
    >>> dogs.class_names, dogs.model.output_shape
    (('sit', 'stand', 'lie'), (None, 3))
    """
    from tfviz.models import load_model

    path = Path(__file__).parent / "assets" / "dog_cnn.keras"
    sidecar = read_sidecar(path)
    if sidecar is None:
        raise InputError(f"{path}.json is missing: install tfviz again.")
    return Trained(path, load_model(path), sidecar.preprocess, sidecar.class_names)


def dog_cnn(
    input_shape: tuple[int, int, int] = (64, 64, 3), classes: int = 3, *, seed: int = 0, name: str = "dog_cnn"
) -> "keras.Model":
    """A CNN that sees a dog's pose and fits a microcontroller: flat, Functional, ends in logits.

    `layers[0]` is the input and `layers[1]` the first convolution, whose 8 maps make the 2 x 4 picture. Five 3 x 3
    convolutions with ReLU inside, max pooling after the first three, then global average pooling and one Dense: the
    head on which CAM and Grad-CAM agree. At 64 x 64 x 3: 40,835 parameters, 5.5 million multiplications, and as int8
    only the ops CONV_2D, MAX_POOL_2D, MEAN and FULLY_CONNECTED.

    Args:
        input_shape: height, width, channels; at least 16 x 16.
        classes: outputs.
        seed: of the initial weights; the same seed gives the same weights.
        name: the model's name.

    Raises:
        InputError: a smaller picture, or fewer than two classes.
    """
    import keras

    def block(x: "keras.KerasTensor", index: int) -> "keras.KerasTensor":
        x = keras.layers.Conv2D(
            FILTERS[index],
            3,
            padding="same",
            activation="relu",
            name=f"conv{index + 1}",
            kernel_initializer=_he(seed, index),
        )(x)
        return _pooled(x, index)

    inputs, features = _stem(input_shape, classes, block)
    return keras.Model(inputs, _head(features, classes, seed), name=name)


def dog_cnn_twin(input_shape: tuple[int, int, int] = (64, 64, 3), classes: int = 3, *, seed: int = 0) -> "keras.Model":
    """The same network with batch normalisation between convolution and ReLU, which learns in a third of the time.

    `fold` turns it into a `dog_cnn` of the same function. Pooling comes before normalisation and ReLU here, on a
    quarter of the values; with normalisation's factors kept from going below zero, both are increasing and the maximum
    does not care which comes first.
    """
    import keras

    def block(x: "keras.KerasTensor", index: int) -> "keras.KerasTensor":
        x = keras.layers.Conv2D(
            FILTERS[index],
            3,
            padding="same",
            use_bias=False,
            name=f"conv{index + 1}",
            kernel_initializer=_he(seed, index),
        )(x)
        x = _pooled(x, index)
        x = keras.layers.BatchNormalization(
            momentum=0.9, gamma_constraint=keras.constraints.NonNeg(), name=f"norm{index + 1}"
        )(x)
        return keras.layers.ReLU(name=f"relu{index + 1}")(x)

    inputs, features = _stem(input_shape, classes, block)
    return keras.Model(inputs, _head(features, classes, seed), name="dog_cnn_twin")


def fold(twin: "keras.Model", *, name: str = "dog_cnn") -> "keras.Model":
    """A `dog_cnn` that computes what the trained twin computes in inference (to float32 rounding).

    Batch normalisation g (x - m) / sqrt(v + e) + b after a convolution with kernel w is the convolution with kernel
    w g / sqrt(v + e) and bias b - m g / sqrt(v + e) (Jacob et al. 2018, section 3.2).
    """
    model = dog_cnn(twin.input_shape[1:], twin.output_shape[-1], name=name)
    for index in range(1, len(FILTERS) + 1):
        norm = twin.get_layer(f"norm{index}")
        gamma, beta, mean, variance = (np.asarray(weight, np.float64) for weight in norm.get_weights())
        factor = gamma / np.sqrt(variance + norm.epsilon)
        (kernel,) = twin.get_layer(f"conv{index}").get_weights()
        model.get_layer(f"conv{index}").set_weights([kernel * factor, beta - mean * factor])
    model.get_layer("logits").set_weights(twin.get_layer("logits").get_weights())
    return model


def probability_model(model: "keras.Model") -> "keras.Model":
    """The model with a Softmax behind its logits, flat: the same layers, the same weights, one more layer.

    So `probability_model(model).layers[1].output` are the maps of the first convolution, as on the model itself.

    Raises:
        InputError: the model is not built.
    """
    import keras

    if not model.built:
        raise InputError(f"The model {model.name!r} is not built yet: give it an Input, or call it once on an image.")
    # A Sequential that was never called has `outputs`, but no `output`.
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    probabilities = keras.layers.Softmax(name="probabilities")(model.outputs[0])
    return keras.Model(inputs, probabilities, name="probability_model")


def wrapped_probability_model(model: "keras.Model") -> "keras.Model":
    """`Sequential([model, Softmax()])`: the model as one layer, as TensorFlow's tutorials build it."""
    import keras

    return keras.Sequential([model, keras.layers.Softmax(name="probabilities")], name="wrapped_probability_model")


def _stem(
    input_shape: tuple[int, int, int],
    classes: int,
    block: "Callable[[keras.KerasTensor, int], keras.KerasTensor]",
) -> "tuple[keras.KerasTensor, keras.KerasTensor]":
    import keras

    height, width, channels = input_shape
    if min(height, width) < 16 or channels < 1 or classes < 2:
        raise InputError(
            f"dog_cnn needs at least 16 x 16 x 1 and 2 classes, not {height} x {width} x {channels} and {classes}."
        )
    inputs = keras.Input(input_shape, name="image")
    x = inputs
    for index in range(len(FILTERS)):
        x = block(x, index)
    return inputs, keras.layers.GlobalAveragePooling2D(name="mean")(x)


def _pooled(x: "keras.KerasTensor", index: int) -> "keras.KerasTensor":
    import keras

    return keras.layers.MaxPooling2D(2, name=f"pool{index + 1}")(x) if index < POOLED else x


def _head(features: "keras.KerasTensor", classes: int, seed: int) -> "keras.KerasTensor":
    import keras

    start = keras.initializers.GlorotUniform(seed=1000 * seed + 999)
    return keras.layers.Dense(classes, kernel_initializer=start, name="logits")(features)


def _he(seed: int, index: int) -> "keras.Initializer":
    import keras

    return keras.initializers.HeNormal(seed=1000 * seed + index)
