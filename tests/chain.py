"""A small network and its .tflite, made once for the tests of the chain to the microcontroller."""

import functools
import tempfile
import warnings
from pathlib import Path

import numpy as np

from firmware_tools.convert import convert
from tfviz.preprocess import Preprocess, Sidecar, write_sidecar

PREPROCESS = Preprocess(size=(16, 16), scale=1 / 255)
NAMES = ("sit", "stand", "lie")


@functools.cache
def folder() -> Path:
    """A folder that lives as long as the test process."""
    made = tempfile.TemporaryDirectory(prefix="chain-")
    _kept.append(made)
    return Path(made.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def keras_file() -> Path:
    """`small.keras` with its sidecar: two convolutions with batch norm, pooling, Dropout, Flatten, Dense, softmax."""
    import keras

    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3), name="image"),
            layers.Conv2D(8, 3, padding="same", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="second"),
            layers.Dropout(0.3, name="dropout"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, activation="softmax", name="head"),
        ],
        name="small",
    )
    norm = model.get_layer("norm")
    norm.moving_mean.assign(np.linspace(-0.3, 0.3, 8))
    norm.gamma.assign(np.linspace(0.5, 1.5, 8))
    path = folder() / "small.keras"
    with warnings.catch_warnings():
        # Keras 3.15 saves through an __array__ that NumPy 2.4 finds old.
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy keyword")
        model.save(path)
    write_sidecar(path, Sidecar(PREPROCESS, NAMES))
    return path


@functools.cache
def tflite_file() -> Path:
    """`small.tflite`, int8, calibrated on rendered dogs."""
    return convert(keras_file(), "dog-poses", calibration=40, out=folder() / "small.tflite")


def pictures(count: int, *, seed: int = 0) -> np.ndarray:
    """uint8 (count, 16, 16, 3) noise."""
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3)).astype(np.uint8)
