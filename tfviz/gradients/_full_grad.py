"""FullGrad: what the pixels and what the network's own biases say for a score; together they are all of it."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.emptiness import warn_of_silence
from tfviz.errors import InputError
from tfviz.input_gradient import check_real
from tfviz.passes import Scored, in_parts
from tfviz.tap import Call, Tap, prepare, steady, survey
from tfviz.tap.derivative import as_answer, derivative
from tfviz.target import plan


def full_grad(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """FullGrad: psi(x * dy/dx) + the sum over layers with maps of psi(b * dy/db), place by place; `(B, H, W)`.

    psi takes the size, scales it to 0..1 over an image's layer, adds the channels up and enlarges (bilinear,
    half-pixel) to the image, as the authors' program does. What it adds up is complete: see `full_grad_residual`.

    Source: Srinivas and Fleuret 2019, sections 3 and 5.

    Raises:
        InputError: several inputs, or an input that is no image.
    """
    maps = _run(model, images, target, _map, "full-grad", class_names, batch_size)
    warn_of_silence("full-grad", [maps])
    return maps


def full_grad_residual(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """How far FullGrad's terms are from complete: sum x * dy/dx + sum b * dy/db - y, `(B,)`.

    0 but for rounding where every layer is a convolution, Dense, batch normalisation (whose bias is beta - mean * gamma
    / deviation), pooling, or any activation (a curved one has the bias s(z) - s'(z) z, at each place its own). Layers
    that are neither (attention, layer normalisation, a product of two branches) show here.

    Source: Srinivas and Fleuret 2019, proposition 1 and section 3.1.
    """
    return _run(model, images, target, _residual, "full-grad-residual", class_names, batch_size)


@dataclasses.dataclass(frozen=True)
class _Source:
    """One layer's call that adds a bias: where it is added, or the two ends of a curved activation."""

    tap: Tap
    kind: str
    layer: Callable[[], Any]


def _run(
    model: Any,
    images: Any,
    target: Any,
    answer: Callable[..., Any],
    key: str,
    class_names: Sequence[str] | None,
    batch_size: int | None,
) -> npt.NDArray[np.float32]:
    with steady(model):
        batch = prepare(model, images)
        check_real(batch)
        if len(batch.arrays) > 1 or batch.arrays[0].ndim != 4:
            shapes = ", ".join(str(array.shape) for array in batch.arrays)
            raise InputError(f"FullGrad explains one input (B, H, W, C); this model's inputs are {shapes}.")
        wanted = plan(model, target, len(batch), class_names=class_names)
        sources = tuple(source for call in survey(model).calls for source in _sources(call))
        body = partial(_body, Scored(batch, wanted), sources, answer)
        return in_parts(model, key, body, batch, wanted, batch_size=batch_size)[0]


def _sources(call: Call) -> list[_Source]:
    layer: Any = call.layer()
    found = []
    if isinstance(layer, keras.layers.BatchNormalization):
        found.append(_Source(call.tap, "norm", call.layer))
    elif isinstance(getattr(layer, "bias", None), keras.Variable):
        before = callable(vars(layer).get("activation"))
        found.append(_Source(dataclasses.replace(call.tap, pre=before), "bias", call.layer))
    if _curved(layer):
        found.append(_Source(call.tap, "curve", call.layer))
    return found


def _curved(layer: Any) -> bool:
    """Whether a layer ends in an activation that does not scale with what goes in."""
    if isinstance(layer, keras.layers.ReLU):
        return layer.max_value is not None or bool(layer.threshold)
    if isinstance(layer, (keras.layers.ELU, keras.layers.Softmax)):
        return True
    activation = vars(layer).get("activation")
    return callable(activation) and getattr(activation, "__name__", "") not in ("linear", "relu", "leaky_relu")


def _taps(sources: Sequence[_Source]) -> dict[Tap, int]:
    taps: dict[Tap, int] = {}
    for source in sources:
        taps.setdefault(source.tap, len(taps))
        if source.kind == "curve":
            taps.setdefault(dataclasses.replace(source.tap, pre=True), len(taps))
    return taps


def _body(
    scored: Scored, sources: Sequence[_Source], answer: Callable[..., Any], model: Any, *tensors: Any
) -> tuple[Any, list[Any]]:
    image, arguments = tensors[0], tensors[1:]
    taps = _taps(sources)
    with derivative() as d:
        d.watch(image)
        score, tapped, doubtful = scored(model, [image], arguments, tuple(taps), d)
    slope, *slopes = d.of(score, [image, *tapped])

    def moved(tap: Tap) -> Any:
        return as_answer(tapped[taps[tap]]) * slopes[taps[tap]]

    terms = []
    for source in sources:
        if source.kind == "curve":
            after, before = moved(source.tap), moved(dataclasses.replace(source.tap, pre=True))
            # A logit is taken from before the softmax or sigmoid, past which nothing flows back then.
            passed = tf.reduce_any(slopes[taps[source.tap]] != 0, axis=list(range(1, len(after.shape))), keepdims=True)
            terms.append(tf.where(passed, after - before, tf.zeros_like(after)))
        else:
            terms.append(_bias(source, slopes[taps[source.tap]]))
    return doubtful, [answer(as_answer(image) * slope, terms, score)]


def _bias(source: _Source, slopes: Any) -> Any:
    """b * dy/db at each place where b is added."""
    layer = source.layer()
    if source.kind == "bias":
        return slopes * tf.cast(layer.bias, slopes.dtype)
    center = layer.beta if layer.center else 0.0
    scale = tf.math.rsqrt(tf.cast(layer.moving_variance, slopes.dtype) + layer.epsilon)
    if layer.scale:
        scale *= tf.cast(layer.gamma, slopes.dtype)
    bias = tf.cast(center, slopes.dtype) - tf.cast(layer.moving_mean, slopes.dtype) * scale
    shape = [1] * len(slopes.shape)
    shape[layer.axis] = -1
    return slopes * tf.reshape(bias, shape)


def _map(pixels: Any, terms: Sequence[Any], score: Any) -> Any:  # noqa: ARG001 - called as `_residual` is
    size = tf.shape(pixels)[1:3]
    layers = [pixels, *(term for term in terms if len(term.shape) == 4)]
    return tf.cast(tf.add_n([_psi(term, size) for term in layers]), tf.float32)


def _psi(term: Any, size: Any) -> Any:
    strength = tf.abs(term)
    strength -= tf.reduce_min(strength, axis=(1, 2, 3), keepdims=True)
    strength = tf.math.divide_no_nan(strength, tf.reduce_max(strength, axis=(1, 2, 3), keepdims=True))
    return tf.image.resize(tf.reduce_sum(strength, axis=-1, keepdims=True), size)[..., 0]


def _residual(pixels: Any, terms: Sequence[Any], score: Any) -> Any:
    parts = [tf.cast(term, tf.float64) for term in (pixels, *terms)]
    whole = tf.add_n([tf.reduce_sum(part, axis=tf.range(1, tf.rank(part))) for part in parts])
    return tf.cast(whole - tf.cast(score, tf.float64), tf.float32)
