"""What is left of the score when only what a map shows is left of the picture: average drop, increase and gain.

The masked picture is m x + (1 - m) x0, with m the map after ReLU over its largest value (0..1; an empty map hides
everything) and x0 the baseline. The paper's figures are of probabilities: give `target.probability(k)`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.metrics.scoring import judged
from tfviz.perturb._fill import filled
from tfviz.stream import Block

Doubles = npt.NDArray[np.float64]


def average_drop(
    predict: Any, images: Any, maps: Any, target: Any = None, *, baseline: Any = 0.0, batch_size: int | None = None
) -> Doubles:
    """The share of the score that is lost when only the map's part is seen, max(0, y - o) / y, `(B,)`; lower is better.

    y is the image's score, o the masked one's; the paper's average drop is 100 times the mean. Source: Chattopadhay et
    al. 2018. Arguments as of `deletion`.

    Raises:
        InputError: a score below 0, of which no share can be lost: give `target.probability(k)`.

    >>> total = lambda x: x.sum(axis=(1, 2))
    >>> x = np.array([[[[3.0], [1.0]]]])
    >>> float(average_drop(total, x, np.array([[[1.0, 0.0]]]))[0])
    0.25
    """
    whole, masked = _scores(predict, images, maps, target, baseline, batch_size)
    if (whole < 0).any():
        raise InputError("The average drop is a share of a score that is not negative: give target.probability(k).")
    return np.asarray(np.maximum(0, whole - masked) / np.where(whole == 0, 1, whole))


def average_increase(
    predict: Any, images: Any, maps: Any, target: Any = None, *, baseline: Any = 0.0, batch_size: int | None = None
) -> Doubles:
    """1 where the score rises when only the map's part is seen, else 0, `(B,)`; higher is better.

    Also called "increase in confidence". Source: Chattopadhay et al. 2018. Arguments as of `deletion`.
    """
    whole, masked = _scores(predict, images, maps, target, baseline, batch_size)
    return np.asarray(masked > whole, np.float64)


def average_gain(
    predict: Any, images: Any, maps: Any, target: Any = None, *, baseline: Any = 0.0, batch_size: int | None = None
) -> Doubles:
    """The share of what was missing to certainty that is won, max(0, o - y) / (1 - y), `(B,)`; higher is better.

    Source: Zhang et al. 2023 (Opti-CAM). Arguments as of `deletion`.

    Raises:
        InputError: a score outside 0..1: give `target.probability(k)`.
    """
    whole, masked = _scores(predict, images, maps, target, baseline, batch_size)
    if (whole < 0).any() or (whole > 1).any():
        raise InputError(
            "The average gain is of probabilities, and a score outside 0..1 was met: give target.probability(k)."
        )
    return np.asarray(np.maximum(0, masked - whole) / np.where(whole == 1, 1, 1 - whole))


def _scores(
    predict: Any, images: Any, maps: Any, target: Any, baseline: Any, batch_size: int | None
) -> tuple[Doubles, Doubles]:
    subject = judged(predict, images, maps, target, batch_size=batch_size)
    empty = filled(subject.images, baseline)
    positive = np.maximum(subject.maps, 0)
    top = positive.max(axis=(1, 2), keepdims=True)
    shown = (positive / np.where(top == 0, 1, top))[..., np.newaxis]

    def copies(block: Block) -> Any:
        """Sample 0 is the image as it is, sample 1 the masked one."""
        rows = slice(block.start, block.stop)
        x, x0 = subject.images[rows], empty[rows]
        pair = np.stack([x, (x0 + shown[rows] * (x - x0)).astype(x.dtype)], axis=1)
        return pair[:, block.first : block.last].reshape(-1, *x.shape[1:])

    scores = subject.sampled(2, copies)
    return scores[:, 0], scores[:, 1]
