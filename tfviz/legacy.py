"""What Keras 2 wrote into `.h5` files and Keras 3 refuses, or takes for something else.

Used by `tfviz.models` alone. Every argument that is dropped is said; one that had an effect is refused.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfviz.errors import InputError

if TYPE_CHECKING:
    import keras

_log = logging.getLogger("tfviz.models")
_NO_EFFECT = object()  # whatever its value
_GROUPS = {"groups": 1}
_GROUPED = {"groups": _NO_EFFECT}  # by their nature
_TIME_MAJOR = {"time_major": False}
_RANDOM = {"rng_type": _NO_EFFECT}
_SEPARABLE = _GROUPS | dict.fromkeys(("kernel_initializer", "kernel_regularizer", "kernel_constraint"), _NO_EFFECT)
_SPATIAL = {"trainable": _NO_EFFECT, "noise_shape": None}
_ATTENTION = dict.fromkeys(("query_shape", "key_shape", "value_shape"), _NO_EFFECT) | {"softmax_robust_masking": False}
# Layer -> arguments of its Keras 2 config that its Keras 3 class refuses, each with the value that had no effect.
# Found by handing the config of every layer of tf_keras 2.21 to Keras 3.15.
_REFUSED: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _GROUPED),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _SEPARABLE),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _GROUPS),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), _TIME_MAJOR),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"), _SPATIAL),
    **dict.fromkeys(
        (
            "RandomBrightness",
            "RandomContrast",
            "RandomCrop",
            "RandomFlip",
            "RandomRotation",
            "RandomTranslation",
            "RandomZoom",
        ),
        _RANDOM,
    ),
    "Embedding": {"input_length": _NO_EFFECT, "batch_input_shape": _NO_EFFECT},
    "MultiHeadAttention": _ATTENTION,
    "Bidirectional": {},  # for the layer inside, as the next
    "TimeDistributed": {},
}


def custom_objects(path: Path) -> dict[str, Any]:
    """Stand-ins by the names in an `.h5` file; functions that changed their meaning only if Keras 2 wrote the file."""
    import keras

    found: dict[str, Any] = {name: type(name, (_Legacy,), {"kind": getattr(keras.layers, name)}) for name in _REFUSED}
    if _keras_version(path) < 3:
        found["hard_sigmoid"] = keras2_hard_sigmoid
    return found


def _keras_version(path: Path) -> int:
    """The first number of the version that wrote a file; 3 where it does not say."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            version = file.attrs.get("keras_version", "3")
    except OSError:
        return 3
    text = version.decode() if isinstance(version, bytes) else str(version)
    return int(text.split(".")[0]) if text[:1].isdigit() else 3


def keras2_hard_sigmoid(x: Any) -> Any:
    """clip(0.2 x + 0.5, 0, 1): what `hard_sigmoid` was in Keras 2; in Keras 3 it is relu6(x + 3) / 6."""
    import keras

    return keras.ops.clip(0.2 * x + 0.5, 0, 1)


class _Legacy:
    """Makes a Keras 3 layer of a Keras 2 config."""

    kind: Any

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "keras.layers.Layer":
        return cls.kind.from_config(_accepted(cls.kind.__name__, config))


def _accepted(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """The config without what Keras 3 refuses, layers inside it too; what is dropped is said."""
    kept = {}
    for name, value in config.items():
        if name in _REFUSED[kind]:
            _drop(kind, config.get("name"), name, value)
        elif isinstance(value, dict) and value.get("class_name") in _REFUSED:
            kept[name] = {**value, "config": _accepted(value["class_name"], value["config"])}
        else:
            kept[name] = value
    return kept


def _drop(kind: str, layer: Any, name: str, value: Any) -> None:
    harmless = _REFUSED[kind][name]
    if harmless is not _NO_EFFECT and value != harmless:
        raise InputError(f"The layer {layer!r} ({kind}) has {name}={value}, which Keras 3 cannot do.")
    _log.warning("Layer %s: the legacy argument %s=%s was dropped; it had no effect.", layer, name, value)
