"""Words of a command line to things: a model with its preprocessing, pictures, a target, a place to write to.

Both programs use it. Everything that cannot be used is an `InputError` before anything long begins.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfviz.errors import InputError

if TYPE_CHECKING:
    import keras
    import numpy as np
    import numpy.typing as npt

    from tfviz.data import Dataset
    from tfviz.preprocess import Preprocess


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A model as a command uses it: `name` as given, what it expects of pixels, and the names of its classes."""

    name: str
    model: "keras.Model"
    preprocess: "Preprocess"
    class_names: tuple[str, ...]

    def named(self, dataset: "Dataset") -> "Chosen":
        """The same, with the data's class names where neither the sidecar nor the user gave any.

        Names that are numbers (of arrays without names) say nothing and are left.
        """
        names = dataset.class_names
        if self.class_names or len(names) != self.model.output_shape[-1] or all(name.isdecimal() for name in names):
            return self
        return dataclasses.replace(self, class_names=tuple(names))


@dataclasses.dataclass(frozen=True)
class Picked:
    """One picture: (1, H, W, C) uint8, its name, and its label where it has one."""

    images: "npt.NDArray[np.uint8]"
    name: str
    label: int | None


def choose_model(spec: str, class_names: str | None = None) -> Chosen:
    """Load MODEL with what is recorded beside it.

    Args:
        spec: a `.keras` or `.h5` file, or `module:function`.
        class_names: names parted by commas, instead of the recorded ones.

    Raises:
        InputError: no such model, several inputs, or as many names as the model has no outputs.
    """
    from tfviz.models import load_model
    from tfviz.preprocess import sidecar_for

    model = load_model(spec)
    shape = model.input_shape
    if not isinstance(shape, tuple):
        raise InputError(f"{spec} has {len(shape)} inputs; the command line shows models of one picture, Python all.")
    sidecar = sidecar_for(spec, shape)
    names = sidecar.class_names if class_names is None else split_names(class_names)
    units = model.output_shape[-1] if isinstance(model.output_shape, tuple) else None
    if names and units is not None and units > 1 and len(names) != units:
        raise InputError(f"{len(names)} class names were given and {spec} has {units} outputs; give one for each.")
    return Chosen(spec, model, sidecar.preprocess, names)


def split_names(text: str) -> tuple[str, ...]:
    """Class names parted by commas.

    >>> split_names("cat, dog")
    ('cat', 'dog')
    """
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) != len(names):
        raise InputError(f"Class names are different words parted by commas, not {text!r}.")
    return names


def open_data(
    chosen: Chosen, spec: str, *, split: str | None = None, limit: int | None = None, seed: int = 0
) -> "Dataset":
    """Open IMAGES in the size that the model takes."""
    from tfviz import data

    rule = chosen.preprocess
    return data.load(spec, split=split, limit=limit, size=rule.size, seed=seed, resize=rule.resize, fit=rule.fit)


def pick(dataset: "Dataset", *, index: int = 0, class_name: str | None = None, names: Sequence[str] = ()) -> Picked:
    """One picture of the data: the one at `index`, or of a class the one at `index` among that class's.

    Raises:
        InputError: an index beyond the data, an unknown class, or a class where there are no labels.
    """
    import numpy as np

    wanted = None if class_name is None else _label(class_name, names or dataset.class_names, dataset.spec)
    if index < 0:
        raise InputError(f"--index counts from 0; {index} is below.")
    seen = 0
    for batch in dataset.batches(64):
        if wanted is not None and batch.labels is None:
            raise InputError(f"{dataset.spec} has no labels, so there is no class {class_name!r} in it; use --index.")
        matching = np.arange(len(batch)) if wanted is None else np.flatnonzero(batch.labels == wanted)
        if index < seen + len(matching):
            at = int(matching[index - seen])
            label = None if batch.labels is None else int(batch.labels[at])
            return Picked(batch.images[at : at + 1], batch.names[at], label)
        seen += len(matching)
    of_class = f" of class {class_name}" if class_name is not None else ""
    raise InputError(f"{dataset.spec} has {seen} pictures{of_class}; --index {index} is beyond the last, {seen - 1}.")


def _label(class_name: str, names: Sequence[str], spec: str) -> int:
    if class_name in names:
        return list(names).index(class_name)
    if class_name.isdecimal():
        return int(class_name)
    known = ", ".join(names) if names else "none by name; give its number, or --class-names"
    raise InputError(f"There is no class {class_name!r} in {spec}; there are: {known}.")


def choose_target(text: str | None, class_names: Sequence[str], units: int | None) -> Any:
    """TARGET as a class: None is the picture's own prediction; a number, or a name where names are known.

    >>> choose_target(None, (), 3), choose_target("2", (), 3), choose_target("dog", ("cat", "dog"), 2)
    (None, 2, 1)

    Raises:
        InputError: a class that the model does not have.
    """
    if text is None:
        return None
    classes = max(units or 0, 2 if units == 1 else 0) or None
    if text in class_names:
        return list(class_names).index(text)
    if text.lstrip("-").isdecimal():
        number = int(text)
        if number < 0 or (classes is not None and number >= classes):
            raise InputError(f"--target {number}: the model has the classes 0 to {(classes or 1) - 1}.")
        return number
    if class_names:
        raise InputError(f"There is no class {text!r}; there are: {', '.join(class_names)}.")
    raise InputError(f"--target {text}: no class names are recorded beside the model; give --class-names or a number.")


def writable(path: str | os.PathLike[str], *suffixes: str) -> Path:
    """A place to write to, looked at before the work begins.

    Args:
        path: of a file with one of the suffixes, or of a folder where there are none.
        suffixes: that the file may have.

    Raises:
        InputError: another suffix, a file where a folder is needed or the other way round, or no right to write.
    """
    target = Path(path)
    if suffixes and target.suffix.lower() not in suffixes:
        raise InputError(f"--out {target}: the file's name ends in {' or '.join(suffixes)}.")
    if suffixes and target.is_dir():
        raise InputError(f"--out {target} is a folder; give the name of a file.")
    above = target.parent if suffixes else target
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise InputError(f"--out {target}: {above} is a file, not a folder.")
    if not os.access(above, os.W_OK):
        raise InputError(f"--out {target}: no right to write to {above}.")
    return target
