"""Right and wrong predictions side by side, each wrong one with the confusion that it belongs to."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.heads import heads
from tfviz.network.feed import Portion, portions
from tfviz.preprocess import Preprocess
from tfviz.stream import chunk_size
from tfviz.tap import execute, prepare, run, steady

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Example:
    """One judged picture.

    Attributes:
        position: in the data.
        name: of the picture.
        label: the true class.
        said: the predicted class.
        margin: by how much the logit of what was said is above that of the true class; of a right prediction, above
            that of the runner-up. Large means sure.
        picture: (H, W, C), as `tfviz.network.feed.Portion` has it.
    """

    position: int
    name: str
    label: int
    said: int
    margin: float
    picture: Array


@dataclasses.dataclass(frozen=True)
class Confusion:
    """One cell off the diagonal: pictures of class `label` that were taken for class `said`.

    Attributes:
        label, said: the true and the predicted class.
        count: how many pictures were so confused.
        wrong: some of them, the surest first.
        right_label: pictures of class `label` that were known as such, the surest first.
        right_said: pictures of class `said` that were known as such, the surest first.
    """

    label: int
    said: int
    count: int
    wrong: tuple[Example, ...]
    right_label: tuple[Example, ...]
    right_said: tuple[Example, ...]


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """How a model judged labelled data.

    Attributes:
        counts: (K, K); row: true class, column: predicted class.
        confusions: every cell off the diagonal that is not empty, the most frequent first.
        class_names: by number; empty where unknown.
    """

    counts: npt.NDArray[np.int64]
    confusions: tuple[Confusion, ...]
    class_names: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """Share of right predictions, 0 to 1."""
        return float(np.trace(self.counts) / self.counts.sum())


def correct_and_wrong(
    model: Any,
    data: Any,
    labels: Any = None,
    *,
    each: int = 4,
    class_names: tuple[str, ...] = (),
    preprocess: Preprocess | None = None,
    batch_size: int | None = None,
) -> Outcomes:
    """Judge labelled data in one pass and keep the surest examples of every confusion, beside right predictions.

    Args:
        model: a built Keras classifier of one picture; logits are read behind a softmax or sigmoid.
        data: a labelled `tfviz.data.Dataset`, pictures `(B, H, W, C)` in the model's own units, or batches of such.
        labels: (N,) true classes, where `data` is no Dataset.
        each: how many examples are kept of each kind.
        class_names: names by number; a Dataset brings its own.
        preprocess: from a Dataset's pixels to the model's input.
        batch_size: pictures at once; memory holds only the examples.

    Raises:
        InputError: no labels, a label that the model has no output for, or a model that is no classifier.
    """
    if each < 1:
        raise InputError(f"each is at least 1, not {each}.")
    classes = _classes(model)
    given = None if labels is None else np.asarray(labels)
    counts = np.zeros((classes, classes), np.int64)
    kept: dict[tuple[int, int], list[Example]] = {}
    with steady(model):
        for portion in portions(data, preprocess, batch_size or chunk_size(model.input_shape[1:3])):
            stop = portion.first + len(portion.inputs)
            truth = _truth(
                portion.labels if given is None else given[portion.first : stop], len(portion.inputs), classes
            )
            logits = _logits(model, portion.inputs, batch_size)
            said = logits.argmax(axis=1)
            np.add.at(counts, (truth, said), 1)
            for at, margin in enumerate(_margins(logits, truth, said)):
                best = kept.setdefault((int(truth[at]), int(said[at])), [])
                if len(best) < each or margin > best[-1].margin:
                    best.append(_example(portion, at, int(truth[at]), int(said[at]), float(margin)))
                    best.sort(key=lambda one: (-one.margin, one.position))
                    del best[each:]
    names = class_names or tuple(getattr(data, "class_names", ()))
    return Outcomes(counts, _confusions(counts, kept), names)


def _example(portion: Portion, at: int, label: int, said: int, margin: float) -> Example:
    # A copy of the picture, so that the rest of the portion is let go.
    return Example(portion.first + at, portion.names[at], label, said, margin, portion.pictures[at].copy())


def _confusions(
    counts: npt.NDArray[np.int64], kept: Mapping[tuple[int, int], Sequence[Example]]
) -> tuple[Confusion, ...]:
    cells = [(int(label), int(said)) for label, said in np.argwhere(counts) if label != said]
    cells.sort(key=lambda cell: (-counts[cell], cell))
    found = {cell: tuple(examples) for cell, examples in kept.items()}
    return tuple(
        Confusion(
            label,
            said,
            int(counts[label, said]),
            found[label, said],
            found.get((label, label), ()),
            found.get((said, said), ()),
        )
        for label, said in cells
    )


def _classes(model: Any) -> int:
    shape = model.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[-1] is None:
        raise InputError(f"{model.name!r} gives {shape}; right and wrong are of a classifier, (B, classes).")
    return max(int(shape[-1]), 2)


def _truth(labels: Array | None, count: int, classes: int) -> Array:
    if labels is None:
        raise InputError("The data has no labels, so no prediction is right or wrong; give labels.")
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise InputError(f"{count} pictures need as many class numbers, not {labels.dtype} {labels.shape}.")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"The labels go from {labels.min()} to {labels.max()}; the model has classes 0 to {classes - 1}."
        )
    return labels


def _margins(logits: Array, truth: Array, said: Array) -> Array:
    """Of a wrong prediction, logit of what was said minus that of the truth; of a right one, minus the runner-up's."""
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, said] = -np.inf
    against = np.where(truth == said, others.max(axis=1), logits[rows, truth])
    return np.asarray(logits[rows, said] - against)


def _logits(model: Any, images: Array, batch_size: int | None) -> Array:
    """`(B, classes)`; of a one-unit head, the negative logit and the logit."""
    batch = prepare(model, images)
    body = _Logits(batch.structure)
    size = chunk_size(batch.arrays[0].shape[1:], batch_size)
    parts = [np.asarray(execute(model, "logits", body, arrays)) for _, arrays in batch.parts(size)]
    logits = np.concatenate(parts)
    return np.concatenate([-logits, logits], axis=1) if logits.shape[1] == 1 else logits


class _Logits:
    def __init__(self, structure: Any) -> None:
        self._structure = structure

    def __call__(self, model: Any, *tensors: Any) -> Any:
        inputs = keras.tree.map_structure(lambda position: tensors[position], self._structure)
        return heads(run(model, inputs).outputs)[0].logits
