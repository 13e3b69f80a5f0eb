"""Arrays in an `.npz`: `x` and `y`, or `x_train`/`y_train` and `x_test`/`y_test`; `class_names` if it likes.

Rows are read from the archive as they are asked for, so a large file does not have to fit into memory.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tfviz.data._dataset import Array, Batch, Fitting, Positions, split_positions
from tfviz.errors import InputError

READ_ERRORS = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


class NpzSource:
    """One split of the pictures in an `.npz`; uint8 pixels, or int8 that is already quantised and is fed as it is."""

    def __init__(self, path: Path, *, split: str | None, fitting: Fitting) -> None:
        self._path, self._fitting = path, fitting
        try:
            with zipfile.ZipFile(path) as archive:
                members = {name.removesuffix(".npy") for name in archive.namelist()}
            self._x, y = _choose(path, members, split)
            shape, self._dtype = self._header(self._x)
            labels = self._small(y) if y in members else None
            names = self._small("class_names") if "class_names" in members else None
        except READ_ERRORS as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path} is not an .npz of arrays: {error}.") from error
        _check_images(path, self._x, shape, self._dtype)
        self._shape = shape
        self._labels = None if labels is None else _check_labels(path, y, labels, shape[0])
        self.class_names = _class_names(path, names, self._labels)
        self._rows = self._rows_of(split)

    def __len__(self) -> int:
        return len(self._rows)

    def _rows_of(self, split: str | None) -> Positions:
        if split is None or self._x != "x":
            return np.arange(self._shape[0], dtype=np.int64)
        groups = [0] * self._shape[0] if self._labels is None else self._labels.tolist()
        rows = split_positions([str(row) for row in range(self._shape[0])], groups, split)
        if not len(rows):
            raise InputError(f"{self._path} holds {self._shape[0]} pictures, too few for a {split} split.")
        return rows

    def stream(self, positions: Positions, batch_size: int) -> Iterator[Batch]:
        """Read row after row from the archive; ascending positions, so that nothing is read twice."""
        rows = self._rows[positions]
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(f"{self._x}.npy") as file:
                _read_header(file)
                start, width = file.tell(), int(np.prod(self._shape[1:])) * self._dtype.itemsize
                for first in range(0, len(rows), batch_size):
                    chosen = rows[first : first + batch_size]
                    yield self._batch(chosen, [_row(file, start + int(row) * width, width) for row in chosen])
        except READ_ERRORS as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self._path} is damaged: {error}.") from error

    def _batch(self, rows: Positions, raw: list[bytes]) -> Batch:
        values = np.frombuffer(b"".join(raw), self._dtype).reshape(len(rows), *self._shape[1:])
        labels = None if self._labels is None else self._labels[rows]
        images = values if self._dtype == np.int8 else self._pixels(values)
        return Batch(images=images, labels=labels, masks=None, names=tuple(f"{self._x}[{row}]" for row in rows))

    def _pixels(self, values: Array) -> npt.NDArray[np.uint8]:
        if values.dtype != np.uint8:
            if values.min() < 0 or values.max() > 255:
                raise InputError(f"{self._x} of {self._path} holds {values.dtype} outside 0..255; pixels are uint8.")
            values = values.astype(np.uint8)
        return self._fitting(values[..., None] if values.ndim == 3 else values)

    def _header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with zipfile.ZipFile(self._path) as archive, archive.open(f"{name}.npy") as file:
            shape, fortran, dtype = _read_header(file)
        if fortran and len(shape) > 1:
            raise InputError(f"{name} of {self._path} is in Fortran order; save numpy.ascontiguousarray({name}).")
        return shape, dtype

    def _small(self, name: str) -> Array:
        with np.load(self._path, allow_pickle=False) as archive:
            return np.asarray(archive[name])


def _choose(path: Path, members: set[str], split: str | None) -> tuple[str, str]:
    """The names of the arrays that serve a split."""
    if "x" in members:
        return "x", "y"
    if split == "calibration" and "x_train" in members:
        return "x_train", "y_train"
    wanted = f"x_{split or 'test'}"
    if wanted in members:
        return wanted, f"y_{split or 'test'}"
    if split is None and "x_train" in members:
        return "x_train", "y_train"
    asked = f"for the split {split!r}" if split else "with pictures"
    raise InputError(f"{path} holds {', '.join(sorted(members)) or 'nothing'}; {asked} it needs x or {wanted}.")


def _check_images(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not shape or shape[0] == 0:
        raise InputError(f"{name} of {path} holds no pictures (its shape is {shape}).")
    if dtype == np.int8 and len(shape) > 1:
        return
    if dtype.kind not in "ui":
        hint = "; scale floats to 0..255 and round them first" if dtype.kind == "f" else ""
        raise InputError(f"{name} of {path} is {dtype}; pixels are uint8 (or int8, already quantised){hint}.")
    if len(shape) not in (3, 4) or 0 in shape or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise InputError(f"{name} of {path} has shape {shape}; pictures are (N, H, W), (N, H, W, 1) or (N, H, W, 3).")


def _check_labels(path: Path, name: str, labels: Array, count: int) -> npt.NDArray[np.int64]:
    if labels.ndim == 2 and labels.shape[1] > 1 and np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all():
        labels = labels.argmax(axis=1)  # one-hot
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or labels.dtype.kind not in "uif" or len(labels) != count:
        raise InputError(f"{name} of {path} is {labels.dtype} {labels.shape}; {count} class indices were expected.")
    if not (np.isfinite(labels).all() and (labels == np.floor(labels)).all() and (labels >= 0).all()):
        raise InputError(f"{name} of {path} holds values that are not class indices 0, 1, 2, ...")
    return labels.astype(np.int64)


def _class_names(path: Path, names: Array | None, labels: npt.NDArray[np.int64] | None) -> tuple[str, ...]:
    if labels is None:
        return ()
    classes = int(labels.max()) + 1
    if names is None:
        return tuple(str(label) for label in range(classes))
    if names.ndim != 1 or names.dtype.kind != "U" or len(names) < classes:
        raise InputError(
            f"class_names of {path} is {names.dtype} {names.shape}; at least {classes} strings were expected."
        )
    return tuple(str(name) for name in names)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return shape, fortran, dtype


def _row(file: IO[bytes], offset: int, width: int) -> bytes:
    file.seek(offset)
    data = file.read(width)
    if len(data) != width:
        raise EOFError("an array ends too early")
    return data
