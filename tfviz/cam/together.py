"""Several class activation maps of one layer, or of several layers, for the price of one pass."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.cam import components, members
from tfviz.cam.layer import spatial_layer
from tfviz.emptiness import warn_of_empty
from tfviz.errors import InputError
from tfviz.passes import Scored, in_parts
from tfviz.tap import Batch, Tap, prepare, steady
from tfviz.tap.derivative import as_answer, derivative
from tfviz.target import plan

Maps = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Member:
    """One method: its signed map, whether its paper ends in a ReLU, and what it needs beside the activations."""

    signed: Callable[..., Any]
    rectified: bool = True
    takes: tuple[str, ...] = ("gradients",)
    """Its arguments after the activations: gradients, scores, curvature."""


MEMBERS = {
    "grad-cam": Member(members.grad_cam),
    "grad-cam++": Member(members.grad_cam_plus_plus, takes=("gradients", "scores")),
    "hires-cam": Member(members.hires_cam),
    "layer-cam": Member(members.layer_cam),
    "xgrad-cam": Member(members.xgrad_cam),
    "elementwise-grad-cam": Member(members.elementwise_grad_cam),
    "shapley-cam": Member(members.shapley_cam, takes=("gradients", "curvature")),
    "eigen-cam": Member(components.eigen_cam, rectified=False, takes=()),
    "eigen-grad-cam": Member(components.eigen_grad_cam),
    "kpca-cam": Member(components.kpca_cam, rectified=False, takes=()),
    "fem": Member(members.fem, takes=()),
}
# How the weighted channels become one map.
CHANNELS = {"sum": members.weighted, "eigen": components.principal}
_WEIGHING = ("grad-cam", "grad-cam++", "hires-cam", "layer-cam", "xgrad-cam", "elementwise-grad-cam", "shapley-cam")


def cams(
    model: Any,
    images: Any,
    methods: Sequence[str],
    target: Any = None,
    *,
    layer: Any = None,
    channels: str = "sum",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> dict[str, Maps]:
    """Several class activation maps of one layer for the price of one pass.

    Args:
        model: a built Keras model.
        images: `(B, H, W, C)`, or one image.
        methods: names of `MEMBERS`, such as `["grad-cam", "layer-cam"]`.
        target: what is explained; see `tfviz.target.plan`.
        layer: an address, an index into `model.layers`, a Layer, or None for the last with H x W > 1.
        channels: "sum" adds the weighted channels up, as the papers do; "eigen" takes their first principal component
            instead, which leaves noise of single channels out (see `tfviz.cam.eigen_smoothed`).

    Returns:
        For each method, in the order asked for, maps `(B, h, w)`.

    Raises:
        InputError: an unknown method, a layer without places, a target that does not fit the model.
    """
    names = [methods] if isinstance(methods, str) else list(methods)
    _check(names, channels)
    with steady(model):
        batch = prepare(model, images)
        taps = [spatial_layer(model, layer)]
        found = of_layers(model, batch, names, target, taps, channels, class_names, batch_size)
    for name, (maps,) in found.items():
        warn_of_empty(
            name,
            maps,
            "nothing in that layer speaks for the target, so the map says nothing; try another layer or target.",
        )
    return {name: maps for name, (maps,) in found.items()}


def _check(names: Sequence[str], channels: str) -> None:
    unknown = [name for name in names if name not in MEMBERS]
    if unknown or not names:
        raise InputError(f"There is no CAM method {', '.join(map(repr, unknown))}; there are {', '.join(MEMBERS)}.")
    if channels not in CHANNELS:
        raise InputError(f"channels={channels!r} was given; expected {' or '.join(map(repr, CHANNELS))}.")
    if channels != "sum" and not set(names) <= set(_WEIGHING):
        raise InputError(f"Only methods that weigh channels can be eigen-smoothed: {', '.join(_WEIGHING)}.")


def of_layers(
    model: Any,
    batch: Batch,
    names: Sequence[str],
    target: Any,
    taps: Sequence[Tap],
    channels: str,
    class_names: Sequence[str] | None,
    batch_size: int | None,
) -> dict[str, list[Maps]]:
    """For each method its maps at each tap, in one pass; inside `steady`."""
    wanted = plan(model, target, len(batch), class_names=class_names)
    body = partial(_body, Scored(batch, wanted), tuple(taps), tuple(names), channels)
    found = in_parts(model, ("cams", *taps, *names, channels), body, batch, wanted, batch_size=batch_size)
    return {name: found[i * len(taps) : (i + 1) * len(taps)] for i, name in enumerate(names)}


def _body(
    scored: Scored, taps: Sequence[Tap], names: Sequence[str], channels: str, model: Any, *tensors: Any
) -> tuple[Any, list[Any]]:
    images, arguments = tensors[: scored.inputs], tensors[scored.inputs :]
    needed = {thing for name in names for thing in MEMBERS[name].takes}
    with derivative(symbolic="curvature" in needed) as d:
        score, activations, doubtful = scored(model, images, arguments, taps, d)
    nothing = [None] * len(taps)
    gradients = d.of(score, activations) if needed & {"gradients", "curvature"} else nothing
    curvature = d.curvature(gradients, activations) if "curvature" in needed else nothing
    combine = CHANNELS[channels]
    maps = []
    for name in names:
        for a, g, c in zip(activations, gradients, curvature, strict=True):
            there = {"gradients": g, "scores": score, "curvature": c}
            maps.append(_map(MEMBERS[name], as_answer(a), there, combine))
    return doubtful, maps


def _map(member: Member, activations: Any, there: dict[str, Any], combine: Callable[..., Any]) -> Any:
    options = {} if combine is members.weighted else {"combine": combine}
    signed = member.signed(activations, *(there[thing] for thing in member.takes), **options)
    return tf.cast(tf.nn.relu(signed) if member.rectified else signed, tf.float32)
