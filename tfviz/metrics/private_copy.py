"""A model to experiment on, whose weights may be overwritten while the user's model stays what it is."""

import copy
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfviz.tap.checks import check_model

Array = npt.NDArray[Any]

_log = logging.getLogger(__name__)


@contextmanager
def private(model: Any) -> Iterator[Any]:
    """Yield a model that computes what `model` does, with weights that may be overwritten.

    A copy of its own where Keras can make one (of everything that it can save and load), so that the user's model is
    never touched. Of other models (a subclass without `get_config`) it is the model itself, and its weights are put
    back bit by bit at the end, also after an exception or an interrupt; meanwhile no other thread should use it.
    """
    check_model(model)
    own = _copied(model)
    if own is not None:
        yield own
        return
    kept = [(weight, np.array(weight)) for weight in model.weights]
    try:
        yield model
    finally:
        # An interrupt is raised in the main thread alone; in a thread of its own the work is always finished.
        worker = threading.Thread(target=_put_back, args=(kept,))
        worker.start()
        worker.join()


def _put_back(kept: list[tuple[Any, Array]]) -> None:
    for weight, values in kept:
        weight.assign(values)


def _copied(model: Any) -> Any:
    """A copy with the same weights, or None where Keras cannot make one."""
    classes = {type(layer).__name__: type(layer) for layer in model._flatten_layers()}
    try:
        with keras.saving.custom_object_scope(classes), _undisturbed(model):
            own = copy.deepcopy(model)
        pairs = list(zip(model.weights, own.weights, strict=True))
        same = all(a is not b and np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)
    except Exception as error:  # whatever a user's own layers raise while they are saved and loaded
        _log.debug("The model %r cannot be copied: %s", model.name, error)
        return None
    return own if same and type(own) is type(model) else None


@contextmanager
def _undisturbed(model: Any) -> Iterator[None]:
    """Put back what saving notes down on the model (how it is to be compiled)."""
    before = [(vars(layer), dict(vars(layer))) for layer in model._flatten_layers()]
    try:
        yield
    finally:
        for now, attributes in before:
            for name in [name for name in now if name not in attributes]:
                del now[name]
            now.update({name: value for name, value in attributes.items() if now.get(name) is not value})
