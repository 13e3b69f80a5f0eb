"""Several layers in one map: the fine places of the early layers, the sense of the late ones."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.cam.layer import spatial_layer
from tfviz.cam.together import MEMBERS, Maps, of_layers
from tfviz.emptiness import warn_of_empty
from tfviz.errors import InputError
from tfviz.image import resize
from tfviz.tap import Tap, prepare, spatial, steady, survey

_FUSED: dict[str, Callable[..., Any]] = {"mean": np.mean, "max": np.max}


def fused_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    method: str = "layer-cam",
    how: str = "mean",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """The maps of several layers as one, all from one pass: each scaled to its own largest value, then `fuse`d.

    LayerCAM is the default because its maps are good in early layers too, where a channel's mean gradient (Grad-CAM)
    says little. Source: Jiang et al. 2021, section III-D.

    Args:
        model: a built Keras model.
        images: `(B, H, W, C)`, or one image.
        target: what is explained; see `tfviz.target.plan`.
        layer: a list of addresses, indices or Layers; None for the last call at each resolution.
        method: a name of `MEMBERS`.
        how: "mean" or "max", see `fuse`.

    Returns:
        Maps `(B, H, W)` of the largest layer's resolution, 0 to 1.

    Raises:
        InputError: as `cams`.
    """
    if method not in MEMBERS:
        raise InputError(f"There is no CAM method {method!r}; there are {', '.join(MEMBERS)}.")
    with steady(model):
        batch = prepare(model, images)
        chosen = layer if isinstance(layer, (list, tuple)) else [layer]
        taps = _last_of_each_resolution(model) if layer is None else [spatial_layer(model, one) for one in chosen]
        if not taps:
            raise InputError("No layer was asked for, or the model has none with an output (B, H, W, C).")
        found = of_layers(model, batch, [method], target, taps, "sum", class_names, batch_size)[method]
    maps = fuse(found, how=how)
    warn_of_empty(f"fused {method}", maps, "no layer speaks for the target; try other layers or another target.")
    return maps


def _last_of_each_resolution(model: Any) -> list[Tap]:
    """The last call at each size of map: what a network holds before it makes its maps smaller."""
    last = {call.shapes[0][1:3]: call.tap for call in survey(model).calls if spatial(call)}
    return list(last.values())


def fuse(maps: Sequence[npt.NDArray[Any]], *, how: str = "mean") -> Maps:
    """Several layers' maps as one of the largest's size.

    Each image's map is rectified and divided by its largest value (an empty one stays empty), since gradients of
    different layers have no common scale; made as large as the largest (bilinear, half-pixel); then the mean over the
    layers, in which a place counts when many layers agree, or the maximum, in which one layer is enough.

    >>> fuse([np.array([[[1.0, 3.0]]]), np.array([[[4.0]]])])
    array([[[0.6666667, 1. ]]], dtype=float32)

    Args:
        maps: one `(B, h, w)` for each layer.
        how: "mean" or "max".

    Raises:
        InputError: no map, batches of different sizes, an unknown way.
    """
    if how not in _FUSED:
        raise InputError(f"how={how!r} was given; expected {' or '.join(map(repr, _FUSED))}.")
    if not maps or any(np.ndim(one) != 3 or len(one) != len(maps[0]) for one in maps):
        raise InputError(f"Maps of shapes {[np.shape(one) for one in maps]} were given; expected (B, h, w) of one B.")
    size = tuple(max(one.shape[axis] for one in maps) for axis in (1, 2))
    scaled = [resize(_of_largest(one), (size[0], size[1])) for one in maps]
    return np.asarray(_FUSED[how](scaled, axis=0), np.float32)


def _of_largest(maps: npt.NDArray[Any]) -> npt.NDArray[Any]:
    positive = np.maximum(np.asarray(maps, np.float64), 0)
    largest = positive.max(axis=(1, 2), keepdims=True)
    return positive / np.where(largest == 0, 1, largest)
