"""The sanity check: an explanation of a network has to change when what the network learned is taken from it."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tfviz import image
from tfviz.errors import InputError
from tfviz.metrics.fixing import fixed_target, pixels_of
from tfviz.metrics.private_copy import private
from tfviz.metrics.sensitivity import Explain
from tfviz.metrics.similarity import spearman, ssim
from tfviz.tap import survey

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Mode = Literal["cascading", "independent"]


@dataclasses.dataclass(frozen=True, eq=False)
class Randomised:
    """How alike the maps stay when a layer (and, cascading, every one above it) has random weights.

    Attributes:
        layer: address of the layer randomised in this step.
        ssim: (B,) structural similarity of |map|, each scaled to 0..1, before and after.
        spearman: (B,) rank correlation of |map| before and after.
    """

    layer: str
    ssim: Doubles
    spearman: Doubles


def randomisation(
    model: Any,
    images: Any,
    maps: Any,
    target: Any = None,
    *,
    explain: Explain,
    mode: Mode = "cascading",
    seed: int = 0,
) -> tuple[Randomised, ...]:
    """The parameter randomisation test, one step for each layer with weights, from the output down.

    Maps that stay alike show the picture (its edges), not what the network learned. Cascading: each step randomises
    one layer more; independent: one layer at a time. A kernel (two axes or more) becomes normal noise of the same root
    mean square; other weights (biases, statistics of normalisation) change places among themselves. So the signals
    keep their scale, and variances stay positive. Source: Adebayo et al. 2018.

    The model is not touched: the weights are those of a private copy (`tfviz.metrics.private`).

    Args:
        model: a built Keras model.
        images: (B, H, W, C), as the model takes them.
        maps: (B, h, w), the explanations with the trained weights.
        target: what is explained; None is the class that the trained model predicts, throughout.
        explain: `explain(model, images, target) -> maps`, the function that the maps came from. It is given the copy,
            so it must name layers by address.
        mode: "cascading" or "independent".
        seed: of the random weights.

    Raises:
        InputError: an unknown mode, a model without weights, maps that do not fit.
    """
    if mode not in get_args(Mode):
        raise InputError(f"There is no mode {mode!r}; there are {', '.join(get_args(Mode))}.")
    pixels = pixels_of(model, images)
    fixed = fixed_target(model, pixels, target)
    size = pixels.shape[1:3]
    before = _magnitudes(maps, len(pixels), size)
    steps = []
    with private(model) as own:
        for layer in _randomising(own, mode, seed):
            after = _magnitudes(explain(own, pixels, fixed), len(pixels), size)
            steps.append(Randomised(layer, ssim(before, after), spearman(before, after)))
    return tuple(steps)


def _magnitudes(maps: Any, count: int, size: tuple[int, int]) -> Array:
    """|map| at the images' resolution, over its largest value."""
    values = np.abs(np.asarray(maps, np.float32))
    values = values[np.newaxis] if values.ndim == 2 else values
    if values.ndim != 3 or len(values) != count:
        raise InputError(f"Maps of shape {np.shape(maps)} were given for {count} images; expected ({count}, h, w).")
    top = values.max(axis=(1, 2), keepdims=True)
    return image.resize(values / np.where(top == 0, 1, top), size)


def _randomising(own: Any, mode: Mode, seed: int) -> Iterator[str]:
    """Randomise layer by layer, yielding each one's address; independent layers are put back before the next."""
    groups = _weights_of_layers(own)
    if not groups:
        raise InputError(f"The model {own.name!r} has no weights that could be randomised.")
    for position, (address, weights) in enumerate(reversed(groups)):
        trained = [np.array(weight) for weight in weights]
        for number, (weight, values) in enumerate(zip(weights, trained, strict=True)):
            weight.assign(random_weight(values, np.random.default_rng([seed, position, number])))
        yield address
        if mode == "independent":
            for weight, values in zip(weights, trained, strict=True):
                weight.assign(values)


def random_weight(values: Array, draws: np.random.Generator) -> Array:
    """What stands in a trained weight's place: see `randomisation`."""
    if values.ndim < 2:
        return draws.permutation(values)
    size = np.sqrt(np.mean(np.square(values, dtype=np.float64)))
    return draws.normal(0, size, values.shape).astype(values.dtype)


def _weights_of_layers(model: Any) -> list[tuple[str, list[Any]]]:
    """The address of each layer that has weights of its own and those weights, in the order in which layers run."""
    seen: set[int] = set()
    groups = []
    for call in survey(model).calls:
        layer: Any = call.layer()
        floats = [w for w in layer.weights if "float" in str(w.dtype) and id(w) not in seen]
        seen.update(map(id, floats))
        if floats:
            groups.append((call.address, floats))
    return groups
