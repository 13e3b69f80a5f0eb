"""How fast explanations are, beside hand-written floors: `python bench/explain.py [--models a b] [--rounds 40]`.

A floor is what the same sum costs at least: one plain compiled call, forward and backward only to the layer asked for,
nothing around it. Floor and ours alternate call by call in one process, so that load on the machine meets both alike;
the ratio is of the medians. Networks: a = 64 x 64 x 1, Conv8, pool, Conv16, pool, Conv32, GAP, Dense10, batch 32;
b = MobileNetV2 at 96 x 96, batch 8. Seeded weights, logits. SmoothGrad: 50 noisy copies of 8 images.
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from tfviz import cam, gradients, maps
from tfviz.errors import EmptyMapWarning

LIMIT = 1.1
SAMPLES, SAMPLED = 50, 8  # noisy copies of each image, and of how many images
layers = keras.layers


def small() -> tuple[Any, Any, str]:
    steps: list[Any] = [keras.Input((64, 64, 1))]
    for filters in (8, 16, 32):
        steps += [layers.Conv2D(filters, 3, activation="relu", name=f"conv{filters}"), layers.MaxPooling2D()]
    model = keras.Sequential([*steps[:-1], layers.GlobalAveragePooling2D(), layers.Dense(10)])
    return model, np.random.default_rng(0).uniform(size=(32, 64, 64, 1)).astype(np.float32), "conv32"


def mobilenet() -> tuple[Any, Any, str]:
    model = keras.applications.MobileNetV2((96, 96, 3), weights=None, classifier_activation=None)
    return model, np.random.default_rng(0).uniform(-1, 1, (8, 96, 96, 3)).astype(np.float32), "out_relu"


MODELS = {"a": small, "b": mobilenet}


def floors(model: Any, x: Any, layer: str) -> dict[str, Callable[[], Any]]:
    """Plain compiled calls on the model's own graph."""
    inner = model.get_layer(layer).output
    every = [node.output for node in model.layers if not isinstance(node, layers.InputLayer)]
    all_maps = keras.Model(model.inputs, every)
    head = keras.Model(model.inputs, [inner, model.outputs[0]])
    fixed = tf.constant(x)
    spec = [tf.TensorSpec([None, *x.shape[1:]]), tf.TensorSpec([None], tf.int32)]

    @tf.function(input_signature=spec[:1])
    def feature_maps(images):
        return all_maps(images, training=False)

    @tf.function(input_signature=spec)
    def grad_cam(images, k):
        activations, logits = head(images, training=False)
        score = tf.gather(logits, k, axis=1, batch_dims=1)
        weights = tf.reduce_mean(tf.gradients(score, activations)[0], axis=(1, 2))
        return tf.nn.relu(tf.einsum("bijk,bk->bij", activations, weights))

    @tf.function(input_signature=spec)
    def saliency(images, k):
        score = tf.gather(model(images, training=False), k, axis=1, batch_dims=1)
        return tf.reduce_max(tf.abs(tf.gradients(score, images)[0]), axis=-1)

    @tf.function(input_signature=spec)
    def noisy(images, k):
        copies = images + 0.15 * tf.random.normal(tf.shape(images))
        score = tf.gather(model(copies, training=False), k, axis=1, batch_dims=1)
        return tf.reduce_sum(tf.reshape(tf.gradients(score, copies)[0], [-1, SAMPLES, *x.shape[1:]]), axis=1)

    k = tf.constant(np.arange(len(x)) % 10, tf.int32)
    few = x[:SAMPLED]
    flat, classes = np.repeat(few, SAMPLES, axis=0), np.repeat(np.arange(len(few)) % 10, SAMPLES).astype(np.int32)
    step = max(1, 128 // SAMPLES) * SAMPLES
    parts = [(tf.constant(flat[i : i + step]), tf.constant(classes[i : i + step])) for i in range(0, len(flat), step)]
    return {
        "feature maps": lambda: [np.asarray(m) for m in feature_maps(fixed)],
        "Grad-CAM": lambda: grad_cam(fixed, k).numpy(),
        "gradient": lambda: saliency(fixed, k).numpy(),
        "SmoothGrad": lambda: np.concatenate([noisy(*part).numpy() for part in parts]).sum(-1) / SAMPLES,
    }


def ours(model: Any, x: Any, layer: str) -> dict[str, Callable[[], Any]]:
    k = np.arange(len(x)) % 10
    names = [node.name for node in model.layers if not isinstance(node, layers.InputLayer)]
    return {
        "feature maps": lambda: list(maps.feature_maps(model, x, names).values()),
        "Grad-CAM": lambda: cam.grad_cam(model, x, k, layer=layer),
        "gradient": lambda: gradients.saliency(model, x, k),
        "SmoothGrad": lambda: gradients.smoothgrad(model, x[:SAMPLED], k[:SAMPLED], samples=SAMPLES),
        "five CAMs": lambda: cam.cams(
            model, x, ["grad-cam", "grad-cam++", "hires-cam", "layer-cam", "xgrad-cam"], k, layer=layer
        ),
    }


def milliseconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def compare(name: str, rounds: int) -> bool:
    model, x, layer = MODELS[name]()
    for weight in model.trainable_weights:
        weight.assign(np.random.default_rng(1).normal(0, 0.1, weight.shape))
    start = time.perf_counter()
    model(x)
    own_first = time.perf_counter() - start
    low, high = floors(model, x, layer), ours(model, x, layer)
    good = True
    print(f"\n{name}: batch {len(x)} of {x.shape[1:]}, model's own first call {own_first:.2f} s")
    print(f"{'':14}{'floor ms':>10}{'ours ms':>10}{'ratio':>8}{'first call s':>14}")
    for item, run in high.items():
        first = milliseconds(run) / 1e3
        floor = low.get(item, low["Grad-CAM"])
        for _ in range(3):
            floor(), run()
        if item in low and item != "SmoothGrad":  # whose draws differ
            for a, b in zip(tf.nest.flatten(floor()), tf.nest.flatten(run()), strict=True):
                np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4 * np.abs(a).max())
        pairs = [(milliseconds(floor), milliseconds(run)) for _ in range(rounds)]
        base, mine = (median(column) for column in zip(*pairs, strict=True))
        ratio = mine / base
        good = good and ratio <= LIMIT
        print(
            f"{item:14}{base:10.2f}{mine:10.2f}{ratio:8.2f}{first:14.2f}{'' if ratio <= LIMIT else '  above the limit'}"
        )
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMapWarning)  # random weights leave many maps empty
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; limit {LIMIT}")
    results = [compare(name, options.rounds) for name in options.models]
    raise SystemExit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
