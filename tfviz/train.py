"""Train a small CNN on any data of the door; the same seed gives the same model."""

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz import data as door
from tfviz import image, models, zoo
from tfviz.data import Batch, Dataset
from tfviz.errors import InputError
from tfviz.files import whole_file
from tfviz.preprocess import Preprocess, Sidecar, write_sidecar

if TYPE_CHECKING:
    import keras

# The recipe that brings the log's CNN over 90 % on dog-poses in under a minute (bench/dog_poses.py).
EPOCHS = 5
BATCH_SIZE = 32
LEARNING_RATE = 4e-3

Progress = Callable[[int, int, str], None]
# Pixels kept in memory and shuffled as one; what is larger is streamed and shuffled within blocks of this size.
BLOCK_BYTES = 1 << 30
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """A trained model with what is known about it.

    Attributes:
        model: emits logits.
        preprocess: from pixels to its input.
        class_names: by output.
        confusion: (K, K) counts on held-out pictures; row: true class, column: predicted class.
        losses: mean training loss of each epoch (cross-entropy, nats).
        train_images, test_images: how many pictures were learned from and judged on.
        seconds: wall time of everything, data included.
    """

    model: "keras.Model"
    preprocess: Preprocess
    class_names: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    losses: tuple[float, ...]
    train_images: int
    test_images: int
    seconds: float

    @property
    def accuracy(self) -> float:
        """Share of the held-out pictures that were named rightly, 0 to 1."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    def save(self, path: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Write `path` (`.keras`) and the sidecar beside it; returns both paths. Each whole or not at all."""
        target = Path(path)
        if target.suffix != ".keras":
            raise InputError(f"A trained model is written as .keras, not {target.name}.")
        with whole_file(target) as temporary:
            self.model.save(temporary)
            # The sidecar first: a model is never seen without what it expects of pixels.
            sidecar = write_sidecar(target, Sidecar(self.preprocess, self.class_names))
        return target, sidecar


def train(
    data: str | Dataset,
    *,
    test: str | Dataset | None = None,
    model: "keras.Model | None" = None,
    epochs: int = EPOCHS,
    size: image.Size = 64,
    channels: int = 3,
    limit: int | None = None,
    test_limit: int | None = None,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    callbacks: Sequence["keras.callbacks.Callback"] = (),
    progress: Progress | None = None,
) -> TrainingResult:
    """Train `zoo.dog_cnn` (or `model`, changed in place) by Adam with warm-up and cosine decay, and judge it.

    Args:
        data: as on the command line, of which the "train" split is used, or a `Dataset` that is used whole.
        test: held-out data; None: the "test" split of `data` where that is a name.
        model: emits logits (B, K) from (B, *size, channels); None: a new `dog_cnn` of that size.
        epochs: passes over the data.
        size: side, or height and width, of the model's input.
        channels: 3 (RGB) or 1 (grey).
        limit, test_limit: the first so many pictures of each.
        batch_size: pictures a step.
        learning_rate: its peak.
        seed: of the weights, the order and (dog-poses) the pictures: the same seed, the same model.
        callbacks: Keras callbacks, passed to `fit`.
        progress: called as `progress(done, total, message)` after each step of a batch.

    Raises:
        InputError: data without labels or with one class, numbers below 1, a model that does not fit.
    """
    started = time.perf_counter()
    _check(epochs=epochs, batch_size=batch_size)
    models.require_tensorflow()
    import keras

    options: dict[str, Any] = {"size": size, "channels": channels, "seed": seed}
    learned = data if isinstance(data, Dataset) else door.load(data, split="train", limit=limit, **options)
    judged = test if test is not None else data
    if not isinstance(judged, Dataset):
        judged = door.load(judged, split="test", limit=test_limit, **options)
    classes = len(learned.class_names)
    if classes < 2:
        raise InputError(f"{learned.spec} has {classes} classes; training needs labels of at least 2.")
    if judged is learned or judged.class_names != learned.class_names:
        raise InputError(f"The test data needs to be other pictures of the same classes {learned.class_names}.")

    keras.utils.set_random_seed(seed)
    preprocess = Preprocess(size=image.side_lengths(size), colour="grey" if channels == 1 else "rgb", scale=1 / 255)
    net = model or zoo.dog_cnn_twin((*image.side_lengths(size), channels), classes, seed=seed)
    steps = -(-len(learned) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * steps, alpha=0.01, warmup_target=learning_rate, warmup_steps=max(1, epochs * steps // 10)
    )
    net.compile(keras.optimizers.Adam(schedule), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = net.fit(
        _minibatches(learned, preprocess, batch_size, np.random.default_rng(seed)),
        steps_per_epoch=steps,
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=[*callbacks, *([] if progress is None else [_reporter(progress, epochs * steps)])],
    )
    net = model or zoo.fold(net)
    counts = confusion(net, judged, preprocess)
    result = TrainingResult(
        model=net,
        preprocess=preprocess,
        class_names=learned.class_names,
        confusion=counts,
        losses=tuple(float(loss) for loss in history.history["loss"]),
        train_images=len(learned),
        test_images=len(judged),
        seconds=time.perf_counter() - started,
    )
    _log.info(
        "Trained on %d pictures in %.1f s: accuracy %.1f %%.", len(learned), result.seconds, 100 * result.accuracy
    )
    return result


def confusion(
    model: "keras.Model", data: Dataset, preprocess: Preprocess, *, batch_size: int = 128
) -> npt.NDArray[np.int64]:
    """Counts (K, K) of a model's predictions over labelled data; row: true class, column: predicted class."""
    classes = len(data.class_names)
    counts = np.zeros((classes, classes), np.int64)
    for batch in data.batches(batch_size):
        if batch.labels is None:
            raise InputError(f"{data.spec} has no labels to judge a model by.")
        predicted = np.argmax(model.predict_on_batch(preprocess(batch.images)), axis=-1)
        if predicted.max() >= classes:
            raise InputError(f"The model names class {predicted.max()} and {data.spec} has {classes} classes.")
        np.add.at(counts, (batch.labels, predicted), 1)
    return counts


def _minibatches(
    data: Dataset, preprocess: Preprocess, batch_size: int, random: np.random.Generator
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
    """Endless shuffled minibatches, one epoch after the other; data that fits a block is read once."""
    kept: list[Batch] = []
    while True:
        for block in kept or _blocks(data, batch_size):
            labels = block.labels
            if labels is None:
                raise InputError(f"{data.spec} has no labels to learn from.")
            if len(block) == len(data):
                kept = [block]
            order = random.permutation(len(block))
            for start in range(0, len(order), batch_size):
                chosen = order[start : start + batch_size]
                yield preprocess(block.images[chosen]), labels[chosen]


def _blocks(data: Dataset, batch_size: int) -> Iterator[Batch]:
    """The data in large blocks of whole batches."""
    waiting: list[Batch] = []
    size = 0
    for batch in data.batches(batch_size):
        slim = dataclasses.replace(batch, masks=None)
        waiting.append(slim)
        size += slim.images.nbytes
        if size >= BLOCK_BYTES:
            yield door.join(waiting)
            waiting, size = [], 0
    if waiting:
        yield door.join(waiting)


def _reporter(progress: Progress, total: int) -> "keras.callbacks.Callback":
    """A Keras callback that counts the steps of all epochs."""
    import keras

    class Reporter(keras.callbacks.Callback):
        done = 0
        epoch = 0

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002 Keras's signature
            self.epoch = epoch + 1

        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
            self.done += 1
            progress(self.done, total, f"epoch {self.epoch}, loss {float((logs or {}).get('loss', 0.0)):.3f}")

    return Reporter()


def _check(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise InputError(f"{name} is at least 1, not {value}.")
