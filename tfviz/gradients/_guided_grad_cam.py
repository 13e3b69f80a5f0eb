"""Guided Grad-CAM: the fine edges of guided backpropagation where Grad-CAM looks."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfviz.cam import grad_cam
from tfviz.emptiness import warn_of_silence
from tfviz.gradients._plain import guided_backprop
from tfviz.image import resize
from tfviz.tap import steady


def guided_grad_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """Guided backpropagation times Grad-CAM, enlarged to the image (bilinear, half-pixel); summed over the channels.

    Its edges are those of guided backpropagation and survive the randomisation of the weights as they do (Adebayo et
    al. 2018): where it is dark, Grad-CAM says so; what it shows, the class need not have asked for.
    Source: Selvaraju et al. 2017, section 3.2.

    Args:
        layer: of Grad-CAM: an address, an index into `model.layers`, a Layer, or None for the last with H x W > 1.

    Raises:
        InputError: as `guided_backprop` and `grad_cam`.
    """
    options: dict[str, Any] = {"class_names": class_names, "batch_size": batch_size}
    with steady(model):
        edges = guided_backprop(model, images, target, **options)
        where = grad_cam(model, images, target, layer=layer, **options)
        maps = keras.tree.map_structure(lambda one: _seen_through(one, where), edges)
    warn_of_silence("guided-grad-cam", keras.tree.flatten(maps))
    return maps


def _seen_through(edges: npt.NDArray[Any], where: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Edges `(B, H, W)` weighed by maps `(B, h, w)`; an input without places by its maps' mean."""
    if edges.ndim != 3:
        return np.asarray(edges * where.mean(axis=(1, 2)).reshape(-1, *[1] * (edges.ndim - 1)), np.float32)
    return np.asarray(edges * resize(where, (edges.shape[1], edges.shape[2])), np.float32)
