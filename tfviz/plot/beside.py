"""A heat map beside and over the picture that it explains."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.plot.canvas import Scale, mark_empty, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]


def overlay_beside(
    image: Array,
    heat: Array,
    *,
    target: str = "",
    score: float | None = None,
    method: str = "",
    layer: str = "",
    colour_map: str = "viridis",
    alpha: float = 0.5,
) -> "Figure":
    """The picture, the raw map with its scale, and the map over the picture.

    Args:
        image: one uint8 picture, `(H, W, 3)` RGB or `(H, W, 1)` or `(H, W)`, or the same with a batch axis of one.
        heat: one raw map `(h, w)` or `(1, h, w)`; a signed map keeps its signs in the middle, and what speaks for the
            target is laid over the picture.
        target: what is explained, such as the class's name; its `score` is written beside it.
        method: the method's name.
        layer: the layer's address.
        colour_map: of the map and the overlay, a matplotlib name.
        alpha: how much of the colour covers the picture where the map is strongest.

    Raises:
        InputError: several pictures or maps, or a picture that is not uint8.
    """
    picture, values = _one_picture(image), _one_map(heat)
    signed = bool((values < 0).any())
    scale = Scale.of(values, "PuOr_r" if signed else colour_map)
    figure = new_figure(8.6, 3.35)
    left, middle, right = figure.subplots(1, 3)
    for axes, name in ((left, "input"), (middle, _place(layer, values)), (right, "map over the input")):
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(name, fontsize=9)
    left.imshow(picture)
    bar = figure.colorbar(scale.draw(middle, values), ax=middle, fraction=0.046, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.ax.yaxis.get_offset_text().set_fontsize(7)
    right.imshow(_blend(picture, values, colour_map, alpha))
    if not values.any():
        mark_empty(middle)
        right.set_title("nothing to lay over the input", fontsize=9)
    figure.suptitle(_headline(method, target, score), fontsize=11)
    return figure


def _headline(method: str, target: str, score: float | None) -> str:
    number = "" if score is None else f" (score {score:.3g})"
    return " for ".join(part for part in (method, f"{target}{number}" if target else number.strip()) if part)


def _place(layer: str, values: Array) -> str:
    size = f"{values.shape[0]} x {values.shape[1]}"
    return f"{layer}, {size}" if layer else f"raw map, {size}"


def _one_picture(image: Array) -> npt.NDArray[np.uint8]:
    pixels = np.asarray(image)
    if pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] not in (1, 3):
        raise InputError(f"A {pixels.dtype} picture of shape {np.shape(image)} was given; expected uint8 (H, W, 3).")
    return np.repeat(pixels, 3, axis=2) if pixels.shape[-1] == 1 else pixels


def _one_map(heat: Array) -> npt.NDArray[np.float32]:
    values = np.asarray(heat, np.float32)
    if values.ndim == 3 and len(values) == 1:
        values = values[0]
    if values.ndim != 2:
        raise InputError(f"A heat map of shape {np.shape(heat)} was given; expected one map (h, w).")
    return values


def _blend(picture: npt.NDArray[np.uint8], values: Array, colour_map: str, alpha: float) -> npt.NDArray[np.uint8]:
    """What speaks for the target over the picture: ReLU, half-pixel resize, normalise, colour, in this order."""
    from tfviz import image

    positive = np.maximum(values, 0)
    if not positive.any():
        return picture
    heat = image.resize(positive, picture.shape[:2])
    return image.overlay(picture, heat, alpha=alpha, colour_map=colour_map)[0]
