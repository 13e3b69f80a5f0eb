"""Folders of pictures: one sub-folder for each class, or pictures without labels; or one picture."""

import logging
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np

from tfviz import image
from tfviz.data._dataset import Batch, Fitting, Positions, split_positions
from tfviz.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".jp2"})
# What the sub-folders of data that comes in parts are called, and which split each one serves.
PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
    "calibration": ("calibration",),
}
_log = logging.getLogger(__name__)


class FolderSource:
    """The pictures of one split of a folder. Paths are listed at once, pixels are read as they are asked for.

    The order takes one picture of each class in turn (each class by name), so that a limit keeps the classes balanced.
    """

    def __init__(self, root: Path, *, split: str | None, fitting: Fitting) -> None:
        self._fitting = fitting
        self._root = root if root.is_dir() else root.parent
        self._files, self.class_names = _list(root, split)
        if not self._files:
            part = f" in its {split} split" if split else ""
            raise InputError(
                f"The folder {root} holds no pictures{part} ({', '.join(sorted(SUFFIXES))} are looked for)."
            )

    def __len__(self) -> int:
        return len(self._files)

    def stream(self, positions: Positions, batch_size: int) -> Iterator[Batch]:
        """Decode, fit and hand out; every broken picture is an InputError that names it."""
        size = None
        for start in range(0, len(positions), batch_size):
            chosen = [self._files[position] for position in positions[start : start + batch_size]]
            pictures = []
            for path, _ in chosen:
                pictures.append(self._fitting(image.read_image(path)[None]))
                size = size or pictures[0].shape[1:3]
                _check_size(path, pictures[-1].shape[1:3], size)
            labels = np.array([label for _, label in chosen], np.int64) if self.class_names else None
            names = tuple(path.relative_to(self._root).as_posix() for path, _ in chosen)
            yield Batch(images=np.concatenate(pictures), labels=labels, masks=None, names=names)


def _check_size(path: Path, size: tuple[int, ...], first: tuple[int, ...]) -> None:
    if size != first:
        raise InputError(
            f"{path} is {size[1]} x {size[0]} pixels and the pictures before it are {first[1]} x {first[0]}; "
            "give the size that all are to have."
        )


def _list(root: Path, split: str | None) -> tuple[list[tuple[Path, int]], tuple[str, ...]]:
    """(path, label) in the order of the stream, and the class names (none: no labels)."""
    if root.is_file():
        _refuse_split(root, split, 1)
        return [(root, 0)], ()
    parts = _parts(root)
    if parts:
        names = tuple(sorted({folder.name for part in parts.values() for folder in _folders(part)}))
        part = _part_for(root, parts, split)
        return (_in_turn(part, names), names) if names else ([(path, 0) for path in _pictures(part)], ())
    names = tuple(folder.name for folder in _folders(root))
    if not names or not any(_pictures(root / name, deep=True) for name in names):
        flat = [(path, 0) for path in _pictures(root)]
        _refuse_split(root, split, len(flat))
        return _only(flat, root, split), ()
    loose = _pictures(root)
    if loose:
        _log.warning("%d pictures directly in %s are left out: its classes are its sub-folders.", len(loose), root)
    return _only(_in_turn(root, names), root, split), names


def _in_turn(root: Path, names: tuple[str, ...]) -> list[tuple[Path, int]]:
    columns = []
    for label, name in enumerate(names):
        pictures = _pictures(root / name, deep=True) if (root / name).is_dir() else []
        if not pictures:
            _log.warning("Class %s of %s has no pictures.", name, root)
        columns.append([(path, label) for path in pictures])
    return [entry for row in zip_longest(*columns) for entry in row if entry is not None]


def _only(files: list[tuple[Path, int]], root: Path, split: str | None) -> list[tuple[Path, int]]:
    if split is None:
        return files
    keys = [path.relative_to(root).as_posix() for path, _ in files]
    return [files[position] for position in split_positions(keys, [label for _, label in files], split)]


def _refuse_split(root: Path, split: str | None, count: int) -> None:
    if split is not None and count == 1:
        raise InputError(f"{root} is one picture and has no {split} split; leave the split out.")


def _parts(root: Path) -> dict[str, Path]:
    """The sub-folders of data that comes in parts; none where any sub-folder is called otherwise."""
    folders = {folder.name.lower(): folder for folder in _folders(root)}
    known = [name for names in PARTS.values() for name in names]
    if not folders or not set(folders) <= set(known) or not set(folders) & {*PARTS["train"], *PARTS["test"]}:
        return {}
    return {
        split: next(folders[name] for name in names if name in folders)
        for split, names in PARTS.items()
        if any(name in folders for name in names)
    }


def _part_for(root: Path, parts: dict[str, Path], split: str | None) -> Path:
    if split is None:
        return parts.get("test", next(iter(parts.values())))
    if split == "calibration" and split not in parts and "train" in parts:
        return parts["train"]
    if split not in parts:
        raise InputError(f"The folder {root} has the parts {', '.join(sorted(parts))} and none for {split!r}.")
    return parts[split]


def _folders(root: Path) -> list[Path]:
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _pictures(folder: Path, *, deep: bool = False) -> list[Path]:
    entries = folder.rglob("*") if deep else folder.iterdir()
    return sorted(
        entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file() and entry.name[0] != "."
    )
