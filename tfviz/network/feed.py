"""What a pass over pictures may be given: arrays, batches of arrays, or a `Dataset`; made into `Portion`s."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.preprocess import Preprocess

if TYPE_CHECKING:
    from tfviz.data import Dataset

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Portion:
    """Some pictures: as the model takes them, as a person sees them, and what is known of them.

    Attributes:
        inputs: for the model, `(B, H, W, C)`.
        pictures: to show, `(B, H, W, C)`, uint8 RGB or grey where the data is a `Dataset`, else the inputs themselves.
        labels: (B,) or None.
        names: of the pictures.
        first: position of the first in the data.
    """

    inputs: Array
    pictures: Array
    labels: Array | None
    names: tuple[str, ...]
    first: int


def portions(data: "Dataset | Array | Iterable[Array]", preprocess: Preprocess | None, size: int) -> Iterator[Portion]:
    """The data in portions of about `size` pictures; nothing is kept.

    Args:
        data: a `tfviz.data.Dataset`; an array in the model's own units; or an iterable of such arrays.
        preprocess: from a `Dataset`'s pixels to the model's input; None is 0 to 255 as they are. Only for a `Dataset`.
        size: of a portion; arrays of an iterable are taken as they come.

    Raises:
        InputError: no pictures, or a `preprocess` where the arrays are already the model's input.
    """
    from tfviz.data import Dataset

    if isinstance(data, Dataset):
        yield from _of_dataset(data, preprocess or Preprocess(), size)
        return
    if preprocess is not None:
        raise InputError("preprocess= is for a Dataset's pixels; arrays are taken to be the model's input already.")
    arrays = (data[i : i + size] for i in range(0, len(data), size)) if isinstance(data, np.ndarray) else iter(data)
    first = 0
    for array in arrays:
        values = np.asarray(array)
        if values.ndim != 4:
            raise InputError(f"A batch of shape {values.shape} was given; expected pictures (B, H, W, C).")
        names = tuple(f"picture {first + i}" for i in range(len(values)))
        yield Portion(values, values, None, names, first)
        first += len(values)
    if not first:
        raise InputError("There are no pictures in the data.")


def _of_dataset(data: "Dataset", preprocess: Preprocess, size: int) -> Iterator[Portion]:
    first = 0
    for batch in data.batches(size):
        inputs = preprocess(batch.images)
        yield Portion(inputs, preprocess.display(inputs), batch.labels, batch.names, first)
        first += len(batch)
    if not first:
        raise InputError(f"There are no pictures in {data.spec}.")
