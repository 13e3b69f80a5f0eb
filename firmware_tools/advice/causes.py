"""Why a layer loses what it loses, and what would help: rules over what was measured. Nothing here runs a model."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from firmware_tools.advice.records import Cause, LayerLoss
from firmware_tools.graph import Graph

# A share of clipped values that is worth a word, and how far beyond the range the largest has to lie (of the range).
CLIPPED_SHARE = 1e-4
BEYOND = 0.05
# A signal whose root mean square is less than so many steps keeps less than 20 log10(8 / 0.289) = 29 dB.
FEW_STEPS = 8.0
SPREAD_WEIGHTS = 8.0  # outputs whose weights are so many times smaller than the largest have 3 bits less
FIXED = ("SOFTMAX", "LOGISTIC", "TANH")


def explained(layers: Sequence[LayerLoss], graph: Graph, calibration_images: int) -> tuple[LayerLoss, ...]:
    """Every layer with its cause, the reason for it, and what would help."""
    first = [dataclasses.replace(layer, **_cause(layer, graph, calibration_images)) for layer in layers]
    blamed: dict[int, tuple[LayerLoss, LayerLoss]] = {}  # by output tensor: the layer, and where its outliers come from
    for layer in first:
        source = _source(layer, graph, blamed)
        said = layer if source is None else _inherited(layer, source)
        blamed[graph.ops[layer.index].outputs[0]] = (said, source or said)
    return tuple(layer for layer, _ in blamed.values())


def advice(layers: Sequence[LayerLoss], most: int = 5) -> tuple[str, ...]:
    """A sentence for each of the layers that lose most."""
    worst = sorted(layers, key=lambda layer: layer.loss_db)[:most]
    return tuple(
        f"{layer.layer} (op {layer.index}, {layer.loss_db:.1f} dB of its own): {layer.because} {layer.remedy}".strip()
        for layer in worst
    )


def _cause(layer: LayerLoss, graph: Graph, images: int) -> dict[str, Any]:
    if layer.op in FIXED:
        return _said(
            Cause.FIXED,
            "the specification fixes its output's scale.",
            "Read the scores before it where small differences matter.",
        )
    if layer.limits is not None and layer.clipped_share > CLIPPED_SHARE and _beyond(layer.seen, layer.limits):
        return _clipping(layer, images)
    if layer.outlier_channels:
        channels = _channels(layer.outlier_channels)
        reach = "reaches" if len(layer.outlier_channels) == 1 else "reach"
        return _said(
            Cause.OUTLIER_CHANNELS,
            f"{channels} {reach} {layer.outlier_ratio:.1f} times as far as all others, which share what is left of the "
            f"range; the median channel keeps {layer.channel_sqnr_db:.1f} dB.",
            "Rescale it: divide those channels here and multiply them in the layer that reads them (the trial "
            "`equalised` does), or keep the layer in float or int16.",
        )
    spread = _weight_spread(layer, graph)
    if spread is not None and spread >= SPREAD_WEIGHTS:
        return _said(
            Cause.SHARED_WEIGHTS,
            f"all its outputs share one scale of the weights, and those of the median output are {spread:.0f} times "
            "smaller than the largest.",
            "Convert with weights quantised per channel, or rescale the layer.",
        )
    if layer.rms_steps is not None and layer.rms_steps < FEW_STEPS:
        return _said(
            Cause.WIDE_RANGE,
            f"rare large values stretch the range that all its values share: their root mean square is only "
            f"{layer.rms_steps:.1f} of 255 steps.",
            "Give it more steps (int16, or float), or bound it (ReLU6, a penalty on large activations) and train on.",
        )
    return _said(Cause.EIGHT_BITS, "nothing in particular, 8 bits round.", "Only more bits help: int16 or float.")


def _clipping(layer: LayerLoss, images: int) -> dict[str, Any]:
    assert layer.limits is not None
    cut = f"{100 * layer.clipped_share:.2g} % of its values lie beyond {_interval(layer.limits)}"
    if layer.calibrated is not None and _beyond(layer.seen, layer.calibrated):
        return _said(
            Cause.CALIBRATION,
            f"{cut}; the {images} calibration images reach {_interval(layer.calibrated)}, "
            f"these {_interval(layer.seen)}.",
            "Calibrate on more images, and on ones like those that it will see.",
        )
    return _said(
        Cause.CLIPPED,
        f"{cut}, which the calibration images reach as well.",
        "Convert again with calibration data whose whole range is kept.",
    )


def _source(layer: LayerLoss, graph: Graph, before: Mapping[int, tuple[LayerLoss, LayerLoss]]) -> LayerLoss | None:
    """The layer whose outlier channels this one reads, where it has no cause of its own or only hands them on."""
    for index in graph.ops[layer.index].inputs:
        given, source = before.get(index, (None, None))
        if given is None or source is None or given.cause not in (Cause.OUTLIER_CHANNELS, Cause.OUTLIER_INPUT):
            continue
        if not given.outlier_channels:  # one that has lost by them, and does not hand them on
            continue
        if layer.cause in (Cause.EIGHT_BITS, Cause.WIDE_RANGE) or layer.outlier_channels == given.outlier_channels:
            return source
    return None


def _inherited(layer: LayerLoss, source: LayerLoss) -> LayerLoss:
    one = len(source.outlier_channels) == 1
    return dataclasses.replace(
        layer,
        cause=Cause.OUTLIER_INPUT,
        because=f"it reads {source.layer}, where {_channels(source.outlier_channels)} {'leaves' if one else 'leave'} "
        "the others a few steps.",
        remedy=f"What helps {source.layer} helps here.",
    )


def _said(cause: Cause, because: str, remedy: str) -> dict[str, Any]:
    return {"cause": cause, "because": because, "remedy": remedy}


def _beyond(seen: tuple[float, float], limits: tuple[float, float]) -> bool:
    slack = BEYOND * (limits[1] - limits[0])
    return seen[0] < limits[0] - slack or seen[1] > limits[1] + slack


def _interval(limits: tuple[float, float]) -> str:
    return f"[{limits[0]:.3g}, {limits[1]:.3g}]"


def _channels(channels: Sequence[int]) -> str:
    numbers = ", ".join(map(str, channels[:6])) + (" and more" if len(channels) > 6 else "")
    return f"channel {numbers}" if len(channels) == 1 else f"channels {numbers}"


def _weight_spread(layer: LayerLoss, graph: Graph) -> float | None:
    """Largest weight of all over the median output's largest, where all outputs share one scale."""
    op = graph.ops[layer.index]
    if op.name not in ("CONV_2D", "FULLY_CONNECTED") or len(op.inputs) < 2:
        return None
    weights = graph.tensors[op.inputs[1]]
    if weights.data is None or len(weights.scale) != 1:
        return None
    largest = np.abs(weights.data.astype(np.float64).reshape(weights.shape[0], -1)).max(axis=1)
    median = float(np.median(largest))
    return float(largest.max()) / median if median > 0 else None
