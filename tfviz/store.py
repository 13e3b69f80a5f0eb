"""A folder of maps: what `tfviz explain` writes and `open_maps` reads, however many pictures there were.

    job.json              what was explained, of which model, by what; a run goes on only where it is the same job
    maps-000000.npz ...   the shards: so many pictures each, in the order of the data, compressed
    index.jsonl           one line of JSON a picture: its name and numbers, and where its map is; written last

A shard is an ordinary NumPy archive of `maps` (n, h, w) float32, raw as the method returned them, `names` (n,) text,
`labels` (n,) int64 and `predicted` (n,) int64, -1 where there is none. It is written whole or not at all and says all
that the index says, so a folder is readable before it is finished, and the same work gives the same bytes.
"""

import dataclasses
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.files import write_bytes, write_text

FORMAT = 1
JOB, INDEX = "job.json", "index.jsonl"
_SHOWN = 8  # maps that a notebook shows
_BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclasses.dataclass(frozen=True)
class Shard:
    """The maps of consecutive pictures.

    Attributes:
        maps: (n, h, w) float32, raw.
        names: what each picture is called.
        labels, predicted: (n,) int64 classes, -1 where there is none.
    """

    maps: npt.NDArray[np.float32]
    names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]

    def to_bytes(self) -> bytes:
        """The shard as a file. The same values give the same bytes: NumPy's archives carry no time of writing."""
        file = io.BytesIO()
        np.savez_compressed(
            file, maps=self.maps, names=np.array(self.names, np.str_), labels=self.labels, predicted=self.predicted
        )
        return file.getvalue()


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the index says of one picture: its place in the data, name, classes (None: unknown), and its map.

    `low` and `high` are the smallest and the largest finite value of the map; both are 0 where it is empty.
    """

    image: int
    name: str
    label: int | None
    predicted: int | None
    shard: str
    row: int
    low: float
    high: float

    @property
    def empty(self) -> bool:
        """Whether the map is zero everywhere and says nothing."""
        return self.low == 0 == self.high


def shard_name(number: int) -> str:
    """The name of a shard's file.

    >>> shard_name(7)
    'maps-000007.npz'
    """
    return f"maps-{number:06d}.npz"


def begin(folder: Path, job: dict[str, Any]) -> bool:
    """Make the folder ready for a job; whether one that was begun before goes on.

    Raises:
        InputError: the folder holds another job's maps, or cannot be written to.
    """
    if not (folder / JOB).exists():
        write_text(folder / JOB, json.dumps(job, indent=2) + "\n")
        return False
    before = read_job(folder)
    other = [name for name in job if before.get(name) != job[name]]
    if other:
        there, here = (facts.get(other[0]) for facts in (before, job))
        raise InputError(
            f"{folder} holds the maps of another job: its {other[0]} is {there!r}, and this one's {here!r}; "
            "give another folder, or delete that one."
        )
    for left in folder.glob(".maps-*"):  # half a shard, of a run that was killed while it wrote
        left.unlink(missing_ok=True)
    return True


def read_job(folder: Path) -> dict[str, Any]:
    """What `job.json` says.

    Raises:
        InputError: there is none, or it is not of this format.
    """
    try:
        job: dict[str, Any] = json.loads((folder / JOB).read_text(encoding="utf-8"))
        if job["format"] != FORMAT:
            raise InputError(f"{folder} is of format {job['format']}, and this version reads format {FORMAT}.")
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no maps: there is no {JOB}, which tfviz explain writes first.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{folder / JOB} cannot be read: {error}.") from error
    return job


def missing(folder: Path, sizes: list[int]) -> list[int]:
    """Numbers of the shards that are not there, or not whole; `sizes` says how many maps each has."""
    return [number for number, size in enumerate(sizes) if not _is_whole(folder / shard_name(number), size)]


def _is_whole(path: Path, size: int) -> bool:
    try:
        with np.load(path) as archive:  # the small arrays only: a compressed member carries its own checksum
            return len(archive["labels"]) == size == len(archive["names"]) and "maps" in archive
    except _BROKEN:
        return False


def write_shard(folder: Path, number: int, data: bytes) -> None:
    """Put one shard's bytes into the folder, whole or not at all."""
    write_bytes(folder / shard_name(number), data)


def write_index(folder: Path) -> None:
    """Write the index of all shards that are there."""
    lines = (json.dumps(dataclasses.asdict(entry), ensure_ascii=False) for entry in _from_shards(folder))
    write_text(folder / INDEX, "".join(f"{line}\n" for line in lines))


def _from_shards(folder: Path) -> Iterator[Entry]:
    every = read_job(folder)["shard_images"]
    for path in sorted(folder.glob("maps-*.npz")):
        shard, first = _read(path), int(path.stem.removeprefix("maps-")) * every
        for row, name in enumerate(shard.names):
            low, high = _ends(shard.maps[row])
            label, predicted = int(shard.labels[row]), int(shard.predicted[row])
            yield Entry(first + row, name, _known(label), _known(predicted), path.name, row, low, high)


def _known(number: int) -> int | None:
    return None if number < 0 else number


def _ends(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _read(path: Path) -> Shard:
    try:
        with np.load(path) as archive:
            names = tuple(str(name) for name in archive["names"])
            return Shard(archive["maps"], names, archive["labels"], archive["predicted"])
    except _BROKEN as error:
        raise InputError(f"{path} is not a whole shard of maps; run tfviz explain again: it makes it anew.") from error


class MapStore:
    """The maps in a folder, read as they are asked for. Made by `open_maps`.

    Attributes:
        folder: where they are.
        job: what `job.json` says.
        entries: one for each picture that is there, in the order of the data.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = read_job(folder)
        self.entries = tuple(_entries(folder))
        self._open: tuple[str, Shard] | None = None

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def complete(self) -> bool:
        """Whether every picture of the job is there."""
        return len(self) == self.job["images"]

    def __getitem__(self, position: int) -> npt.NDArray[np.float32]:
        """The map (h, w) of the entry at `position`, raw."""
        entry = self.entries[position]
        if self._open is None or self._open[0] != entry.shard:
            self._open = (entry.shard, _read(self.folder / entry.shard))
        return self._open[1].maps[entry.row]

    def _repr_html_(self) -> str:
        """What Jupyter shows: how many there are, and the first of them."""
        from html import escape

        cells = "".join(
            f"<td style='text-align:center'><img src='{_thumbnail(self[position])}' width='96'><br>"
            f"{escape(entry.name)}{' (empty)' if entry.empty else ''}</td>"
            for position, entry in enumerate(self.entries[:_SHOWN])
        )
        state = "" if self.complete else f" of {self.job['images']:,}: unfinished"
        line = f"{len(self):,} maps by {self.job['method']}{state}"
        return f"<p><strong>{escape(line)}</strong> in {escape(str(self.folder))}</p><table><tr>{cells}</tr></table>"

    def shards(self) -> Iterator[Shard]:
        """All maps, shard by shard, in the order of the data."""
        for name in dict.fromkeys(entry.shard for entry in self.entries):
            yield _read(self.folder / name)


def _thumbnail(heat: npt.NDArray[np.float32]) -> str:
    """What speaks for the target, from 0 up, as a `data:` address."""
    from tfviz.image import colour_map, png_bytes
    from tfviz.report.album import data_uri

    positive = np.nan_to_num(np.maximum(heat, 0))
    return data_uri(png_bytes(colour_map(positive / (float(positive.max(initial=0.0)) or 1.0), "inferno")))


def _entries(folder: Path) -> Iterator[Entry]:
    try:
        text = (folder / INDEX).read_text(encoding="utf-8")
    except FileNotFoundError:
        yield from _from_shards(folder)
        return
    try:
        yield from [Entry(**json.loads(line)) for line in text.splitlines()]
    except (ValueError, TypeError) as error:
        raise InputError(f"{folder / INDEX} is damaged; delete it, and the shards are read instead.") from error


def open_maps(folder: str | os.PathLike[str]) -> MapStore:
    """Open what `tfviz explain` wrote, finished or not.

    Raises:
        InputError: the folder holds no maps, or a shard is broken.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder)
    ...     _ = begin(path, {"format": FORMAT, "images": 2, "shard_images": 2})
    ...     maps = np.float32([[[0, 1]], [[2, 3]]])
    ...     write_shard(path, 0, Shard(maps, ("a", "b"), np.array([0, 1]), np.array([1, -1])).to_bytes())
    ...     write_index(path)
    ...     store = open_maps(path)
    ...     store.complete, store[1].tolist(), store.entries[1].name, store.entries[1].predicted
    (True, [[2.0, 3.0]], 'b', None)
    """
    return MapStore(Path(folder))


def sizes(images: int, shard_images: int) -> list[int]:
    """How many pictures each shard holds.

    >>> sizes(10, 4)
    [4, 4, 2]
    """
    return [min(shard_images, images - first) for first in range(0, images, shard_images)]
