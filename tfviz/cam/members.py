"""The class activation maps, each a small pure function of a layer's activations and the gradients of the score there.

`activations` and `gradients` are `(B, h, w, channels)`, arrays or tensors, and the answer is the **signed** map
`(B, h, w)` on which the identities hold, a tensor of their dtype; `scores` is `(B,)`. Written A^k for channel k of the
activations, g^k = dy/dA^k for its gradient, and sums over ij for sums over places. A method that weighs the channels
hands them to `combine(activations, weights)`, which adds them up unless another way is asked for.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Combine = Callable[[Any, Any], Any]
# exp() of more than 88 is infinite in float32. The factor is common to a whole map, so that beyond this only its scale
# is lost.
_LARGEST_EXPONENT = 80.0


def weighted(activations: Any, weights: Any) -> Any:
    """sum_k w_k A^k with weights `(B, channels)`, or of each place's own `(B, h, w, channels)`."""
    if len(weights.shape) == 2:
        return tf.einsum("bijk,bk->bij", activations, weights)
    return tf.reduce_sum(tf.multiply(activations, weights), axis=-1)


def terms(activations: Any, weights: Any) -> Any:
    """The w_k A^k that `weighted` adds up."""
    return tf.multiply(activations, weights if len(weights.shape) == 4 else weights[:, None, None, :])


def grad_cam(activations: Any, gradients: Any, *, combine: Combine = weighted) -> Any:
    """Grad-CAM: sum_k mean_ij(g^k) A^k. Source: Selvaraju et al. 2017, equations 1 and 2."""
    return combine(activations, tf.reduce_mean(gradients, axis=(1, 2)))


def grad_cam_plus_plus(activations: Any, gradients: Any, scores: Any, *, combine: Combine = weighted) -> Any:
    """Grad-CAM++: sum_k w_k A^k, w_k = sum_ij alpha^k_ij ReLU(exp(y) g^k_ij).

    alpha^k_ij = (g^k_ij)^2 / (2 (g^k_ij)^2 + sum_ab A^k_ab (g^k_ij)^3), kept where g is positive and normalised to sum
    to 1 over each channel. Three forms are in the wild; this is that of the paper's derivation (the score is exp(y),
    whose derivatives give the powers of g; the sum of A, not its mean) and of its authors' program (normalised alpha),
    with no small constant that would make the map depend on the scale of the network.

    Source: Chattopadhay et al. 2018, equations 10 to 19.
    """
    gradients = tf.convert_to_tensor(gradients)
    total = tf.reduce_sum(activations, axis=(1, 2), keepdims=True)
    # Divided by g^2 above and below: for tiny gradients the powers would vanish before their ratio does.
    alpha = tf.math.divide_no_nan(tf.ones_like(gradients), 2.0 + total * gradients)
    alpha = tf.where(gradients > 0, alpha, tf.zeros_like(alpha))
    alpha = tf.math.divide_no_nan(alpha, tf.reduce_sum(alpha, axis=(1, 2), keepdims=True))
    growth = _growth(activations, gradients, tf.cast(scores, gradients.dtype))
    return combine(activations, tf.reduce_sum(alpha * tf.nn.relu(growth * gradients), axis=(1, 2)))


def _growth(activations: Any, gradients: Any, scores: Any) -> Any:
    """exp(y), but no more than leaves the map finite in float32."""
    size = tf.reduce_max(tf.abs(activations), axis=(1, 2, 3)) * tf.reduce_sum(tf.abs(gradients), axis=(1, 2, 3))
    largest = _LARGEST_EXPONENT - tf.math.log1p(tf.cast(size, gradients.dtype))
    return tf.exp(tf.minimum(scores, largest))[:, None, None, None]


def hires_cam(activations: Any, gradients: Any, *, combine: Combine = weighted) -> Any:
    """HiResCAM: sum_k g^k A^k, place by place. Source: Draelos and Carin 2020, equation 3."""
    return combine(activations, gradients)


def layer_cam(activations: Any, gradients: Any, *, combine: Combine = weighted) -> Any:
    """LayerCAM: sum_k ReLU(g^k) A^k, place by place. Source: Jiang et al. 2021, equations 6 to 8."""
    return combine(activations, tf.nn.relu(gradients))


def xgrad_cam(activations: Any, gradients: Any, *, combine: Combine = weighted) -> Any:
    """XGrad-CAM: sum_k w_k A^k, w_k = sum_ij(g^k A^k) / sum_ij(A^k), 0 for a silent channel.

    Source: Fu et al. 2020, equation 8.
    """
    share = tf.reduce_sum(tf.multiply(gradients, activations), axis=(1, 2))
    return combine(activations, tf.math.divide_no_nan(share, tf.reduce_sum(activations, axis=(1, 2))))


def elementwise_grad_cam(activations: Any, gradients: Any, *, combine: Combine = weighted) -> Any:
    """Element-wise Grad-CAM: sum_k ReLU(g^k A^k), place by place.

    Source: the element-wise variant of Grad-CAM in the pytorch-grad-cam collection; no paper of its own.
    """
    speaks_for = tf.multiply(gradients, activations) > 0
    return combine(activations, tf.where(speaks_for, gradients, tf.zeros_like(gradients)))


def shapley_cam(activations: Any, gradients: Any, curvature: Any, *, combine: Combine = weighted) -> Any:
    """ShapleyCAM: sum_k mean_ij(g^k - (H A)^k / 2) A^k, with H A the second derivative of y along A (`curvature`).

    The Shapley values of the channels' places under a second-order expansion of y. Source: Cai 2025, section 3.
    """
    return combine(activations, tf.reduce_mean(gradients - 0.5 * curvature, axis=(1, 2)))


def fem(activations: Any) -> Any:
    """FEM: sum_k mean_ij(A^k) [A^k > mean + 2 deviations], over places. Does not look at the class.

    A channel that is the same everywhere has no place above the rest. Source: Fuad et al. 2020 (the k-sigma rule with
    k = 2, binary maps weighted by the channels' means).
    """
    activations = tf.convert_to_tensor(activations)
    mean = tf.reduce_mean(activations, axis=(1, 2), keepdims=True)
    # Halved twice: squares of huge activations would leave float32.
    scale = tf.reduce_max(tf.abs(activations - mean), axis=(1, 2), keepdims=True)
    above = tf.math.divide_no_nan(activations - mean, scale)
    deviation = tf.sqrt(tf.reduce_mean(above**2, axis=(1, 2), keepdims=True))
    varies = scale > 16 * tf.experimental.numpy.finfo(activations.dtype.as_numpy_dtype).eps * tf.abs(mean)
    strong = tf.cast((above > 2 * deviation) & varies, activations.dtype)
    return weighted(strong, mean[:, 0, 0])
