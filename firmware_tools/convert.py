"""A Keras model to a `.tflite` that a microcontroller can hold.

The signature is fixed at a batch of one: with an open batch Flatten becomes arithmetic on shapes (SHAPE,
STRIDED_SLICE, PACK) which no microcontroller needs. Weights are quantised per channel, activations per tensor from
calibration data. TensorFlow is imported when `convert` is called.
"""

import contextlib
import dataclasses
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firmware_tools import graph as graphs
from firmware_tools.pictures import Expectation, expectation, open_data, sidecar
from firmware_tools.reference.native import caught_stderr
from tfviz.errors import InputError
from tfviz.files import write_bytes
from tfviz.preprocess import Preprocess, write_sidecar

if TYPE_CHECKING:
    import keras

    from tfviz.data import Dataset

Array = npt.NDArray[Any]
MODES = ("int8", "int16x8", "float32", "float16", "dynamic")
CALIBRATED = ("int8", "int16x8")
CALIBRATION_IMAGES = 200

_log = logging.getLogger(__name__)


def convert(
    model: "str | os.PathLike[str] | keras.Model",
    data: "str | os.PathLike[str] | Dataset | Array | None" = None,
    *,
    mode: str = "int8",
    out: str | os.PathLike[str],
    calibration: int = CALIBRATION_IMAGES,
    split: str | None = "calibration",
    preprocess: Preprocess | None = None,
    class_names: Sequence[str] | None = None,
    float_ops: Sequence[str] = (),
) -> Path:
    """Convert and write `out`, and beside it the sidecar with the model's preprocessing and class names.

    Args:
        model: a `.keras` or `.h5` file, `module:function`, or a built Keras model with one input.
        data: calibration data: a name on the command line, a `Dataset`, or an array of uint8 pixels or of float32
            model inputs. The modes int8 and int16x8 need it, the others do not look at it.
        mode: `int8` (input and output int8), `int16x8` (int16 activations), `float32`, `float16` (weights),
            `dynamic` (int8 weights, float activations).
        out: the `.tflite` to write.
        calibration: how many images at most.
        split: of `data`; `calibration` is disjoint from what models are tested on.
        preprocess, class_names: instead of what is recorded beside the model.
        float_ops: in the mode int8, ops that stay float, by the names of their output tensors in the int8 `.tflite`.

    Raises:
        InputError: an unknown mode, a model with several inputs or an open size, no data, or an op that cannot be
            converted.
    """
    if mode not in MODES:
        raise InputError(f"There is no mode {mode!r}; it is one of {', '.join(MODES)}.")
    if calibration < 1:
        raise InputError(f"Calibration takes at least one image, and {calibration} were asked for.")
    if mode in CALIBRATED and data is None:
        raise InputError(f"The mode {mode} needs calibration data; give a folder, an .npz or dog-poses.")
    target = Path(out)
    if target.suffix != ".tflite":
        raise InputError(f"{target} does not end in .tflite, which is what is written.")
    loaded = _load(model)
    shape = input_shape(loaded)
    paths = [Path(model)] if isinstance(model, str | os.PathLike) else []
    expected = expectation(paths, shape)
    if preprocess is not None:
        expected = Expectation(preprocess, expected.class_names, recorded=True)
    if class_names is not None:
        expected = dataclasses.replace(expected, class_names=tuple(class_names))
    examples = _examples(data, expected, shape, calibration, split) if mode in CALIBRATED else None
    if float_ops and mode != "int8":
        raise InputError(f"Single ops can stay float in the mode int8 alone, not in {mode}.")
    content = _converted(loaded, shape, mode, examples, float_ops)
    graphs.load(content)  # what is written has been validated
    write_bytes(target, content)
    beside = sidecar(expected)
    if beside is not None:
        write_sidecar(target, beside)
    if expected.preprocess is not None and not expected.recorded and mode in CALIBRATED:
        _log.warning("No preprocessing is recorded beside the model: calibration pixels went in as they are, 0..255.")
    return target


def input_shape(model: Any) -> tuple[int, ...]:
    """The model's input with a batch of one.

    Raises:
        InputError: several inputs, or a size that is left open.
    """
    shapes = model.input_shape if model.built else None
    if shapes is None:
        raise InputError(f"The model {model.name!r} has no input shape yet; give it an Input or call it once.")
    if isinstance(shapes, list | dict) and len(shapes) == 1:
        shapes = next(iter(shapes.values() if isinstance(shapes, dict) else shapes))
    if isinstance(shapes, list | dict) or (shapes and isinstance(shapes[0], tuple | list)):
        raise InputError(f"The model {model.name!r} has {len(shapes)} inputs; only models with one can be converted.")
    if any(size is None for size in shapes[1:]):
        raise InputError(
            f"The model {model.name!r} leaves its input size open {tuple(shapes[1:])}; a microcontroller needs a fixed "
            "one: build the model again with an Input of that size."
        )
    return (1, *(int(size) for size in shapes[1:]))


def _load(model: "str | os.PathLike[str] | keras.Model") -> Any:
    if not isinstance(model, str | os.PathLike):
        return model
    from tfviz.models import load_model

    return load_model(model)


def _examples(
    data: Any, expected: Expectation, shape: tuple[int, ...], count: int, split: str | None
) -> Callable[[], Iterator[list[Array]]]:
    """What the converter asks for: a function that yields model inputs one by one, float32 of `shape`."""

    def images() -> Iterator[Array]:
        if isinstance(data, np.ndarray):
            yield from (data[i : i + 1] for i in range(min(count, len(data))))
            return
        left = count
        for batch in open_data(data, expected, split=split, limit=count).batches(32):
            for i in range(min(left, len(batch.images))):
                yield batch.images[i : i + 1]
            left -= len(batch.images)
            if left <= 0:
                return

    def examples() -> Iterator[list[Array]]:
        for image in images():
            if np.issubdtype(image.dtype, np.signedinteger):
                raise InputError("Calibration data must be pixels or float numbers; these are quantised already.")
            real = expected.real(image)
            if real.shape[1:] != shape[1:]:
                given, wanted = (" x ".join(map(str, sizes)) for sizes in (real.shape[1:], shape[1:]))
                raise InputError(f"The calibration data are {given}; the model's input is {wanted}.")
            if not np.isfinite(real).all():
                raise InputError("The calibration data hold NaN or infinity; look at the data or the preprocessing.")
            yield [real]

    first = next(examples(), None)
    if first is None:
        raise InputError("The calibration data are empty; at least one image is needed.")
    return examples


def _converted(
    model: Any,
    shape: tuple[int, ...],
    mode: str,
    examples: Callable[[], Iterator[list[Array]]] | None,
    float_ops: Sequence[str],
) -> bytes:
    import keras

    failed: list[InputError] = []

    def representative() -> Iterator[list[Array]]:
        assert examples is not None
        try:
            yield from examples()
        except InputError as error:  # the converter would wrap it
            failed.append(error)
            raise

    with tempfile.TemporaryDirectory() as folder, caught_stderr() as said, _unchanged(model):
        import tensorflow as tf

        levels = tf.get_logger().level
        tf.get_logger().setLevel("ERROR")
        try:
            archive = keras.export.ExportArchive()
            archive.track(model)
            archive.add_endpoint(
                "serve",
                lambda image: model(image, training=False),
                input_signature=[tf.TensorSpec(shape, tf.float32, name="image")],
            )
            archive.write_out(folder, verbose=False)
            converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serve"])
            _set_mode(converter, mode, representative)
            return bytes(_selective(converter, representative, float_ops) if float_ops else converter.convert())
        except Exception as error:  # the converter raises whatever it meets: ValueError, RuntimeError, its own classes
            if failed:
                raise failed[0] from None
            raise InputError(_reason(model.name, error, said())) from error
        finally:
            tf.get_logger().setLevel(levels)


@contextlib.contextmanager
def _unchanged(model: Any) -> Iterator[None]:
    """Take back the attributes that exporting leaves on a model and its layers."""
    before = [(vars(layer), dict(vars(layer))) for layer in model._flatten_layers(include_self=True)]
    try:
        yield
    finally:
        for now, then in before:
            for name in set(now) - set(then):
                del now[name]
            now.update((name, value) for name, value in then.items() if now.get(name) is not value)


def _set_mode(converter: Any, mode: str, examples: Callable[[], Iterator[list[Array]]]) -> None:
    import tensorflow as tf

    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if mode in CALIBRATED:
        sets = tf.lite.OpsSet
        wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        integer = tf.int8 if mode == "int8" else tf.int16
        converter.representative_dataset = examples
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS_INT8 if mode == "int8" else wide]
        converter.inference_input_type = converter.inference_output_type = integer


def _selective(converter: Any, examples: Callable[[], Iterator[list[Array]]], float_ops: Sequence[str]) -> bytes:
    """int8 but for some ops: the converter's own quantisation debugger leaves them as they are."""
    import warnings

    import tensorflow as tf

    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=list(float_ops), fully_quantize=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it opens TensorFlow's own interpreter, which is deprecated
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=examples, debug_options=options
        )
        return bytes(debugger.get_nondebug_quantized_model())


def _reason(name: str, error: Exception, said: str) -> str:
    """One sentence of what the converter said, which is usually a page."""
    text = f"{error} {said}"
    for line in text.splitlines():
        if "is neither a custom op nor a flex op" in line or "needs a flex delegate" in line.lower():
            return f"The model {name!r} holds an op that TensorFlow Lite does not have: {' '.join(line.split())[:200]}"
    return f"The model {name!r} cannot be converted: {type(error).__name__}: {' '.join(str(error).split())[:240]}"
