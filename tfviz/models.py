"""MODEL on a command line -> a Keras model: a `.keras` or `.h5` file (safe mode on), or `module:function`."""

import hashlib
import importlib
import json
import os
import re
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfviz import legacy
from tfviz.errors import InputError
from tfviz.image import near_names

if TYPE_CHECKING:
    import keras

SUFFIXES = (".keras", ".h5", ".hdf5")


def load_model(spec: str | os.PathLike[str]) -> "keras.Model":
    """Load a model, uncompiled, without running any code that a model file brings along.

    Args:
        spec: a `.keras` or `.h5` file, or `module:function` for a model that only code can build: the function is
            called without arguments and returns the model (the current folder is searched first).

    Raises:
        InputError: missing, no model, another format, a Lambda layer, an unknown class, or a Keras backend other than
            TensorFlow; one sentence that says what to do.
    """
    text = os.fspath(spec)
    if Path(text).suffix in SUFFIXES or Path(text).exists():
        return _load_file(Path(text))
    if ":" in text:
        return _call_builder(text)
    if Path(text).suffix:
        raise InputError(f"There is no model file {text}.{near_names(Path(text))}")
    raise InputError(f"MODEL is a .keras or .h5 file or module:function, and {text!r} is neither.")


def fingerprint(model: "str | os.PathLike[str] | keras.Model") -> str:
    """SHA-256, hexadecimal: of a model file's bytes, or of a model's config and weights.

    Raises:
        InputError: the file cannot be read.
    """
    if isinstance(model, str | os.PathLike) and (Path(model).exists() or ":" not in os.fspath(model)):
        try:
            with Path(model).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"Cannot read the model {model}: {error.strerror or error}.") from error
    built: Any = load_model(model) if isinstance(model, str | os.PathLike) else model
    digest = hashlib.sha256(_config_text(built).encode())
    for weight in built.weights:
        values = np.ascontiguousarray(weight.numpy())
        digest.update(f"{weight.path} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _config_text(model: Any) -> str:
    try:
        return json.dumps(model.get_config(), sort_keys=True, default=str)
    except NotImplementedError:  # a subclassed model: its weights have to speak for it
        return type(model).__qualname__


def require_tensorflow() -> None:
    """Refuse a Keras that runs on another backend."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Keras runs on {keras.backend.backend()} here and this needs TensorFlow; set KERAS_BACKEND=tensorflow."
        )


def _load_file(path: Path) -> "keras.Model":
    if path.is_dir():
        raise InputError(f"{path} is a folder; MODEL is a .keras or .h5 file (save a SavedModel again as .keras).")
    if not path.exists():
        raise InputError(f"There is no model file {path}.{near_names(path)}")
    suffix = path.suffix
    if suffix == ".tflite":
        raise InputError(
            f"{path} is a TensorFlow Lite model, which firmware-tools takes; here a .keras or .h5 is meant."
        )
    if suffix not in SUFFIXES:
        raise InputError(f"{path} does not end in .keras or .h5, the two formats of Keras models.")
    _check_magic(path, suffix)
    require_tensorflow()
    import keras

    custom = {} if suffix == ".keras" else legacy.custom_objects(path)
    try:
        # In scope, not only handed over: wrappers such as Bidirectional look their inner layer up there.
        with keras.saving.custom_object_scope(custom):
            loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    except InputError:
        raise
    except Exception as error:  # Keras has no type of its own for what can be wrong with a file
        raise InputError(_reason(path, error)) from error
    return loaded


def _check_magic(path: Path, suffix: str) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise InputError(f"Cannot read the model {path}: {error.strerror or error}.") from error
    if not start:
        raise InputError(f"The model {path} is empty (0 bytes).")
    good = start == b"\x89HDF\r\n\x1a\n" if suffix != ".keras" else zipfile.is_zipfile(path)
    if not good:
        raise InputError(f"{path} is not a {suffix} model, whatever its name says (its first bytes are not right).")


def _reason(path: Path, error: Exception) -> str:
    text = " ".join(str(error).split())
    if "ambda" in text and ("safe" in text or "unsafe" in text or "arbitrary code" in text):
        return (
            f"{path} holds a Lambda layer, Python code that is not run from a file; write a function that builds the "
            "model and loads its weights, and give it as module:function."
        )
    unknown = re.search(r"(?:Could not locate (?:class|function)|Unknown layer:?) '?(\w+)", text)
    if unknown:
        return (
            f"{path} uses {unknown[1]!r}, which Keras does not know; write a function that imports it and loads the "
            "model, and give it as module:function."
        )
    if "No model config" in text:
        return f"{path} holds weights without a model; write a function that builds the model and loads them."
    return f"{path} is not a model that Keras can load: {type(error).__name__}: {text[:240]}"


def _call_builder(spec: str) -> "keras.Model":
    module_name, _, function_name = spec.partition(":")
    require_tensorflow()
    import keras

    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, ValueError) as error:
        raise InputError(f"Cannot import {module_name!r} of {spec!r}: {error}.") from error
    except AttributeError as error:
        raise InputError(f"Module {module_name} has no function {function_name!r}.") from error
    except Exception as error:
        raise InputError(f"Importing {module_name} raised {type(error).__name__}: {error}.") from error
    try:
        built = function()
    except Exception as error:
        raise InputError(f"{spec} raised {type(error).__name__}: {error}.") from error
    if not isinstance(built, keras.Model):
        raise InputError(f"{spec} returned {type(built).__name__}; it has to return a Keras model.")
    return built
