"""What the data door hands out: a `Dataset`, streamed in `Batch`es from a `Source`; limits, splits, pixels in order."""

import dataclasses
import functools
import hashlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfviz import image, preprocess
from tfviz.errors import InputError

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]

SPLITS = ("train", "test", "calibration")
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Batch:
    """Pictures with what is known about them.

    Attributes:
        images: (B, H, W, C) uint8, RGB or grey; or int8 of any shape (B, ...), already quantised for an int8 input.
        labels: (B,) int64 class indices, or None.
        masks: (B, H, W) bool, true on the object's visible pixels, or None.
        names: what errors and pages call each picture.
    """

    images: Array
    labels: npt.NDArray[np.int64] | None
    masks: npt.NDArray[np.bool_] | None
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


class Source(Protocol):
    """One kind of data. Positions count from 0 within the split that the source was opened for."""

    class_names: tuple[str, ...]

    def __len__(self) -> int: ...

    def stream(self, positions: Positions, batch_size: int) -> Iterator[Batch]:
        """The pictures at ascending `positions`, batch by batch; the last batch may be smaller."""
        ...


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Pictures behind one door, whatever they came from; nothing is read before `batches` is called.

    Attributes:
        spec: what was asked for, as on the command line.
        split: the part of it, or None for all.
        class_names: names of the classes by label; empty where pictures have no labels.
    """

    spec: str
    split: str | None
    source: Source = dataclasses.field(repr=False)
    positions: Positions = dataclasses.field(repr=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes by label; empty where pictures have no labels."""
        return self.source.class_names

    def __len__(self) -> int:
        return len(self.positions)

    def batches(self, batch_size: int = 32) -> Iterator[Batch]:
        """Stream everything in order; memory does not grow with the number of pictures."""
        if batch_size < 1:
            raise InputError(f"batch_size is at least 1, not {batch_size}.")
        return self.source.stream(self.positions, batch_size)

    def whole(self) -> Batch:
        """Everything as one batch, in memory: for data that is known to be small."""
        return join(list(self.batches(256)))

    @functools.cached_property
    def identity(self) -> str:
        """A short hash (16 hexadecimal digits of SHA-256) of pixels, labels and class names: what the data is.

        The same pictures in the same order have the same identity, wherever they are stored. It takes one pass.
        """
        digest = hashlib.sha256("\0".join(self.class_names).encode())
        for batch in self.batches(64):
            digest.update(f"{batch.images.dtype}{batch.images.shape[1:]}".encode())
            digest.update(np.ascontiguousarray(batch.images).tobytes())
            digest.update(b"" if batch.labels is None else batch.labels.astype("<i8").tobytes())
        return digest.hexdigest()[:16]


def join(batches: Sequence[Batch]) -> Batch:
    """Several batches as one."""
    first = batches[0]
    return Batch(
        images=np.concatenate([batch.images for batch in batches]),
        labels=None if first.labels is None else np.concatenate([np.asarray(batch.labels) for batch in batches]),
        masks=None if first.masks is None else np.concatenate([np.asarray(batch.masks) for batch in batches]),
        names=tuple(name for batch in batches for name in batch.names),
    )


def first_positions(count: int, limit: int | None, spec: str) -> Positions:
    """Positions of the first `limit` of `count` pictures."""
    if limit is not None and limit > count:
        _log.info("%s holds %d pictures, fewer than the limit of %d.", spec, count, limit)
    return np.arange(count if limit is None else min(limit, count), dtype=np.int64)


def drawn_positions(count: int, limit: int | None, spec: str) -> Positions:
    """`limit` positions drawn at random from all `count`, ascending; the same ones every time.

    Data may be sorted by class, or go through the classes in turn: neither its first pictures nor every n-th of them
    would be like the whole.
    """
    taken = len(first_positions(count, limit, spec))
    order = np.argsort(np.random.Philox(key=0).random_raw(count), kind="stable")
    return np.sort(order[:taken]).astype(np.int64)


def split_positions(keys: Sequence[str], groups: Sequence[int], split: str) -> Positions:
    """Ascending positions of the pictures of one split, of data that has no parts of its own.

    Within each group (class) the pictures are ordered by the SHA-256 of their key; the first fifth is "test", the next
    tenth "calibration", the rest "train", each with at least one picture where there are three. The parts are disjoint
    and depend on nothing but the keys.
    """
    by_group: dict[int, list[int]] = {}
    for position, group in enumerate(groups):
        by_group.setdefault(group, []).append(position)
    chosen: list[int] = []
    for members in by_group.values():
        members.sort(key=lambda position: hashlib.sha256(keys[position].encode()).digest())
        test = max(1, round(0.2 * len(members)))
        calibration = max(1, round(0.1 * len(members))) if len(members) > 1 else 0
        bounds = {
            "test": slice(0, test),
            "calibration": slice(test, test + calibration),
            "train": slice(test + calibration, None),
        }
        chosen += members[bounds[split]]
    return np.array(sorted(chosen), dtype=np.int64)


@dataclasses.dataclass(frozen=True)
class Fitting:
    """How pictures are brought to one shape: size (None: as they are), channels (None: as they are), resize rule."""

    size: tuple[int, int] | None
    channels: int | None
    resize: image.Method
    fit: preprocess.Fit

    def __call__(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """uint8 (B, H, W, C) in the asked-for shape."""
        if self.size is not None:
            pictures = preprocess.fit_pixels(pictures, self.size, fit=self.fit, method=self.resize)
        if self.channels is None or pictures.shape[3] == self.channels:
            return pictures
        return preprocess.grey(pictures) if self.channels == 1 else image.as_pictures(pictures)


def fitting(
    size: image.Size | None, channels: int | None, resize: image.Method = "area", fit: preprocess.Fit = "stretch"
) -> Fitting:
    """A checked `Fitting`; the rules are those of a `Preprocess`, which checks them."""
    if channels not in (None, 1, 3):
        raise InputError(f"Pictures have 1 channel (grey) or 3 (RGB), not {channels}.")
    rules = preprocess.Preprocess(size=None if size is None else image.side_lengths(size), resize=resize, fit=fit)
    return Fitting(rules.size, channels, rules.resize, rules.fit)
