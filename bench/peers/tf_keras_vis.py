"""tf-keras-vis 0.8.7 (MIT)."""

from typing import Any

import numpy as np
from explanations.floors import NOISE, SAMPLES, STEPS, Items
from explanations.nets import Net
from tf_keras_vis.activation_maximization import ActivationMaximization
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.scorecam import Scorecam
from tf_keras_vis.utils.scores import CategoricalScore


def items(net: Net) -> Items:
    model, x, few = net.model, net.images, net.few
    score, some = CategoricalScore(net.classes.tolist()), CategoricalScore(net.classes[: net.sampled].tolist())
    at: dict[str, Any] = {"penultimate_layer": net.layer, "seek_penultimate_conv_layer": False}
    grad_cam, saliency, score_cam = Gradcam(model), Saliency(model), Scorecam(model)
    climb = ActivationMaximization(model)
    return {
        "Grad-CAM": lambda: grad_cam(score, x, **at),
        "gradient": lambda: saliency(score, x),
        "SmoothGrad x 50": lambda: saliency(some, few, smooth_samples=SAMPLES, smooth_noise=NOISE),
        "Score-CAM": lambda: score_cam(some, few, **at),
        "maximisation x 200": lambda: climb(CategoricalScore(2), steps=STEPS, input_modifiers=[], regularizers=[]),
    }


def answers(net: Net) -> Items:
    model, x, few = net.model, net.images, net.few
    score, some = CategoricalScore(net.classes.tolist()), CategoricalScore(net.classes[: net.sampled].tolist())
    at: dict[str, Any] = {"penultimate_layer": net.layer, "seek_penultimate_conv_layer": False}
    raw: dict[str, Any] = {"normalize_map": False}
    still: dict[str, Any] = {
        "smooth_samples": 5,
        "smooth_noise": 0.0,
        "gradient_modifier": lambda g: g,
        "keepdims": True,
    }
    return {
        "Grad-CAM": lambda: np.asarray(Gradcam(model)(score, x, **at, expand_cam=False, normalize_cam=False)),
        "gradient": lambda: Saliency(model)(score, x, **raw),
        "SmoothGrad without noise": lambda: np.asarray(Saliency(model)(some, few, **still, **raw)).sum(axis=-1),
        "Score-CAM": lambda: np.asarray(Scorecam(model)(some, few, **at, expand_cam=False, normalize_cam=False)),
    }
