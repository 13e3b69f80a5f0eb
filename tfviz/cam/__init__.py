"""Class activation maps: where in a layer the score comes from.

Every function answers `(B, h, w)`, float32 and raw, at the layer's own resolution, after the final ReLU where the
method's paper has one. The signed maps underneath are the functions of `tfviz.cam.members`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.cam import members
from tfviz.cam.closed_form import class_activation_map
from tfviz.cam.layer import spatial_layer
from tfviz.errors import EmptyMapWarning, InputError, warn
from tfviz.passes import Scored, in_parts
from tfviz.tap import Tap, prepare, steady
from tfviz.tap.derivative import as_answer, derivative
from tfviz.target import plan

Maps = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Member:
    """One method: its signed map, whether its paper ends in a ReLU, whether it needs the scores or gradients."""

    signed: Callable[..., Any]
    rectified: bool = True
    takes_scores: bool = False
    takes_gradients: bool = True


MEMBERS = {
    "grad-cam": Member(members.grad_cam),
    "grad-cam++": Member(members.grad_cam_plus_plus, takes_scores=True),
    "hires-cam": Member(members.hires_cam),
    "layer-cam": Member(members.layer_cam),
    "xgrad-cam": Member(members.xgrad_cam),
    "elementwise-grad-cam": Member(members.elementwise_grad_cam),
    "eigen-cam": Member(members.eigen_cam, rectified=False, takes_gradients=False),
}


def cams(
    model: Any,
    images: Any,
    methods: Sequence[str],
    target: Any = None,
    *,
    layer: Any = None,
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

    Returns:
        For each method, in the order asked for, maps `(B, h, w)`.

    Raises:
        InputError: an unknown method, a layer without places, a target that does not fit the model.
    """
    names = [methods] if isinstance(methods, str) else list(methods)
    unknown = [name for name in names if name not in MEMBERS]
    if unknown or not names:
        raise InputError(f"There is no CAM method {', '.join(map(repr, unknown))}; there are {', '.join(MEMBERS)}.")
    with steady(model):
        batch = prepare(model, images)
        tap = spatial_layer(model, layer)
        wanted = plan(model, target, len(batch), class_names=class_names)
        body = partial(_body, Scored(batch, wanted), tap, tuple(names))
        maps = in_parts(model, ("cams", tap, *names), body, batch, wanted, batch_size=batch_size)
        for name, values in zip(names, maps, strict=True):
            _warn_of_empty(name, values)
        return dict(zip(names, maps, strict=True))


def _body(scored: Scored, tap: Tap, names: Sequence[str], model: Any, *tensors: Any) -> tuple[Any, list[Any]]:
    images, arguments = tensors[: scored.inputs], tensors[scored.inputs :]
    with derivative() as d:
        score, (activations,), doubtful = scored(model, images, arguments, (tap,), d)
    gradients = None
    if any(MEMBERS[name].takes_gradients for name in names):
        (gradients,) = d.of(score, [activations])
    return doubtful, [_map(MEMBERS[name], as_answer(activations), gradients, score) for name in names]


def _map(member: Member, activations: Any, gradients: Any, score: Any) -> Any:
    signed = member.signed(activations, gradients, *([score] if member.takes_scores else []))
    return tf.cast(tf.nn.relu(signed) if member.rectified else signed, tf.float32)


def _warn_of_empty(name: str, maps: Maps) -> None:
    empty = int(np.sum(~np.any(maps, axis=(1, 2))))
    if empty:
        warn(
            f"{empty} of {len(maps)} {name} maps are zero everywhere: nothing in that layer speaks for the target, so "
            "the map says nothing; try another layer or target.",
            EmptyMapWarning,
        )


def _one(
    name: str,
    model: Any,
    images: Any,
    target: Any,
    layer: Any,
    class_names: Sequence[str] | None,
    batch_size: int | None,
) -> Maps:
    return cams(model, images, [name], target, layer=layer, class_names=class_names, batch_size=batch_size)[name]


def grad_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Grad-CAM: ReLU(sum_k mean_ij(g^k) A^k).

    Where a layer's channels, weighted by how the score rises with their mean, add up. Source: Selvaraju et al. 2017,
    equations 1 and 2. Arguments, answer and errors as `cams`.

    >>> import keras
    >>> model = keras.Sequential(
    ...     [keras.Input((2, 2, 1)), keras.layers.ReLU(), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    ... )
    >>> model.set_weights([np.array([[4.0, -4.0]]), np.zeros(2)])
    >>> grad_cam(model, np.array([[[0.0], [1.0]], [[2.0], [3.0]]]), 0)
    array([[[0., 1.],
            [2., 3.]]], dtype=float32)
    """
    return _one("grad-cam", model, images, target, layer, class_names, batch_size)


def grad_cam_plus_plus(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Grad-CAM++: like Grad-CAM, each place weighted for its own share, for several objects of one class.

    Which of the forms in the wild, and why: `members.grad_cam_plus_plus`. Source: Chattopadhay et al. 2018.
    """
    return _one("grad-cam++", model, images, target, layer, class_names, batch_size)


def hires_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """HiResCAM: ReLU(sum_k g^k A^k), place by place; shows only places that the score came from.

    Source: Draelos and Carin 2020.
    """
    return _one("hires-cam", model, images, target, layer, class_names, batch_size)


def layer_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """LayerCAM: ReLU(sum_k ReLU(g^k) A^k), place by place; good in early layers. Source: Jiang et al. 2021."""
    return _one("layer-cam", model, images, target, layer, class_names, batch_size)


def xgrad_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """XGrad-CAM: Grad-CAM with gradients averaged in proportion to the activations. Source: Fu et al. 2020."""
    return _one("xgrad-cam", model, images, target, layer, class_names, batch_size)


def elementwise_grad_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Element-wise Grad-CAM: sum_k ReLU(g^k A^k), place by place; what speaks for the target, nothing set off."""
    return _one("elementwise-grad-cam", model, images, target, layer, class_names, batch_size)


def eigen_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Eigen-CAM: the first principal component of the activations, signed so that it sums to a positive number.

    Does not look at the target. Source: Muhammad and Yeasin 2020.
    """
    return _one("eigen-cam", model, images, target, layer, class_names, batch_size)


__all__ = [
    "MEMBERS",
    "cams",
    "class_activation_map",
    "eigen_cam",
    "elementwise_grad_cam",
    "grad_cam",
    "grad_cam_plus_plus",
    "hires_cam",
    "layer_cam",
    "members",
    "xgrad_cam",
]
