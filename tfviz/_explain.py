"""Explain any number of pictures: the work cut into shards, each done once, in this process or by Ray's workers.

What a shard holds hangs on nothing but the job: the model and the data are named, not handed over, the pictures of a
shard always go through the method in the same batches, and the number of threads belongs to the job (TensorFlow may
add in another order on another number of them). So it does not matter who does which shard, or when.
"""

import contextlib
import dataclasses
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfviz import store
from tfviz.errors import EmptyMapWarning, InputError
from tfviz.store import MapStore, Shard

if TYPE_CHECKING:
    from tfviz.data import Batch, Dataset

BATCH, SHARD, THREADS = 32, 256, 1


@dataclasses.dataclass(frozen=True)
class Work:
    """All that a worker needs to know; the words are those of the command line."""

    model: str
    data: str
    method: str
    target: str | None = None
    layer: str | None = None
    split: str | None = None
    limit: int | None = None
    class_names: str | None = None
    seed: int = 0
    batch: int = BATCH
    shard_images: int = SHARD
    threads: int = THREADS

    def __post_init__(self) -> None:
        for name in ("batch", "shard_images", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is at least 1, not {getattr(self, name)}.")


class Explainer:
    """A worker with the model loaded and the data open: `explainer(number)` does one shard."""

    def __init__(self, work: Work) -> None:
        from tfviz.choose import choose_model, choose_target, open_data
        from tfviz.registry import find

        self.work = work
        self._method = find(work.method)
        if work.layer is not None and self._method.kind != "layer":
            raise InputError(f"{self._method.name} is a {self._method.kind} method and takes no layer.")
        chosen = choose_model(work.model, work.class_names)
        self._dataset: Dataset = open_data(chosen, work.data, split=work.split, limit=work.limit, seed=work.seed)
        self._chosen = chosen.named(self._dataset)
        shape = chosen.model.output_shape
        self._units = shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None
        self._target = choose_target(work.target, self._chosen.class_names, self._units)

    def __len__(self) -> int:
        return len(self._dataset)

    def job(self) -> dict[str, Any]:
        """What `job.json` says: all on which the maps hang. The model is known by its bytes, not by its path."""
        from tfviz.models import fingerprint

        facts = dataclasses.asdict(self.work)
        del facts["class_names"], facts["limit"], facts["model"]
        return {
            "format": store.FORMAT,
            **facts,
            "method": self._method.name,
            "target": self._target,
            "model_sha256": fingerprint(self.work.model),
            "preprocess": _plain(dataclasses.asdict(self._chosen.preprocess)),
            "class_names": list(self._chosen.class_names),
            "images": len(self),
        }

    def __call__(self, number: int) -> bytes:
        """One shard, as the bytes of its file."""
        return next(self.each([number]))[1]

    def each(self, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Shards in ascending order, from one pass over the data: archives are read from their start each time."""
        size = self.work.shard_images
        wanted = [self._dataset.positions[number * size : (number + 1) * size] for number in numbers]
        part = dataclasses.replace(self._dataset, positions=np.concatenate([*wanted, self._dataset.positions[:0]]))
        # All shards but the last of the data are full, so that each batch of this size is one shard.
        for number, pictures in zip(numbers, part.batches(size), strict=True):
            yield number, self._shard(pictures).to_bytes()

    def _shard(self, pictures: "Batch") -> Shard:
        maps, predicted = [], []
        for first in range(0, len(pictures), self.work.batch):
            images = pictures.images[first : first + self.work.batch]
            x = images if images.dtype == np.int8 else self._chosen.preprocess(images)
            maps.append(self._maps(x))
            predicted.append(self._predicted(x))
        labels = np.full(len(pictures), -1) if pictures.labels is None else pictures.labels
        return Shard(
            np.concatenate(maps), pictures.names, labels.astype(np.int64), np.concatenate(predicted).astype(np.int64)
        )

    def _maps(self, x: Any) -> Any:
        options = {} if self.work.layer is None else {"layer": self.work.layer}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EmptyMapWarning)  # the index says which; one sentence sums them up
            return np.asarray(self._method.function(self._chosen.model, x, self._target, **options), np.float32)

    def _predicted(self, x: Any) -> Any:
        if self._units is None:
            return np.full(len(x), -1)
        from tfviz.report.model import predict

        scores = predict(self._chosen.model, x)
        if self._units > 1:
            return scores.argmax(axis=1)
        from tfviz.report.shots import probabilities

        return probabilities(scores).argmax(axis=1)


def explain_all(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    method: str,
    *,
    out: str | os.PathLike[str],
    target: str | None = None,
    layer: str | None = None,
    split: str | None = None,
    limit: int | None = None,
    class_names: str | None = None,
    seed: int = 0,
    batch: int = BATCH,
    shard_images: int = SHARD,
    threads: int = THREADS,
    ray: bool = False,
    ray_address: str | None = None,
    workers: int | None = None,
    step: Callable[[int], contextlib.AbstractContextManager[Any]] | None = None,
) -> MapStore:
    """Explain every picture of the data and write the maps to a folder, from which an interrupted run goes on.

    Args:
        model, data, target, class_names: as on the command line; the model is a file or `module:function`, because
            other processes have to be able to load it too.
        method: a name of `tfviz methods`.
        out: the folder; its format is in `tfviz.store`.
        layer: address of the layer of layer methods; default: the last one with maps.
        split, limit, seed: which part of the data, the first so many of it, and the seed of dog-poses.
        batch: pictures in one call of the method.
        shard_images: pictures in one file, the unit that is lost when the run is killed.
        threads: that TensorFlow uses in each process. It is part of the job.
        ray: hand the shards to Ray Data, on this machine.
        ray_address: of a cluster that runs already (`auto`, `ray://...`); it needs to see the same paths.
        workers: of Ray's; default: as many as its processors allow.
        step: called with the number of shards that are left; a context that gives `advance(count, message)`.

    Raises:
        InputError: anything that cannot be used, or a folder that holds another job's maps.
    """
    work = Work(
        os.fspath(model), os.fspath(data), method, target, layer, split, limit, class_names, seed, batch, shard_images,
        threads,
    )  # fmt: skip
    use_threads(threads)
    explainer = Explainer(work)
    folder = Path(out)
    store.begin(folder, explainer.job())
    left = store.missing(folder, store.sizes(len(explainer), shard_images))
    if ray or ray_address is not None:
        from tfviz import _explain_ray

        done = _explain_ray.run(work, left, address=ray_address, workers=workers)
    else:
        done = explainer.each(left) if left else iter(())
    _keep(folder, done, step(len(left)) if step is not None else contextlib.nullcontext(_nothing), len(left))
    store.write_index(folder)
    return MapStore(folder)


def _keep(folder: Path, done: Iterator[tuple[int, bytes]], step: Any, left: int) -> None:
    if not left:
        return
    with step as advance:
        for number, data in done:
            store.write_shard(folder, number, data)
            advance(1, store.shard_name(number))


def _nothing(count: int, message: str = "") -> None:
    """An `advance` that nobody watches."""


def use_threads(threads: int) -> None:
    """Give TensorFlow so many threads; a process in which it has run already keeps what it has."""
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(threads)


def _plain(value: Any) -> Any:
    """As JSON gives it back: lists for tuples."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
