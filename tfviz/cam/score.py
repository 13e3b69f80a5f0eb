"""Score-CAM and its kin: each channel is weighed by the score of the image seen through it."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.cam.weighing import Maps, Weighing, rectified, weighted_sum
from tfviz.errors import InputError
from tfviz.passes import Scored, warn_of_probabilities
from tfviz.stream import blocks, chunk_size
from tfviz.tap import Tap, execute, steady, survey
from tfviz.tap.derivative import as_answer

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Variants:
    """Each channel's mask M is looked through as `factors[i] * M + n_i`, for each variant i.

    n_i is normal with standard deviation `noise`, drawn for the variant alone.
    """

    factors: Array
    noise: float = 0.0
    seed: int = 0

    def draws(self, variants: Array, size: Sequence[int]) -> npt.NDArray[np.float32]:
        """n_i of each of these variants, `(len(variants), H, W)`."""
        every, where = np.unique(variants, return_inverse=True)
        normal = [np.random.default_rng([self.seed, i]).standard_normal(size, np.float32) for i in every]
        return (np.stack(normal) * np.float32(self.noise))[where]


def score_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    top: int | None = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Score-CAM: ReLU(sum_k w_k A^k), w = softmax over the channels of y(x M_k).

    M_k is channel k enlarged to the image (half-pixel bilinear) and then scaled to 0..1, 0 for a channel that is the
    same everywhere. y is the score of the target, by default the logit: a softmax over the classes before the one over
    the channels, which some programs take, would give a one-unit head equal weights; ask for it by
    `target.probability(k)`. The paper's baseline y(0) is common to all channels and falls out of their softmax.
    Source: Wang et al. 2020, section 3 and algorithm 1.

    Args:
        model: a built Keras model of one input.
        images: `(B, H, W, C)`, or one image.
        target: what is explained; see `tfviz.target.plan`.
        layer: an address, an index into `model.layers`, a Layer, or None for the last with H x W > 1.
        top: look through the so many channels of the largest variance alone, the others weigh 0 (known as Faster
            Score-CAM); None looks through all.
        batch_size: how many masked images go through at once; None chooses.

    Returns:
        Maps `(B, h, w)`, float32, at the layer's own resolution.

    Raises:
        InputError: a layer without places, several inputs, `top` below 1, a target that does not fit the model.
    """
    variants = Variants(np.ones(1))
    return _through_channels("score-cam", model, images, target, layer, top, class_names, batch_size, variants)


def ss_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    top: int | None = None,
    samples: int = 35,
    noise: float = 2.0,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """SS-CAM: Score-CAM with the scores smoothed: w = softmax of the mean over i of y(x (M_k + n_i)).

    n_i is normal with standard deviation `noise` at each pixel; all channels and images are looked at through the same
    `samples` draws, so that only the channels differ. Without noise it is Score-CAM. Source: Wang et al. 2020b, SS-CAM,
    the variant that adds the noise to the maps. Arguments, answer and errors as `score_cam`.
    """
    if samples < 1 or not 0 <= noise < np.inf:
        raise InputError(f"samples={samples} and noise={noise} were given; at least 1 and at least 0 are expected.")
    variants = Variants(np.ones(samples), noise, seed)
    return _through_channels("ss-cam", model, images, target, layer, top, class_names, batch_size, variants)


def is_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    top: int | None = None,
    steps: int = 10,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """IS-CAM: Score-CAM with the scores integrated: w = softmax of the mean over i = 1..N of y(x M_k i / N).

    The masks fade in from nothing to M_k in N = `steps` equal steps; programs that add the steps' masks up leave 0..1
    and look through brightened images. With one step it is Score-CAM. Source: Naidu et al. 2020. Arguments, answer and
    errors as `score_cam`.
    """
    if steps < 1:
        raise InputError(f"steps={steps} was given; at least 1 is expected.")
    variants = Variants(np.arange(1, steps + 1) / steps)
    return _through_channels("is-cam", model, images, target, layer, top, class_names, batch_size, variants)


def _through_channels(
    name: str,
    model: Any,
    images: Any,
    target: Any,
    layer: Any,
    top: int | None,
    class_names: Sequence[str] | None,
    batch_size: int | None,
    variants: Variants,
) -> Maps:
    if top is not None and top < 1:
        raise InputError(f"top={top} was given; at least 1 channel is expected.")
    with steady(model):
        job = Weighing.of(model, images, target, layer, class_names)
        shapes = [array.shape for array in job.batch.arrays]
        if len(shapes) > 1 or len(shapes[0]) != 4:
            raise InputError(f"{name} masks one image (B, H, W, C); this model's inputs are {shapes}.")
        size = chunk_size(shapes[0][1:], batch_size)
        look = _Look(job, variants)
        parts = []
        for start in range(0, len(job.batch), size):
            activations = look.at_images(start, min(start + size, len(job.batch)))
            channels = np.take_along_axis(activations, _largest_variance(activations, top), axis=3)
            parts.append(weighted_sum(channels, softmax(look.through(channels, start, size))))
    return rectified(name, parts)


def _largest_variance(activations: Array, top: int | None) -> Array:
    """The channels to look through, `(n, 1, 1, channels)`, in their own order."""
    channels = activations.shape[-1]
    if top is None or top >= channels:
        return np.broadcast_to(np.arange(channels), (len(activations), 1, 1, channels))
    variance = activations.var(axis=(1, 2), dtype=np.float64)
    chosen = np.argsort(-variance, axis=1, kind="stable")[:, :top]
    return np.sort(chosen, axis=1)[:, np.newaxis, np.newaxis]


def softmax(scores: Array) -> Array:
    """exp(s_k) / sum exp(s) over the last axis.

    >>> softmax(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


class _Look:
    """Looks at images as they are and through masks by one compiled body: to compile takes longer than most looks."""

    def __init__(self, job: Weighing, variants: Variants) -> None:
        self._job, self._variants, self._noisy = job, variants, variants.noise > 0
        self._key = ("through masks", job.tap, self._noisy, job.plan.key)
        self._body = partial(_seen, Scored(job.batch, job.plan), job.tap, self._noisy)

    def at_images(self, start: int, stop: int) -> Array:
        """The layer's activations `(n, h, w, channels)` of images `start:stop` as they are."""
        call = survey(self._job.model).by_path[self._job.tap.path][self._job.tap.call]
        sides, dtype = (side or 1 for side in call.shapes[0][1:3]), np.promote_types(call.dtype, np.float32)
        nothing = np.zeros((stop - start, *sides), dtype)
        _, activations, doubtful = self._run(start, stop, nothing, None, light=1.0)
        warn_of_probabilities(bool(np.asarray(doubtful).any()))
        return np.asarray(activations)

    def through(self, channels: Array, first: int, size: int) -> npt.NDArray[np.float64]:
        """The scores `(n, channels)` of the images `first:` through each channel, the mean over the variants."""
        count, width, factors = len(channels), channels.shape[-1], self._variants.factors
        maps = np.ascontiguousarray(np.moveaxis(channels, 3, 1))
        totals = np.zeros((count, width))
        for block in blocks(count, width * len(factors), size):
            rows = slice(block.start, block.stop)
            variant, channel = np.divmod(np.arange(block.first, block.last), width)
            some = maps[rows, channel].reshape(-1, *maps.shape[2:])
            found, *_ = self._run(first + block.start, first + block.stop, some, variant)
            np.add.at(totals, (np.arange(count)[rows, np.newaxis], channel), found.numpy().reshape(-1, len(channel)))
        return totals / len(factors)

    def _run(self, start: int, stop: int, maps: Array, variants: Array | None, *, light: float = 0.0) -> Any:
        """Images `start:stop` each through these variants of its masks, or through `light` alone."""
        job = self._job
        factors = np.zeros(1) if variants is None else self._variants.factors[variants]
        arguments = [job.batch.part(start, stop)[0], maps, factors.astype(np.float32), np.asarray(light, np.float32)]
        if self._noisy:
            size = arguments[0].shape[1:3]
            noise = np.zeros((1, *size), np.float32) if variants is None else self._variants.draws(variants, size)
            arguments.append(noise)
        arguments += job.plan.repeated(np.repeat(np.arange(start, stop), len(factors)))
        return execute(job.model, self._key, self._body, arguments, rows=False, function=job.plan.function)


def _seen(scored: Scored, tap: Tap, noisy: bool, model: Any, *tensors: Any) -> tuple[Any, Any, Any]:
    """The scores of images through masks, the tapped layer's activations, and whether a probability was explained."""
    x, maps, factors, light, *rest = tensors
    noise, arguments = (rest[0], rest[1:]) if noisy else (None, rest)
    real = tf.float64 if x.dtype == tf.float64 else tf.float32
    masks = tf.reshape(_enlarged(maps, tf.shape(x)[1:3]), tf.concat([tf.shape(x)[:1], [-1], tf.shape(x)[1:3]], 0))
    masks = masks * factors[:, tf.newaxis, tf.newaxis] + light
    if noise is not None:
        masks += noise
    seen = tf.cast(x, real)[:, tf.newaxis] * tf.cast(masks, real)[..., tf.newaxis]
    flat = tf.reshape(seen, tf.concat([[-1], tf.shape(x)[1:]], 0))
    flat.set_shape([None, *x.shape[1:]])
    score, (activations,), doubtful = scored(model, [tf.cast(flat, x.dtype)], arguments, (tap,), None)
    return score, as_answer(activations), doubtful


def _enlarged(maps: Any, size: Any) -> Any:
    """Maps `(n, h, w)` resized by half-pixel bilinear interpolation and each scaled to 0..1."""
    large = tf.image.resize(maps[..., tf.newaxis], size)[..., 0]
    low = tf.reduce_min(large, axis=(1, 2), keepdims=True)
    return tf.math.divide_no_nan(large - low, tf.reduce_max(large, axis=(1, 2), keepdims=True) - low)
