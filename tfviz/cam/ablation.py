"""Ablation-CAM: switch each channel off in turn and look at how much the score drops."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.cam.weighing import Maps, Weighing, rectified, weighted_sum
from tfviz.stream import blocks, chunk_size
from tfviz.tap import Tap, execute, run, steady
from tfviz.target import Scorer

Array = npt.NDArray[Any]


def ablation_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Ablation-CAM: ReLU(sum_k w_k A^k), w_k = (y - y_k) / y, with y_k the score with channel k set to 0.

    Only what comes after the layer is run again, once for each channel. For a linear head after pooling w_k is the
    head's weight times mean(A^k) / y. The division by y only scales the map, but turns it around where y is negative
    (and a score of 0 gives an empty map): explain a class that the model believes in, or `target.probability`.
    Source: Desai and Ramaswamy 2020, section 3.

    Args:
        model: a built Keras model.
        images: `(B, H, W, C)`, or one image; several inputs as list or dict.
        target: what is explained; see `tfviz.target.plan`.
        layer: an address, an index into `model.layers`, a Layer, or None for the last with H x W > 1.
        batch_size: how many ablated copies go through at once; None chooses.

    Returns:
        Maps `(B, h, w)`, float32, at the layer's own resolution.

    Raises:
        InputError: a layer without places, a target that does not fit the model.
    """
    with steady(model):
        job = Weighing.of(model, images, target, layer, class_names)
        parts = []
        group = chunk_size(job.batch.arrays[0].shape[1:], batch_size)
        for start in range(0, len(job.batch), group):
            scores, activations = job.activations(start, start + group)
            ablated = _ablated_scores(job, start, activations, batch_size)
            parts.append(weighted_sum(activations, weights(scores, ablated)))
    return rectified("ablation-cam", parts)


def weights(scores: Array, ablated: Array) -> Array:
    """w_k = (y - y_k) / y, `(B, channels)`, of scores y `(B,)` and y_k `(B, channels)`; 0 for y = 0.

    >>> weights(np.array([4.0]), np.array([[3.0, 6.0]]))
    array([[ 0.25, -0.5 ]])
    """
    whole = scores[:, np.newaxis]
    return np.divide(whole - ablated, whole, out=np.zeros_like(ablated), where=whole != 0)


def _ablated_scores(job: Weighing, first: int, activations: Array, batch_size: int | None) -> Array:
    """The scores `(n, channels)` of images `first:` with each channel of the layer off."""
    count, channels = len(activations), activations.shape[-1]
    scores = np.zeros((count, channels), activations.dtype)
    body = partial(_tail, job.batch.structure, len(job.batch.arrays), job.plan.scorer(), job.tap)
    for block in blocks(count, channels, chunk_size(activations.shape[1:], batch_size)):
        rows = slice(block.start, block.stop)
        images = job.batch.part(first + block.start, first + block.stop)
        off = np.arange(block.first, block.last, dtype=np.int32)
        arguments = [*images, activations[rows], off, *job.plan.repeated(first + block.rows)]
        key = ("ablated", job.tap, job.plan.key)
        found = execute(job.model, key, body, arguments, rows=False, function=job.plan.function)
        scores[rows, block.first : block.last] = found.numpy().reshape(-1, len(off))
    return scores


def _tail(structure: Any, inputs: int, scorer: Scorer, tap: Tap, model: Any, *tensors: Any) -> Any:
    """The scores of each image with each of some channels off, `(images * channels,)`.

    The model is run on as many images as there are ablated activations, which stand in the place of the tapped tensor:
    TensorFlow leaves out whatever nothing hangs on any more, which is all before the tap but for what goes around it.
    """
    images, (activations, off), arguments = tensors[:inputs], tensors[inputs : inputs + 2], tensors[inputs + 2 :]
    count = tf.shape(off)[0]
    is_off = tf.equal(tf.range(activations.shape[-1]), off[:, tf.newaxis])[tf.newaxis, :, tf.newaxis, tf.newaxis]
    ablated = tf.where(is_off, tf.zeros([], activations.dtype), activations[:, tf.newaxis])
    flat = tf.reshape(ablated, tf.concat([[-1], tf.shape(activations)[1:]], 0))
    flat.set_shape([None, *activations.shape[1:]])
    copies = [tf.repeat(image, count, axis=0) for image in images]
    given = keras.tree.map_structure(lambda position: copies[position], structure)
    outcome = run(model, given, (tap,), instead=lambda tensor: tf.cast(flat, tensor.dtype), folded=True)
    return scorer(outcome.outputs, arguments)[0]
