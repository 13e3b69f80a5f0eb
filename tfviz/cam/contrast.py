"""Finer-CAM: why this class and not the ones that it is easily taken for."""

from collections.abc import Sequence
from typing import Any

from tfviz.cam.together import Maps, cams
from tfviz.errors import InputError
from tfviz.target import Target, rivals


def finer_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    count: int = 3,
    strength: float = 1.0,
    method: str = "grad-cam",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Finer-CAM: a class activation map of `target.rivals`: what the class has and its rivals have not.

    y_k - strength * sum_d p_d y_d / sum_d p_d takes the place of the class's logit. Over pooling and one Dense it is
    the CAM whose weights are w_k less `strength` times the rivals' mean weights. Source: Zhang et al. 2025, section 3.

    Args:
        model: a built Keras model.
        images: `(B, H, W, C)`, or one image.
        target: None, a class, one for each image, or a class name.
        layer: an address, an index into `model.layers`, a Layer, or None for the last with H x W > 1.
        count: how many rivals, the classes with the nearest logits.
        strength: how much of theirs is taken off.
        method: the CAM method that maps the difference.

    Returns:
        Maps `(B, h, w)`, float32, after the method's ReLU.

    Raises:
        InputError: as `cams`; and a target that is no class.
    """
    if isinstance(target, Target) or callable(target):
        raise InputError("Finer-CAM sets a class against its rivals; give a class, or explain target.rivals with cams.")
    wanted = rivals(target, count=count, strength=strength)
    options = {"layer": layer, "class_names": class_names, "batch_size": batch_size}
    return cams(model, images, [method], wanted, **options)[method]
