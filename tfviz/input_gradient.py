"""The gradient of a score with respect to the input, inside a compiled run."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfviz.errors import InputError
from tfviz.passes import Scored
from tfviz.tap import Batch
from tfviz.tap.derivative import derivative, rectifiers


def input_gradients(
    scored: Scored, rule: str, model: Any, images: Sequence[Any], arguments: Sequence[Any]
) -> tuple[list[Any], Any, Any]:
    """dy/dx of each input; for each image whether a probability was explained; the scores y."""
    with derivative(symbolic=bool(rule)) as d, rectifiers(rule):
        for image in images:
            d.watch(image)
        score, _, doubtful = scored(model, images, arguments, (), d)
    return d.of(score, images), doubtful, score


def over_channels(reduce: Callable[..., Any], values: Any) -> Any:
    """Reduce the channel axis of `(B, H, W, C)`; what has no channel axis stays as it is."""
    return reduce(values, axis=-1) if len(values.shape) > 3 else values


def check_real(batch: Batch) -> None:
    """Refuse inputs that have no gradient."""
    for dtype in batch.dtypes:
        if not tf.as_dtype(dtype).is_floating:
            raise InputError(f"The model's input is of dtype {dtype}, which has no gradient; explain a layer instead.")
