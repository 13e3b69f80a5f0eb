"""An image with what was said of it and where the network looks, as a record for the page."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz.report.album import GLOW, HEAT, LEVELS, Palette, data_uri, indexed_png
from tfviz.report.tiles import Real
from tfviz.report.views import Overlay, Scores

if TYPE_CHECKING:
    import keras

Pixels = npt.NDArray[np.uint8]
MOST_CLASSES = 5
_SMOOTH = 192  # pixels of the longer side of a heat map in the page


def picture_uri(image: Pixels) -> str:
    """An image (H, W, 3) or (H, W, 1) uint8 as a `data:` address of its own pixels."""
    from tfviz.image import png_bytes

    return data_uri(png_bytes(image))


def picture_overlay(image: Pixels) -> Overlay:
    """The bare picture."""
    height, width = image.shape[:2]
    caption = f"{width} by {height} pixels, as the network gets it."
    return Overlay("The picture", caption, picture_uri(image), None, width / height)


def heat_overlay(
    title: str, caption: str, image: Pixels, heat: Real, *, fine: bool = False, top: float | None = None
) -> Overlay:
    """A raw heat map (h, w) over its image: ReLU, half-pixel bilinear resize, normalise, in this order.

    Args:
        title: of the overlay.
        caption: what the map says.
        image: (H, W, C) uint8.
        heat: (h, w), raw. An empty map after ReLU is said, not drawn.
        fine: a map of pixels (saliency): not smoothed, in another colour.
        top: where the colours end, for maps that are set side by side; default: the map's own largest value.
    """
    from tfviz.image import resize

    height, width = image.shape[:2]
    positive = np.maximum(np.nan_to_num(np.asarray(heat, np.float32)), 0)
    picture, aspect = picture_uri(image), width / height
    if not positive.max(initial=0.0):
        return Overlay(title, "Nothing is positive in this map: no place speaks for the class.", picture, None, aspect)
    if not fine:
        enlarge = max(1.0, _SMOOTH / max(height, width))
        positive = resize(positive, (round(height * enlarge), round(width * enlarge)))
    if top is None:
        share = (positive - positive.min()) / (float(np.ptp(positive)) or 1.0)
    else:
        share = np.minimum(positive / top, 1)
    return Overlay(title, caption, picture, data_uri(_heat_png(share, GLOW if fine else HEAT)), aspect)


def _heat_png(share: Real, colours: Palette) -> bytes:
    """Shares of 0..1 as colours whose opacity grows with the share: what is not looked at stays as it is."""
    opacity = np.linspace(0, 1, LEVELS) ** 0.8 * 0.75
    alpha = np.rint(255 * opacity).astype(np.uint8)
    return indexed_png(np.rint(share * (LEVELS - 1)).astype(np.uint8), colours, alpha)


def probabilities(outputs: Real) -> Real:
    """A classifier's outputs (B, K) as shares of 1: as they are, softmax of logits, or both sides of a one-unit head.

    >>> probabilities(np.array([[0.25, 0.75]])).tolist()
    [[0.25, 0.75]]
    >>> probabilities(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    values = np.asarray(outputs, np.float64)
    if values.shape[1] == 1:
        inside = (values >= 0).all() and (values <= 1).all()
        one = values if inside else 1 / (1 + np.exp(-values))
        return np.concatenate([1 - one, one], axis=1)
    if are_probabilities(values):
        return values
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def are_probabilities(outputs: Real) -> bool:
    """Whether the rows are shares of 1 (to the coarseness of an int8 softmax)."""
    values = np.asarray(outputs)
    return bool((values >= 0).all() and (np.abs(values.sum(axis=1) - 1) < 0.02).all())


def scores(columns: Mapping[str, Real], class_names: Sequence[str], label: int | None, *, note: str = "") -> Scores:
    """The classes that any engine ranks first, and the label, for one image.

    Args:
        columns: engine -> its shares (K,).
        class_names: may be empty; then classes are numbers.
        label: the right class, or None.
        note: under the table.
    """
    first = next(iter(columns.values()))
    ranked = [int(index) for index in np.argsort(-first, kind="stable")]
    kept = ranked[:MOST_CLASSES]
    if label is not None and label not in kept and label < len(first):
        kept[-1] = label
    rows = tuple(
        (class_name(class_names, index), index == label, tuple(float(shares[index]) for shares in columns.values()))
        for index in kept
    )
    return Scores(tuple(columns), rows, note)


def class_name(class_names: Sequence[str], index: int) -> str:
    """The name of a class, or "class 7" where it has none or a number for a name.

    >>> class_name(("cat", "dog"), 1), class_name((), 7), class_name(("0", "1"), 1)
    ('dog', 'class 7', 'class 1')
    """
    name = class_names[index] if index < len(class_names) else str(index)
    return f"class {name}" if name.isdecimal() else name


def verdict_words(class_names: Sequence[str], said: int, label: int | None) -> tuple[str, str]:
    """What was said of a picture, and its tone.

    >>> verdict_words(("cat", "dog"), 1, 0)
    ('Says dog, but it is cat', 'bad')
    """
    name = class_name(class_names, said)
    if label is None:
        return f"Says {name}", ""
    if said == label:
        return f"Says {name}, and is right", "good"
    return f"Says {name}, but it is {class_name(class_names, label)}", "bad"


def looks_at(
    model: "keras.Model", images: Pixels, x: npt.NDArray[np.float32], target: Any = None
) -> list[tuple[Overlay, ...]]:
    """For each picture: itself, Grad-CAM and Simonyan's saliency over it.

    A model without maps of more than one pixel has no Grad-CAM; its pictures come without.
    """
    from tfviz.cam import grad_cam
    from tfviz.gradients import saliency

    pixels = saliency(model, x, target)
    cams = list(grad_cam(model, x, target)) if _has_maps(model) else [None] * len(images)
    made = []
    for picture, cam, pixel in zip(images, cams, pixels, strict=True):
        heats = [picture_overlay(picture)]
        if cam is not None:
            caption = f"The {cam.shape[0]} by {cam.shape[1]} places of the last maps that speak for the class."
            heats.append(heat_overlay("Grad-CAM", caption, picture, cam))
        heats.append(heat_overlay("Saliency", "Pixels whose change moves the score most.", picture, pixel, fine=True))
        made.append(tuple(heats))
    return made


def _has_maps(model: "keras.Model") -> bool:
    from tfviz import tap

    return any(tap.spatial(call) for call in tap.survey(model).calls)
