"""The class activation maps that weigh a layer's channels by gradients, or by what the channels hold, one by one."""

from collections.abc import Sequence
from typing import Any

from tfviz.cam.together import Maps, cams


def _one(
    name: str,
    model: Any,
    images: Any,
    target: Any,
    layer: Any,
    class_names: Sequence[str] | None,
    batch_size: int | None,
) -> Maps:
    return cams(model, images, [name], target, layer=layer, class_names=class_names, batch_size=batch_size)[name]


def grad_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Grad-CAM: ReLU(sum_k mean_ij(g^k) A^k).

    Where a layer's channels, weighted by how the score rises with their mean, add up. Source: Selvaraju et al. 2017,
    equations 1 and 2. Arguments, answer and errors as `cams`.

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential(
    ...     [keras.Input((2, 2, 1)), keras.layers.ReLU(), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    ... )
    >>> model.set_weights([np.array([[4.0, -4.0]]), np.zeros(2)])
    >>> grad_cam(model, np.array([[[0.0], [1.0]], [[2.0], [3.0]]]), 0)
    array([[[0., 1.],
            [2., 3.]]], dtype=float32)
    """
    return _one("grad-cam", model, images, target, layer, class_names, batch_size)


def grad_cam_plus_plus(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Grad-CAM++: like Grad-CAM, each place weighted for its own share, for several objects of one class.

    Which of the forms in the wild, and why: `members.grad_cam_plus_plus`. Source: Chattopadhay et al. 2018.
    """
    return _one("grad-cam++", model, images, target, layer, class_names, batch_size)


def hires_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """HiResCAM: ReLU(sum_k g^k A^k), place by place; shows only places that the score came from.

    Source: Draelos and Carin 2020.
    """
    return _one("hires-cam", model, images, target, layer, class_names, batch_size)


def layer_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """LayerCAM: ReLU(sum_k ReLU(g^k) A^k), place by place; good in early layers. Source: Jiang et al. 2021."""
    return _one("layer-cam", model, images, target, layer, class_names, batch_size)


def xgrad_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """XGrad-CAM: Grad-CAM with gradients averaged in proportion to the activations. Source: Fu et al. 2020."""
    return _one("xgrad-cam", model, images, target, layer, class_names, batch_size)


def elementwise_grad_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Element-wise Grad-CAM: sum_k ReLU(g^k A^k), place by place; what speaks for the target, nothing set off."""
    return _one("elementwise-grad-cam", model, images, target, layer, class_names, batch_size)


def eigen_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Eigen-CAM: the first principal component of the activations, signed so that it sums to a positive number.

    Does not look at the target. Source: Muhammad and Yeasin 2020.
    """
    return _one("eigen-cam", model, images, target, layer, class_names, batch_size)


def eigen_grad_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """EigenGrad-CAM: ReLU of the first principal component of maps times gradients; Eigen-CAM that sees the class.

    Source: the pytorch-grad-cam collection; no paper of its own.
    """
    return _one("eigen-grad-cam", model, images, target, layer, class_names, batch_size)


def kpca_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """KPCA-CAM: the first kernel principal component of a layer's places, signed, around their mean.

    Does not look at the target. Its cost grows with the third power of the number of places: meant for the last
    layers, not for more than some 60 x 60 places. Source: Karmani et al. 2024.
    """
    return _one("kpca-cam", model, images, target, layer, class_names, batch_size)


def fem(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """FEM: ReLU(sum_k mean(A^k) [A^k > mean + 2 deviations]): where channels are unusually strong.

    Does not look at the target. Source: Fuad et al. 2020, section 3.
    """
    return _one("fem", model, images, target, layer, class_names, batch_size)


def shapley_cam(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Maps:
    """ShapleyCAM: ReLU(sum_k mean_ij(g - H A / 2)^k A^k), H the score's second derivative with respect to A.

    Of a logit over a piecewise linear head (ReLU, pooling, Dense) it is Grad-CAM; curved targets such as
    `target.probability` tell the two apart. Source: Cai 2025.

    Raises:
        InputError: as `cams`; and the model can only be run eagerly.
    """
    return _one("shapley-cam", model, images, target, layer, class_names, batch_size)
