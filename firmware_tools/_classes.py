"""What the engines name the images: top-1 agreement, accuracy and confusion."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfviz.trace import Trace


class Classes:
    """Counts over images; everything is None for models whose first output is no row of class scores."""

    def __init__(self) -> None:
        self.predictions: dict[str, list[int]] = {}
        self.five: list[frozenset[int]] = []
        self.labels: list[int | None] = []
        self.width = 0

    def add(self, right: Trace, judged: Trace, real: Trace | None, label: int | None) -> None:
        """One more image."""
        self.labels.append(label)
        for role, trace in (("reference", right), ("engine", judged), ("float", real)):
            named = None if trace is None else top1(trace)
            if named is not None:
                self.predictions.setdefault(role, []).append(named)
                assert trace is not None
                self.width = max(self.width, trace.outputs[0].values.size)
                if role == "engine":
                    self.five.append(top5(trace))

    def results(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Fields of a `Comparison`, by engine name."""
        labelled = bool(self.labels) and all(label is not None for label in self.labels)
        labels = np.array([label for label in self.labels if label is not None], np.int64)
        accuracy: dict[str, float | None] = {}
        confusion: dict[str, Any] = {}
        for role, predictions in self.predictions.items():
            named = np.array(predictions, np.int64)
            accuracy[names[role]] = float((named == labels).mean()) if labelled else None
            if labelled:
                size = max(self.width, int(labels.max()) + 1)
                matrix = np.zeros((size, size), np.int64)
                np.add.at(matrix, (labels, named), 1)
                confusion[names[role]] = matrix
        return {
            "top1_agreement": self._agreement("reference"),
            "float_top1_agreement": self._agreement("float"),
            "top5_agreement": self._among_five("reference"),
            "float_top5_agreement": self._among_five("float"),
            "accuracy": accuracy,
            "confusion": confusion,
        }

    def _agreement(self, role: str) -> float | None:
        ours, theirs = self.predictions.get("engine"), self.predictions.get(role)
        if not ours or not theirs:
            return None
        return float(np.mean(np.array(ours) == np.array(theirs)))

    def _among_five(self, role: str) -> float | None:
        """How often that role's class is among the engine's five highest; with five classes or fewer it always is."""
        theirs = self.predictions.get(role)
        if not self.five or not theirs or self.width < 6:
            return None
        return float(np.mean([named in five for named, five in zip(theirs, self.five, strict=True)]))


def top5(trace: Trace) -> frozenset[int]:
    """The classes of the five highest scores of a run, the first of equals."""
    return frozenset(int(k) for k in np.argsort(-trace.outputs[0].values[0].astype(np.float64), kind="stable")[:5])


def top1(trace: Trace) -> int | None:
    """The class that a run names: the largest of a row of scores, the first of equals; None where there is no row."""
    if not trace.outputs:
        return None
    values = trace.outputs[0].values
    if values.ndim != 2 or values.shape[0] != 1 or values.shape[1] < 2:
        return None
    return int(values[0].argmax())
