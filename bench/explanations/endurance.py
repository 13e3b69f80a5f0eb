"""Loops that would show a leak: 10,000 calls, and models made and dropped, with tfviz and without."""

import gc
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from explanations.nets import images, seeded


def _tiny(seed: int) -> Any:
    """A fresh model, small, so that what is kept of each shows beside the process."""
    steps = [
        keras.Input((16, 16, 1)),
        keras.layers.Conv2D(8, 3, activation="relu", name="last"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(4),
    ]
    return seeded(keras.Sequential(steps), seed)


def _explainer(with_tfviz: bool, model: Any, x: Any) -> Any:
    if with_tfviz:
        import tfviz

        return lambda k: tfviz.grad_cam(model, x, k, layer="last")
    compiled = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec(x.shape)])
    return lambda _: compiled(x).numpy()


def calls(with_tfviz: bool, times: int) -> dict[str, float]:
    """The growth in MB of a loop of calls on one model."""
    from explanations.contestant import megabytes

    x = images(4, 16, 1)
    explain = _explainer(with_tfviz, _tiny(0), x)
    for number in range(times // 5):  # allocators settle
        explain(number % 4)
    gc.collect()
    before = megabytes()
    for number in range(times):
        explain(number % 4)
    gc.collect()
    return {"megabytes": megabytes() - before}


def models(with_tfviz: bool, times: int) -> dict[str, float]:
    """The growth in MB of a loop that makes a model, calls it once and drops it."""
    from explanations.contestant import megabytes

    x = images(4, 16, 1)
    before = 0.0
    for number in range(times + times // 5):
        if number == times // 5:
            gc.collect()
            before = megabytes()
        explain = _explainer(with_tfviz, _tiny(number), x)
        explain(0)
        del explain
        if number % 10 == 0:
            keras.backend.clear_session()
            gc.collect()
    gc.collect()
    return {"megabytes": megabytes() - before}


def retraces(with_tfviz: bool, times: int) -> dict[str, float]:  # noqa: ARG001 (all tests are called alike)
    """How many compilations a new class, a last partial batch and new weights bring, after each method's first call."""
    import tfviz
    from tfviz.cam.score import score_cam
    from tfviz.perturb import occlusion, rise
    from tfviz.tap import program

    model, x = _tiny(0), images(40, 16, 1)
    every: dict[str, Any] = {
        "feature maps": lambda x, _: tfviz.feature_maps(model, x),
        "Grad-CAM": lambda x, k: tfviz.grad_cam(model, x, k),
        "gradient": lambda x, k: tfviz.saliency(model, x, k),
        "SmoothGrad": lambda x, k: tfviz.smoothgrad(model, x, k, samples=7, batch_size=16),
        "Integrated Gradients": lambda x, k: tfviz.integrated_gradients(model, x, k, steps=7, batch_size=16),
        "Score-CAM": lambda x, k: score_cam(model, x, k, batch_size=16),
        "occlusion": lambda x, k: occlusion(model, x, k, patch=4, batch_size=16),
        "RISE": lambda x, k: rise(model, x, k, samples=20, batch_size=16),
    }
    found = {}
    for name, run in every.items():
        run(x[:8], 0)
        before = program.traces()
        run(x[:8], 3)
        run(x[:5], np.arange(5) % 4)
        for weight in model.trainable_weights:
            weight.assign(weight * 1.5)
        run(x[:33], 1)
        found[name] = float(program.traces() - before)
    return found


TESTS = {"calls": calls, "models": models, "retraces": retraces}
