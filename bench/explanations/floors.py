"""What the same sums cost at least: plain compiled calls on the model's own graph, written by hand.

Forward, and backward only to the layer asked for; samples in chunks; nothing checked, nothing general.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from explanations.nets import Net
from tfviz.cam import members

SAMPLES, MASKS, STEPS = 50, 1000, 200
NOISE, PATCH = 0.15, 8
Items = dict[str, Callable[[], Any]]


def items(net: Net) -> Items:
    model, x, k = net.model, tf.constant(net.images), tf.constant(net.classes, tf.int32)
    gradient = _gradient(model, x)
    alone = {"gradient": lambda: np.asarray(gradient(x, k)), "maximisation x 200": _maximisation(net)}
    return _layers(net, x, k) | alone | _samples(net) | _masks(net)


def chunk(net: Net) -> int:
    """How many images a chunk has: about half a million pixels, the knee on all three networks."""
    return int(np.clip(2**19 // np.prod(net.images.shape[1:3]), 8, 128))


def _picked(logits: Any, k: Any) -> Any:
    return tf.gather(logits, k, axis=1, batch_dims=1)


def _specs(x: Any) -> list[Any]:
    return [tf.TensorSpec([None, *x.shape[1:]]), tf.TensorSpec([None], tf.int32)]


def _layers(net: Net, x: Any, k: Any) -> Items:
    model = net.model
    inner = model.get_layer(net.layer).output
    all_maps = keras.Model(model.inputs, [model.get_layer(name).output for name in net.convolutions])
    head = keras.Model(model.inputs, [inner, model.outputs[0]])

    @tf.function(input_signature=_specs(x)[:1])
    def feature_maps(images):
        return all_maps(images, training=False)

    @tf.function(input_signature=_specs(x))
    def grad_cam(images, k):
        activations, logits = head(images, training=False)
        weights = tf.reduce_mean(tf.gradients(_picked(logits, k), activations)[0], axis=(1, 2))
        return tf.nn.relu(tf.einsum("bijk,bk->bij", activations, weights))

    @tf.function(input_signature=_specs(x))
    def five_cams(images, k):
        """Five for the price of one pass; their own arithmetic is no matter of speed, and tfviz's."""
        a, logits = head(images, training=False)
        score = _picked(logits, k)
        (g,) = tf.gradients(score, a)
        plain = (members.grad_cam, members.hires_cam, members.layer_cam, members.xgrad_cam)
        signed = [member(a, g) for member in plain] + [members.grad_cam_plus_plus(a, g, score)]
        return [tf.nn.relu(signed[i]) for i in (0, 4, 1, 2, 3)]

    return {
        "feature maps": lambda: [np.asarray(part) for part in feature_maps(x)],
        "Grad-CAM": lambda: np.asarray(grad_cam(x, k)),
        "five CAMs": lambda: [np.asarray(part) for part in five_cams(x, k)],
    }


def _gradient(model: Any, x: Any) -> Any:
    @tf.function(input_signature=_specs(x))
    def saliency(images, k):
        return tf.reduce_max(tf.abs(tf.gradients(_picked(model(images, training=False), k), images)[0]), axis=-1)

    return saliency


def _samples(net: Net) -> Items:
    """SmoothGrad and Integrated Gradients: whole images' samples in one chunk, or one image's in several."""
    model, shape = net.model, net.images.shape[1:]
    span = 2.0 * NOISE  # the images are drawn from -1 to 1

    def gradients(copies, k, images):
        """(images, samples, H, W, C)."""
        copies = tf.reshape(copies, [-1, *shape])
        score = _picked(model(copies, training=False), k)
        return tf.reshape(tf.gradients(score, copies)[0], [images, -1, *shape])

    @tf.function(input_signature=[tf.TensorSpec([None, 1, *shape]), tf.TensorSpec([None], tf.int32)])
    def noisy(images, k):
        count = tf.shape(images)[0]
        noise = tf.random.normal([count, tf.shape(k)[0] // count, *shape])
        return tf.reduce_sum(gradients(images + span * noise, k, count), axis=(1, -1))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 1, *shape]),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None, 1, 1, 1]),
            tf.TensorSpec([None]),
        ]
    )
    def path(images, k, places, weights):
        each = gradients(images * places, k, tf.shape(images)[0])
        return tf.reduce_sum(images[:, 0] * tf.einsum("bs...,s->b...", each, weights), axis=-1)

    # Gauss and Legendre's places and weights, the rule that tfviz takes by default.
    places, weights = np.polynomial.legendre.leggauss(SAMPLES)
    places, weights = ((places + 1) / 2).astype(np.float32).reshape(-1, 1, 1, 1), (weights / 2).astype(np.float32)
    count = net.sampled
    at_once, part = max(1, chunk(net) // SAMPLES), min(chunk(net), SAMPLES)
    # Each chunk: which images, which samples.
    cuts = [
        (slice(i, i + at_once), slice(j, j + part)) for i in range(0, count, at_once) for j in range(0, SAMPLES, part)
    ]
    images, classes = net.few[:, np.newaxis], net.classes[:count].astype(np.int32)

    def run(of: Callable[[Any, Any, slice], Any]) -> Any:
        total = np.zeros((count, *shape[:2]), np.float32)
        for rows, some in cuts:
            k = np.repeat(classes[rows], len(range(SAMPLES)[some]))
            total[rows] += np.asarray(of(images[rows], k, some))
        return total

    def smoothgrad() -> Any:
        return run(lambda x, k, _: noisy(x, k)) / SAMPLES

    def integrated() -> Any:
        return run(lambda x, k, some: path(x, k, places[some], weights[some]))

    return {"SmoothGrad x 50": smoothgrad, "Integrated Gradients x 50": integrated}


def _masks(net: Net) -> Items:
    """Score-CAM, occlusion and RISE: forward passes of images seen through masks."""
    model, x, shape = net.model, tf.constant(net.few), net.images.shape[1:]
    k = tf.constant(net.classes[: net.sampled], tf.int32)
    last = keras.Model(model.inputs, model.get_layer(net.layer).output)
    height, width = shape[:2]
    size = chunk(net)

    def scores(masks, rows):
        seen = tf.gather(x, rows) * masks[..., tf.newaxis]
        return _picked(model(seen, training=False), tf.gather(k, rows))

    @tf.function(input_signature=_specs(x)[:1])
    def activations(images):
        return tf.transpose(last(images, training=False), [0, 3, 1, 2])

    @tf.function(input_signature=[tf.TensorSpec([None, *last.output.shape[1:3]]), tf.TensorSpec([None], tf.int32)])
    def through(maps, rows):
        large = tf.image.resize(maps[..., tf.newaxis], (height, width))[..., 0]
        low = tf.reduce_min(large, axis=(1, 2), keepdims=True)
        return scores(tf.math.divide_no_nan(large - low, tf.reduce_max(large, (1, 2), keepdims=True) - low), rows)

    @tf.function(input_signature=[tf.TensorSpec([None, height, width]), tf.TensorSpec([None], tf.int32)])
    def masked(masks, rows):
        return scores(masks, rows)

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int32)])
    def rise_part(row, count):
        cells = tf.cast(tf.random.uniform([count, 7, 7, 1]) < 0.5, tf.float32)
        cell = -(-height // 7)
        large = tf.image.resize(cells, (8 * cell, 8 * cell))[..., 0]
        masks = tf.image.random_crop(large, [count, height, width])
        return tf.einsum("s,shw->hw", scores(masks, tf.fill([count], row)), masks)

    @tf.function(input_signature=_specs(x))
    def whole(images, k):
        return _picked(model(images, training=False), k)

    def score_cam() -> Any:
        maps = np.asarray(activations(x))
        count, channels = maps.shape[:2]
        flat, rows = maps.reshape(-1, *maps.shape[2:]), np.repeat(np.arange(count, dtype=np.int32), channels)
        found = [np.asarray(through(flat[i : i + size], rows[i : i + size])) for i in range(0, len(flat), size)]
        weights = np.asarray(tf.nn.softmax(np.concatenate(found).reshape(count, channels)))
        return np.maximum(np.einsum("bkij,bk->bij", maps, weights), 0)

    @cache  # made when first used: on large images they would count as the floor's memory
    def covers() -> tuple[Any, Any, Any]:
        side = height // PATCH
        patches = np.kron(np.eye(side**2).reshape(-1, side, side), np.ones((PATCH, PATCH))).astype(np.float32)
        owners = np.repeat(np.arange(net.sampled, dtype=np.int32), len(patches))
        return patches, np.tile(1 - patches, (net.sampled, 1, 1)), owners

    def occlusion() -> Any:
        patches, kept, owners = covers()
        cuts = range(0, len(kept), size)
        found = np.concatenate([np.asarray(masked(kept[i : i + size], owners[i : i + size])) for i in cuts])
        drops = np.asarray(whole(x, k))[:, np.newaxis] - found.reshape(net.sampled, -1)
        return np.einsum("bs,shw->bhw", drops, patches)

    def rise() -> Any:
        parts = [min(size, MASKS - i) for i in range(0, MASKS, size)]
        sums = [sum(np.asarray(rise_part(row, part)) for part in parts) for row in range(net.sampled)]
        return np.stack(sums) / (0.5 * MASKS)

    return {"Score-CAM": score_cam, "occlusion, 64 patches": occlusion, "RISE x 1000": rise}


def _maximisation(net: Net) -> Callable[[], Any]:
    """Adam (Kingma and Ba 2015) on the pixels behind a sigmoid, its step along half a cosine, in one loop."""
    model, shape = net.model, net.images.shape[1:]
    start = (0.01 * np.random.default_rng([0, 0]).standard_normal(shape)).astype(np.float32)[np.newaxis]

    @tf.function(input_signature=[tf.TensorSpec([1, *shape]), tf.TensorSpec([1], tf.int32)])
    def climb(z, k):
        def step(number, z, mean, square):
            g = tf.gradients(_picked(model(tf.sigmoid(z), training=False), k), z)[0]
            t = tf.cast(number, tf.float32)
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
            rate = 0.05 * (0.5 + 0.5 * tf.cos(np.pi * t / STEPS))
            along = mean / (1 - 0.9 ** (t + 1)) / (tf.sqrt(square / (1 - 0.999 ** (t + 1))) + 1e-8)
            return number + 1, z + rate * along, mean, square

        state = (tf.constant(0), z, tf.zeros_like(z), tf.zeros_like(z))
        return tf.sigmoid(tf.while_loop(lambda n, *_: n < STEPS, step, state, parallel_iterations=1)[1])

    return lambda: np.asarray(climb(start, np.array([2], np.int32)))
