"""Check a target against a model and a batch."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.tap._survey import Survey, survey
from tfviz.target._kinds import as_target
from tfviz.target._score import Plan

Array = npt.NDArray[Any]


def plan(model: Any, target: Any, images: int, *, class_names: Sequence[str] | None = None) -> Plan:
    """Check `target` against `model` for a batch of `images` images.

    Args:
        model: a built Keras model.
        target: None (each image's own prediction), a class index, one index for each image, a class name, a function
            of the model's outputs that returns `(B,)`, or a `Target`.
        images: how many images there are.
        class_names: the names of the classes, in order; needed for targets by name.

    Raises:
        InputError: a class out of range, an unknown name, a wrong number of classes, an output not said or not there,
            a mask missing or of the wrong shape.
    """
    wanted = as_target(target)
    if wanted.function is not None:
        return Plan(wanted.quantity, 0, False, (), wanted.function)
    outputs = survey(model)
    position = _output(outputs, wanted.name)
    shape = outputs.output_shapes[position]
    if wanted.quantity == "similarity":
        return Plan(wanted.quantity, position, False, (_reference(wanted.reference, shape, images),))
    units = 1 if len(shape) < 2 else shape[-1]
    predicted = len(wanted.classes) == 1 and wanted.classes[0] is None and wanted.quantity != "value"
    if len(shape) > 2 and (wanted.mask is None or predicted):
        raise InputError(
            f"The model's output has shape {shape}; say where and of which class: target.masked(mask, k), the mask of "
            f"shape {shape[1:-1]}."
        )
    # One unit stands for two classes, but as a number it is one.
    count = 2 if units == 1 and wanted.quantity != "value" else units
    classes = () if predicted else tuple(_classes(k, count, images, class_names) for k in wanted.classes)
    masks = () if wanted.mask is None else (_mask(wanted.mask, shape, images),)
    return Plan(wanted.quantity, position, predicted, (*classes, *masks), options=_options(wanted.options, count))


def _options(options: tuple[Any, ...], classes: int | None) -> tuple[Any, ...]:
    """There are no more rivals than other classes."""
    if not options or classes is None:
        return options
    if classes < 2:
        raise InputError("The model has one class, so it has no rivals; explain the class itself.")
    return min(options[0], classes - 1), *options[1:]


def _reference(reference: Array, shape: Sequence[int | None], images: int) -> Array:
    size = shape[-1]
    fits = reference.ndim in (1, 2) and reference.shape[-1] == size and reference.shape[:-1] in ((), (images,))
    if len(shape) != 2 or not fits:
        raise InputError(
            f"A reference of shape {reference.shape} was given for an output of shape {tuple(shape)} and {images} "
            f"images; expected an output (B, D) and a reference (D,) or (B, D)."
        )
    return np.array(np.broadcast_to(reference, (images, reference.shape[-1])))


def _output(outputs: Survey, name: str | int | None) -> int:
    names = outputs.output_names
    if name is None:
        if len(names) > 1:
            raise InputError(f"The model has the outputs {', '.join(names)}; say which: target.output(name, k).")
        return 0
    if isinstance(name, int) and not isinstance(name, bool) and 0 <= name < len(names):
        return name
    if name in names:
        return names.index(str(name))
    raise InputError(f"There is no output {name!r}; the model's are {', '.join(map(repr, names))}.")


def _classes(k: Any, count: int | None, images: int, names: Sequence[str] | None) -> Array:
    if k is None:
        raise InputError("A class was expected here and None was given; give its index.")
    if isinstance(k, str):
        k = _index_of(k, names)
    elif isinstance(k, (list, tuple)) and any(isinstance(one, str) for one in k):
        k = [_index_of(one, names) if isinstance(one, str) else one for one in k]
    indices = np.asarray(k)
    if indices.dtype.kind not in "iu":
        raise InputError(f"{k!r} is no target; expected None, a class index, one for each image, a name or a function.")
    if indices.ndim == 0:
        indices = np.full(images, indices)
    if indices.shape != (images,):
        raise InputError(f"{indices.size} classes of shape {indices.shape} were given for {images} images.")
    if indices.min() < 0 or (count is not None and indices.max() >= count):
        raise InputError(f"Class {indices.min() if indices.min() < 0 else indices.max()} is not one of 0 to {count}-1.")
    return indices.astype(np.int32)


def _index_of(name: str, names: Sequence[str] | None) -> int:
    if names is None:
        raise InputError(f"The class {name!r} was asked for by name, and the names are not known; give its index.")
    if name in names:
        return list(names).index(name)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    raise InputError(f"There is no class {name!r}; {'near names' if near else 'classes'}: {', '.join(near or names)}.")


def _mask(mask: Array, shape: Sequence[int | None], images: int) -> Array:
    inner = shape[1:-1]
    if mask.ndim == len(inner):
        mask = np.broadcast_to(mask, (images, *mask.shape))
    if mask.shape[0] != images or any(w not in (None, g) for w, g in zip(inner, mask.shape[1:], strict=False)):
        raise InputError(f"The mask has shape {mask.shape}; the output's places have shape {tuple(inner)}.")
    return mask.astype(np.float32)
