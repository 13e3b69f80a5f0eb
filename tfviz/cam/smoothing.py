"""Calmer methods out of methods: each function takes a method and gives one that is called the same way."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfviz.cam.together import Maps, cams
from tfviz.errors import InputError
from tfviz.target import Target, predictions
from tfviz.target._kinds import as_target

Array = npt.NDArray[Any]
Explain = Callable[..., Any]
# Axes of `(B, H, W, ...)`; each flip is its own inverse.
FLIPS = {"left-right": (2,), "up-down": (1,), "both": (1, 2)}


def flip_smoothed(method: Explain, *, flips: Sequence[str] = ("left-right",)) -> Explain:
    """A method whose map is the mean over the image and its flips, each flipped back: test-time augmentation.

    A flip moves every pixel to exactly one place, so nothing is interpolated; of a model that does not care about left
    and right the map is unchanged. Every copy is explained for the class that the unflipped image is taken for, and a
    mask of the target is flipped along.

    >>> halves = lambda model, images, target=None: np.asarray(images)[..., 0] * np.array([1.0, 0.0])
    >>> flip_smoothed(halves)(None, np.array([[[[2.0], [4.0]]]]), 0)
    array([[[1., 2.]]])

    Args:
        method: `f(model, images, target=None, **options)`, such as `tfviz.grad_cam`.
        flips: of "left-right", "up-down" and "both".

    Raises:
        InputError: an unknown flip.
    """
    unknown = [name for name in flips if name not in FLIPS]
    if unknown or not flips:
        raise InputError(f"flips={tuple(flips)} was given; expected some of {', '.join(map(repr, FLIPS))}.")

    @functools.wraps(method)
    def smoothed(model: Any, images: Any, target: Any = None, **options: Any) -> Any:
        fixed = _fixed(model, images, target)
        found = [method(model, images, fixed, **options)]
        for name in flips:
            flipped = keras.tree.map_structure(lambda image, name=name: _flip(image, name), _batched(model, images))
            answer = method(model, flipped, _flipped_target(fixed, name), **options)
            found.append(keras.tree.map_structure(lambda maps, name=name: _flip(maps, name), answer))
        return keras.tree.map_structure(lambda *maps: np.mean(maps, axis=0), *found)

    return smoothed


def _fixed(model: Any, images: Any, target: Any) -> Any:
    """The target with each image's own prediction in the place of None."""
    wanted = as_target(target)
    if len(wanted.classes) != 1 or wanted.classes[0] is not None:
        return target
    return dataclasses.replace(wanted, classes=(predictions(model, images, output=wanted.name),))


def _batched(model: Any, images: Any) -> Any:
    from tfviz.tap import prepare

    if not isinstance(model, keras.Model):
        return np.asarray(images)
    batch = prepare(model, images)
    return batch.answer(batch.arrays)


def _flip(values: Array, name: str) -> Array:
    """A flip of `(B, H, W, ...)`; what has no places stays as it is."""
    axes = FLIPS[name] if np.ndim(values) > 2 else ()
    return np.ascontiguousarray(np.flip(values, axes))


def _flipped_target(target: Any, name: str) -> Any:
    if not isinstance(target, Target) or target.mask is None:
        return target
    mask = target.mask if target.mask.ndim == 3 else target.mask[np.newaxis]
    flipped = _flip(mask, name)
    return dataclasses.replace(target, mask=flipped if target.mask.ndim == 3 else flipped[0])


def eigen_smoothed(name: str) -> Explain:
    """The method called `name` with the first principal component of its weighted channels in the place of their sum.

    What only single channels hold, and most of them contradict, is left out. HiResCAM smoothed so is EigenGrad-CAM.
    Source: the eigen smoothing of the pytorch-grad-cam collection (Muhammad and Yeasin 2020 for the component).

    Args:
        name: a method that weighs channels, such as "grad-cam".

    Returns:
        `f(model, images, target=None, *, layer=None, ...)`, called like the method itself.
    """

    def smoothed(model: Any, images: Any, target: Any = None, **options: Any) -> Maps:
        return cams(model, images, [name], target, channels="eigen", **options)[name]

    return smoothed
