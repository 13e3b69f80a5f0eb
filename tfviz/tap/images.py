"""Make what the user gives into what the model takes: a flat list of arrays with a batch axis, checked."""

import dataclasses
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.tap.checks import check_model
from tfviz.tap.program import remembered

Array = npt.NDArray[Any]

# What the images given so far say of models that do not know their inputs themselves.
_learned: weakref.WeakKeyDictionary[Any, tuple[Any, tuple["InputSpec", ...]]] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """What one input of a model takes: its name, its shape without the batch axis (None = any), its dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclasses.dataclass(frozen=True)
class Batch:
    """A model's inputs, one array with a batch axis each, in the order in which the model's structure flattens."""

    arrays: tuple[Array, ...]
    dtypes: tuple[str, ...]
    like: Any
    """The user's structure (list, dict, or a single thing), with each array's position in place of the array."""
    structure: Any
    """The structure that the model's `call` takes, likewise."""
    tensors: tuple[Any, ...] = ()
    """What the user gave, where that is tensors just as the model takes them: they need no copy."""

    def __len__(self) -> int:
        return len(self.arrays[0])

    def rows(self, start: int, stop: int) -> "Batch":
        """Rows `start` to `stop` alone."""
        return dataclasses.replace(self, arrays=tuple(array[start:stop] for array in self.arrays), tensors=())

    def part(self, start: int, stop: int) -> list[Array]:
        """Rows `start` to `stop` of each input, in the dtype that the model takes."""
        return [
            np.asarray(array[start:stop], dtype=dtype) for array, dtype in zip(self.arrays, self.dtypes, strict=True)
        ]

    def parts(self, size: int) -> Iterator[tuple[int, list[Any]]]:
        """The rows in parts of at most `size`, arrays or tensors, each with its first row's number."""
        if self.tensors and len(self) <= size:
            yield 0, list(self.tensors)
            return
        for start in range(0, len(self), size):
            yield start, self.part(start, start + size)

    def answer(self, arrays: Sequence[Any]) -> Any:
        """One thing for each input, in the structure in which the user gave the inputs."""
        return keras.tree.map_structure(lambda position: arrays[position], self.like)


def input_specs(model: Any) -> tuple[Any, tuple[InputSpec, ...]]:
    """The structure that the model's `call` takes (positions at the leaves) and what each input takes."""
    functional = getattr(model, "_functional", None) or model
    if hasattr(functional, "_inputs_struct"):
        return remembered(model, "inputs", lambda: _specs_of_struct(functional._inputs_struct))
    return _specs_of_last_build(model)


def _specs_of_struct(struct: Any) -> tuple[Any, tuple[InputSpec, ...]]:
    flat = keras.tree.flatten(struct)
    structure = keras.tree.pack_sequence_as(struct, list(range(len(flat))))
    return structure, tuple(InputSpec(t.name, tuple(t.shape[1:]), t.dtype) for t in flat)


def _specs_of_last_build(model: Any) -> tuple[Any, tuple[InputSpec, ...]]:
    """A subclassed model knows its inputs by the shapes that it was built for, or we know them by its first images."""
    shapes = model._build_shapes_dict
    if not shapes:
        if model in _learned:
            return _learned[model]
        raise InputError(f"The model {model.name!r} does not know its input shape; give tfviz an image of it first.")
    if len(shapes) > 1:
        names = ", ".join(shapes)
        raise InputError(
            f"The model {model.name!r} takes several arguments ({names}); pack them into one list or dict."
        )
    leaves: list[InputSpec] = []

    def visit(shape: Any, name: str) -> Any:
        if isinstance(shape, Mapping):
            return {key: visit(shape[key], key) for key in sorted(shape)}
        if shape and any(isinstance(part, (list, tuple, Mapping)) for part in shape):
            return [visit(part, f"{name}_{position}") for position, part in enumerate(shape)]
        leaves.append(InputSpec(name, tuple(shape[1:]), model.input_dtype))
        return len(leaves) - 1

    structure = visit(next(iter(shapes.values())), "input")
    return structure, tuple(leaves)


def prepare(model: Any, images: Any) -> Batch:
    """Check `images` against what `model` takes and give each input a batch axis.

    Args:
        model: a built Keras model.
        images: `(B, H, W, C)`, or one image `(H, W, C)`, recognised by the rank of the model's input; for several
            inputs a list in the model's order or a dict by input name.

    Raises:
        InputError: a wrong number of inputs, an unknown input name, a wrong rank, shape, dtype or batch size.
    """
    check_model(model)
    if not _knows_inputs(model):
        _learned[model] = _specs_of(images)
    structure, specs = input_specs(model)
    flat, like = _flatten(images, structure, specs)
    arrays = tuple(_with_batch_axis(value, spec) for value, spec in zip(flat, specs, strict=True))
    sizes = sorted({len(array) for array in arrays})
    if len(sizes) > 1:
        raise InputError(f"The inputs have batches of {sizes} images; give each input the same number.")
    if sizes[0] == 0:
        raise InputError("There is no image: the batch is empty.")
    as_taken = all(
        isinstance(value, tf.Tensor) and value.dtype.name == spec.dtype and value.ndim == array.ndim
        for value, spec, array in zip(flat, specs, arrays, strict=True)
    )
    return Batch(arrays, tuple(spec.dtype for spec in specs), like, structure, tuple(flat) if as_taken else ())


def _knows_inputs(model: Any) -> bool:
    functional = getattr(model, "_functional", None) or model
    return bool(model in _learned or hasattr(functional, "_inputs_struct") or model._build_shapes_dict)


def _specs_of(images: Any) -> tuple[Any, tuple[InputSpec, ...]]:
    """What the first images of a model say about its inputs; one array of rank 3 is taken for one image."""
    several = isinstance(images, Mapping) or (isinstance(images, (list, tuple)) and all(np.ndim(i) > 2 for i in images))
    flat = keras.tree.flatten(images) if several else [images]
    structure = keras.tree.pack_sequence_as(images, list(range(len(flat)))) if several else 0
    shapes = [np.shape(image)[-3:] if np.ndim(image) == 3 and not several else np.shape(image)[1:] for image in flat]
    names = sorted(images) if isinstance(images, Mapping) else [f"input_{i}" for i in range(len(flat))]
    return structure, tuple(
        InputSpec(name, tuple(shape), keras.config.floatx()) for name, shape in zip(names, shapes, strict=True)
    )


def _flatten(images: Any, structure: Any, specs: Sequence[InputSpec]) -> tuple[list[Any], Any]:
    names = [spec.name for spec in specs]
    if isinstance(images, Mapping):
        keys = sorted(structure) if isinstance(structure, Mapping) else names
        if sorted(images) != sorted(keys):
            raise InputError(f"The inputs are named {sorted(images)}; the model's are {sorted(keys)}.")
        where = structure if isinstance(structure, Mapping) else {name: names.index(name) for name in names}
        flat = [None] * len(specs)
        for key in images:
            flat[where[key]] = images[key]
        return flat, {key: where[key] for key in images}
    if isinstance(images, (list, tuple)) and len(specs) > 1:
        if len(images) != len(specs):
            raise InputError(f"{len(images)} inputs were given; the model takes {len(specs)}: {', '.join(names)}.")
        return list(images), list(range(len(specs)))
    if len(specs) > 1:
        raise InputError(f"One input was given; the model takes {len(specs)} ({', '.join(names)}): a list or a dict.")
    if isinstance(structure, Mapping):
        raise InputError(f"The model takes a dict of inputs ({', '.join(names)}).")
    return [images], 0


def _with_batch_axis(value: Any, spec: InputSpec) -> Array:
    if isinstance(value, keras.KerasTensor) or tf.is_symbolic_tensor(value):
        raise InputError(
            "A tensor without values was given (inside tf.function, Dataset.map or a Functional model); images are "
            "expected: call tfviz outside."
        )
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError("The images differ in size: give an array, or images of one size.") from error
    if array.dtype.kind not in "buif" and array.dtype.name != "bfloat16":
        raise InputError(f"The images are of dtype {array.dtype}; numbers are expected.")
    rank = len(spec.shape)
    if array.ndim == rank:
        array = array[np.newaxis]
    fits = array.ndim == rank + 1 and all(
        size in (None, given) for size, given in zip(spec.shape, array.shape[1:], strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in spec.shape)
        raise InputError(
            f"Images of shape {np.shape(value)} were given; the model's input {spec.name!r} takes "
            f"(B, {wanted}), or one of ({wanted})."
        )
    return array
