"""The class activation map that knows nothing: the baseline that every method has to beat."""

from typing import Any

import numpy as np

from tfviz.cam.layer import spatial_layer
from tfviz.cam.together import Maps
from tfviz.emptiness import warn_of_empty
from tfviz.maps import feature_maps
from tfviz.tap import prepare, steady


def random_cam(
    model: Any,
    images: Any,
    target: Any = None,  # noqa: ARG001 - takes what every method takes
    *,
    layer: Any = None,
    seed: int = 0,
    class_names: Any = None,  # noqa: ARG001
    batch_size: int | None = None,
) -> Maps:
    """Random CAM: ReLU(sum_k w_k A^k) with w_k drawn from -1 to 1, `(B, h, w)`; looks at no target and no gradient.

    A layer's maps alone already outline things: what a method shows beyond this is its own. The draws hang on `seed`
    and are the same for every image. Source: the baseline of the pytorch-grad-cam collection.
    """
    with steady(model):
        prepare(model, images)
        tap = spatial_layer(model, layer)
        address = f"{tap.path}@{tap.call}{':pre' if tap.pre else ''}"
        activations = feature_maps(model, images, address, batch_size=batch_size)[address]
    weights = np.random.default_rng(seed).uniform(-1, 1, activations.shape[-1]).astype(np.float32)
    maps = np.maximum(activations @ weights, 0)
    warn_of_empty("random-cam", maps, "no channel got a weight above zero; try another seed or layer.")
    return maps
