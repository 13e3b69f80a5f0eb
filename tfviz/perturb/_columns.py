"""What is explained of a plain function's scores: a column, a difference of columns, or a function of them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.target import Target

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Columns:
    """One number for each image: `plus` minus `minus` (column indices, one for each explained image), or `function`."""

    plus: Array
    minus: Array | None = None
    function: Callable[[Array], Any] | None = None

    def of(self, scores: Array, rows: Array) -> Array:
        """The numbers `(len(rows),)` of scores `(len(rows), K)` of variants of the images `rows`."""
        if self.function is not None:
            return _of_function(self.function, scores)
        at = np.arange(len(rows))
        table = _table(scores)
        found = table[at, self.plus[rows]]
        return found if self.minus is None else found - table[at, self.minus[rows]]


def columns(target: Any, scores: Array, *, class_names: Sequence[str] | None = None) -> Columns:
    """Check `target` against the scores of the unchanged images.

    Args:
        target: None (each image's largest score; of a single column, that one), a column, one for each image, a class
            name, a function of the scores that returns `(B,)`, or `target.logit` or `target.difference`, whose classes
            are columns here.
        scores: what `predict` returned for the unchanged images, `(B, K)` or `(B,)`.
        class_names: the names of the columns, in order.

    Raises:
        InputError: a column out of range, an unknown name, a wrong number of columns, a target that needs a model.
    """
    if isinstance(target, Target):
        if target.quantity not in ("logit", "difference") or target.name is not None or target.mask is not None:
            raise InputError(
                f"The target {target.quantity!r} needs a Keras model; for a function, give a column of its scores or a "
                "function of them."
            )
        wanted = [_one_for_each(k, _table(scores), class_names) for k in target.classes]
        return Columns(wanted[0], wanted[1] if len(wanted) > 1 else None)
    if callable(target):
        _of_function(target, scores)
        return Columns(np.zeros(0, np.intp), function=target)
    return Columns(_one_for_each(target, _table(scores), class_names))


def _of_function(function: Callable[[Array], Any], scores: Array) -> Array:
    found = np.asarray(function(scores))
    if found.shape != (len(scores),):
        raise InputError(f"The target function returned shape {found.shape}; expected ({len(scores)},).")
    return found


def _table(scores: Array) -> Array:
    if scores.ndim > 2:
        raise InputError(f"The scores have shape {scores.shape}; give a function of them that returns (B,) as target.")
    return scores[:, np.newaxis] if scores.ndim == 1 else scores


def _one_for_each(k: Any, table: Array, names: Sequence[str] | None) -> Array:
    if k is None:
        return np.argmax(table, axis=1)
    listed = list(k) if isinstance(k, (list, tuple, np.ndarray)) and np.ndim(k) == 1 else [k] * len(table)
    indices = np.asarray([_index(one, names) for one in listed])
    if indices.dtype.kind not in "iu" or indices.ndim != 1:
        raise InputError(
            f"{k!r} is no target; expected None, a column, one for each image, a class name or a function."
        )
    if len(indices) != len(table):
        raise InputError(f"{len(indices)} targets were given for {len(table)} images.")
    beyond = indices[(indices < 0) | (indices >= table.shape[1])]
    if len(beyond):
        raise InputError(f"Column {beyond[0]} was asked for; predict returns the columns 0 to {table.shape[1] - 1}.")
    return indices


def _index(one: Any, names: Sequence[str] | None) -> Any:
    if not isinstance(one, str):
        return one
    if names is None or one not in names:
        known = "are not known; give its column" if names is None else f"are {', '.join(names)}"
        raise InputError(f"The class {one!r} was asked for by name; the names {known}.")
    return list(names).index(one)
