"""Does the explanation hold still while the picture hardly changes? Max-sensitivity."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.metrics.draws import Draws
from tfviz.metrics.fixing import fixed_target, pixels_of, rows_of
from tfviz.stream import blocks, chunk_size

Array = npt.NDArray[Any]
Explain = Callable[[Any, Any, Any], Any]


def max_sensitivity(
    predict: Any,
    images: Any,
    maps: Any,
    target: Any = None,
    *,
    explain: Explain,
    samples: int = 8,
    radius: float = 0.02,
    seed: int = 0,
    batch_size: int | None = None,
) -> npt.NDArray[np.float64]:
    """Max-sensitivity, `(B,)`; lower is better, 0 for an explanation that does not move.

        max over x' with |x' - x|_inf <= r  of  ||phi(x') - phi(x)|| / ||phi(x)||

    over random x', uniform in the ball; r is `radius` times the image's span. A map that is zero everywhere has no
    size to compare with: 1 if it becomes another, else 0. Source: Yeh et al. 2019, section 3.

    Args:
        predict, images, maps, target: as of `deletion`; what is explained stays the class of the unchanged image.
        explain: `explain(predict, images, target) -> maps`, such as `tfviz.grad_cam` or
            `functools.partial(tfviz.smoothgrad, samples=20)`; the function that the maps came from.
        samples: how many x'.
        radius: share of the image's span, above 0.
        seed: of the x', the same for every image.
        batch_size: how many copies are explained at once; None chooses.
    """
    if samples < 1 or not 0 < radius < np.inf:
        raise InputError(f"samples={samples} and radius={radius} were given; at least 1 and above 0 are expected.")
    pixels = pixels_of(predict, images)
    fixed = fixed_target(predict, pixels, target)
    before = np.asarray(maps, np.float64)
    reach = radius * np.ptp(pixels.reshape(len(pixels), -1), axis=1)
    worst = np.zeros(len(pixels))
    draws = Draws(seed, lambda generator: generator.uniform(-1, 1, pixels.shape[1:]))
    for block in blocks(len(pixels), samples, chunk_size(pixels.shape[1:], batch_size)):
        rows = block.rows
        moved = reach[rows].reshape(-1, 1, 1, 1) * draws.rows(block)
        after = explain(predict, (pixels[rows] + moved).astype(pixels.dtype), rows_of(fixed, rows))
        changes = _relative_change(before[rows], np.asarray(after, np.float64))
        some = worst[block.start : block.stop]
        np.maximum(some, changes.reshape(len(some), -1).max(axis=1), out=some)
    return worst


def _relative_change(before: Array, after: Array) -> Array:
    if before.shape != after.shape:
        raise InputError(f"explain returned maps of shape {after.shape} where those to judge have {before.shape}.")
    size = np.linalg.norm(before.reshape(len(before), -1), axis=1)
    change = np.linalg.norm((after - before).reshape(len(before), -1), axis=1)
    return np.where(size > 0, change / np.where(size > 0, size, 1), change > 0)
