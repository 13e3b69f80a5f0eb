"""Deletion and insertion: how the score falls as the pixels that a map calls important go, and rises as they come."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.metrics.ranking import removal_ranks
from tfviz.metrics.scoring import Judged, judged
from tfviz.perturb._fill import filled
from tfviz.stream import Block

Doubles = npt.NDArray[np.float64]


def deletion(
    predict: Any,
    images: Any,
    maps: Any,
    target: Any = None,
    *,
    steps: int = 32,
    baseline: Any = 0.0,
    seed: int = 0,
    batch_size: int | None = None,
) -> Doubles:
    """The area under the deletion curve, `(B,)`; lower is better.

        (1 / n) sum_{s=1..n} (y_{s-1} + y_s) / 2,    y_s = y(x with the s/n most relevant pixels at the baseline)

    The trapezoid rule over the share of pixels, 0 to 1. With `target.probability(k)` it is the paper's figure. Source:
    Petsiuk, Das and Saenko 2018 (there 224 pixels a step and baseline 0).

    Args:
        predict: a Keras model, or a function of images that returns scores (B, K).
        images: (B, H, W, C), as the model takes them.
        maps: (B, h, w), the explanations; resized to the images.
        target: what the maps explain, see `tfviz.target.plan`; a class is its logit.
        steps: n, at least 1.
        baseline: what deleted pixels become: a number, an array that broadcasts to the images, "mean" (each image's
            mean colour) or "blur" (the image under a Gaussian of a tenth of its longer side).
        seed: of the lot that decides among equally relevant pixels.
        batch_size: how many copies go through the model at once; None chooses.

    >>> total = lambda x: x.sum(axis=(1, 2))
    >>> x = np.array([[[[3.0], [1.0]]]])
    >>> float(deletion(total, x, x[..., 0], steps=2)[0])  # 4, 1, 0
    1.5
    """
    curve = deletion_curve(
        predict, images, maps, target, steps=steps, baseline=baseline, seed=seed, batch_size=batch_size
    )
    return area(curve)


def insertion(
    predict: Any,
    images: Any,
    maps: Any,
    target: Any = None,
    *,
    steps: int = 32,
    baseline: Any = "blur",
    seed: int = 0,
    batch_size: int | None = None,
) -> Doubles:
    """The area under the insertion curve, `(B,)`; higher is better.

    As `deletion`, but from the baseline (by default the blurred image, as in the paper) the most relevant pixels come
    back first. Source: Petsiuk, Das and Saenko 2018.
    """
    curve = insertion_curve(
        predict, images, maps, target, steps=steps, baseline=baseline, seed=seed, batch_size=batch_size
    )
    return area(curve)


def deletion_curve(
    predict: Any,
    images: Any,
    maps: Any,
    target: Any = None,
    *,
    steps: int = 32,
    baseline: Any = 0.0,
    seed: int = 0,
    batch_size: int | None = None,
) -> Doubles:
    """The scores `(B, steps + 1)` with 0, 1/steps, ..., all of the pixels deleted. Arguments as of `deletion`."""
    subject = judged(predict, images, maps, target, batch_size=batch_size)
    return _curve(subject, subject.images, filled(subject.images, baseline), steps, seed)


def insertion_curve(
    predict: Any,
    images: Any,
    maps: Any,
    target: Any = None,
    *,
    steps: int = 32,
    baseline: Any = "blur",
    seed: int = 0,
    batch_size: int | None = None,
) -> Doubles:
    """The scores `(B, steps + 1)` with 0, 1/steps, ..., all of the pixels inserted. Arguments as of `insertion`."""
    subject = judged(predict, images, maps, target, batch_size=batch_size)
    return _curve(subject, filled(subject.images, baseline), subject.images, steps, seed)


def area(curves: Doubles) -> Doubles:
    """The area under curves `(B, n + 1)` over 0..1 by the trapezoid rule, `(B,)`."""
    return np.asarray((curves[:, :-1] + curves[:, 1:]).mean(axis=1) / 2)


def _curve(subject: Judged, start: Any, end: Any, steps: int, seed: int) -> Doubles:
    """Scores on the way from one picture to the other, the most relevant pixels first."""
    if steps < 1:
        raise InputError(f"steps={steps} was given; at least 1 is expected.")
    ranks = removal_ranks(subject.maps, seed)
    pixels = ranks[0].size if len(ranks) else 0
    counts = np.rint(np.linspace(0, pixels, steps + 1)).astype(np.int64)

    def copies(block: Block) -> Any:
        rows = slice(block.start, block.stop)
        changed = ranks[rows, np.newaxis] < counts[np.newaxis, block.first : block.last, np.newaxis, np.newaxis]
        mixed = np.where(changed[..., np.newaxis], end[rows, np.newaxis], start[rows, np.newaxis])
        return mixed.reshape(-1, *subject.images.shape[1:])

    return subject.sampled(steps + 1, copies)
