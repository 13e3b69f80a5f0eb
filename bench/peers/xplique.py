"""Xplique 2.0.2 (MIT)."""

from typing import Any

import numpy as np
import tensorflow as tf
from explanations.floors import MASKS, NOISE, PATCH, SAMPLES, STEPS, Items, chunk
from explanations.nets import Net
from xplique.attributions import GradCAM, IntegratedGradients, Occlusion, Rise, Saliency, SmoothGrad
from xplique.features_visualizations import Objective, optimize


def items(net: Net) -> Items:
    model, x, few = net.model, net.images, net.few
    targets = np.eye(model.output_shape[-1], dtype=np.float32)[net.classes]
    some, size = targets[: net.sampled], chunk(net)
    noise = 2.0 * NOISE  # theirs is the deviation itself, of images from -1 to 1
    explainers: dict[str, Any] = {
        "SmoothGrad x 50": SmoothGrad(model, nb_samples=SAMPLES, noise=noise, batch_size=size),
        "Integrated Gradients x 50": IntegratedGradients(model, steps=SAMPLES, batch_size=size),
        "occlusion, 64 patches": Occlusion(model, patch_size=PATCH, patch_stride=PATCH, batch_size=size),
        "RISE x 1000": Rise(model, nb_samples=MASKS, batch_size=size),
    }
    grad_cam, saliency = GradCAM(model, conv_layer=net.layer), Saliency(model)
    objective = Objective.neuron(model, len(model.layers) - 1, 2)
    rows = {name: (lambda run=run: run(few, some).numpy()) for name, run in explainers.items()}
    return rows | {
        "Grad-CAM": lambda: grad_cam(x, targets).numpy(),
        "gradient": lambda: saliency(x, targets).numpy(),
        "maximisation x 200": lambda: optimize(
            objective, nb_steps=STEPS, use_fft=False, transformations=None, custom_shape=None
        )[0][0].numpy(),
    }


def answers(net: Net) -> Items:
    model, x, few = net.model, net.images, net.few
    targets = np.eye(model.output_shape[-1], dtype=np.float32)[net.classes]
    some = targets[: net.sampled]

    def grad_cam() -> Any:
        """Theirs ends in a bicubic resize, which cannot be undone; so its own steps before it."""
        explainer = GradCAM(model, conv_layer=net.layer)
        maps, gradients = explainer._gradient(tf.constant(x), tf.constant(targets))
        return explainer._apply_weights(explainer._compute_weights(gradients, maps), maps).numpy()

    def summed(explainer: Any) -> Any:
        return explainer(few, some).numpy()[..., 0]

    return {
        "Grad-CAM": grad_cam,
        "gradient": lambda: Saliency(model)(x, targets).numpy()[..., 0],
        "SmoothGrad without noise": lambda: summed(SmoothGrad(model, nb_samples=5, noise=0.0, reducer="sum")),
        "Integrated Gradients x 50": lambda: summed(IntegratedGradients(model, steps=SAMPLES, reducer="sum")),
        "occlusion, 64 patches": lambda: summed(Occlusion(model, patch_size=PATCH, patch_stride=PATCH)),
    }
