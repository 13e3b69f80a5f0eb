"""The rows of the table by tfviz's public functions, as a user calls them, on the tensors that the floors get too."""

import warnings
from typing import Any

import tensorflow as tf

import tfviz
from explanations.floors import MASKS, NOISE, PATCH, SAMPLES, STEPS, Items
from explanations.nets import Net
from tfviz.cam.score import score_cam
from tfviz.errors import EmptyMapWarning

FIVE = ["grad-cam", "grad-cam++", "hires-cam", "layer-cam", "xgrad-cam"]


def items(net: Net) -> Items:
    from tfviz import objective, parametrisation
    from tfviz._maximize import maximize
    from tfviz.perturb import occlusion, rise

    warnings.simplefilter("ignore", EmptyMapWarning)  # seeded weights leave many maps empty
    model, x, k, layer = net.model, tf.constant(net.images), net.classes, net.layer
    few, some = net.few, k[: net.sampled]
    bare: dict[str, Any] = {"parametrisation": parametrisation.pixels(), "transforms": (), "smoothness": 0.0}
    return {
        "feature maps": lambda: list(tfviz.feature_maps(model, x, net.convolutions).values()),
        "Grad-CAM": lambda: tfviz.grad_cam(model, x, k, layer=layer),
        "five CAMs": lambda: list(tfviz.cams(model, x, FIVE, k, layer=layer).values()),
        "gradient": lambda: tfviz.saliency(model, x, k),
        "SmoothGrad x 50": lambda: tfviz.smoothgrad(model, few, some, samples=SAMPLES, noise=NOISE),
        "Integrated Gradients x 50": lambda: tfviz.integrated_gradients(model, few, some, steps=SAMPLES),
        "Integrated Gradients x 200": lambda: tfviz.integrated_gradients(model, few, some, steps=200),
        "Score-CAM": lambda: score_cam(model, few, some, layer=layer),
        "occlusion, 64 patches": lambda: occlusion(model, few, some, patch=PATCH),
        "RISE x 1000": lambda: rise(model, few, some, samples=MASKS),
        "maximisation x 200": lambda: maximize(model, objective.logit(2), steps=STEPS, **bare),
    }
