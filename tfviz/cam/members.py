"""The class activation maps, each a small pure function of a layer's activations and the gradients of the score there.

`activations` and `gradients` are `(B, h, w, channels)`, arrays or tensors, and the answer is the **signed** map
`(B, h, w)` on which the identities hold, a tensor of their dtype; `scores` is `(B,)`. Written A^k for channel k of the
activations, g^k = dy/dA^k for its gradient, and sums over ij for sums over places.
"""

from typing import Any

import tensorflow as tf

# exp() of more than 88 is infinite in float32. The factor is common to a whole map, so that beyond this only its scale
# is lost.
_LARGEST_EXPONENT = 80.0


def grad_cam(activations: Any, gradients: Any) -> Any:
    """Grad-CAM: sum_k mean_ij(g^k) A^k. Source: Selvaraju et al. 2017, equations 1 and 2."""
    return weighted(activations, tf.reduce_mean(gradients, axis=(1, 2)))


def grad_cam_plus_plus(activations: Any, gradients: Any, scores: Any) -> Any:
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
    return weighted(activations, tf.reduce_sum(alpha * tf.nn.relu(growth * gradients), axis=(1, 2)))


def _growth(activations: Any, gradients: Any, scores: Any) -> Any:
    """exp(y), but no more than leaves the map finite in float32."""
    size = tf.reduce_max(tf.abs(activations), axis=(1, 2, 3)) * tf.reduce_sum(tf.abs(gradients), axis=(1, 2, 3))
    largest = _LARGEST_EXPONENT - tf.math.log1p(tf.cast(size, gradients.dtype))
    return tf.exp(tf.minimum(scores, largest))[:, None, None, None]


def hires_cam(activations: Any, gradients: Any) -> Any:
    """HiResCAM: sum_k g^k A^k, place by place. Source: Draelos and Carin 2020, equation 3."""
    return tf.reduce_sum(tf.multiply(gradients, activations), axis=-1)


def layer_cam(activations: Any, gradients: Any) -> Any:
    """LayerCAM: sum_k ReLU(g^k) A^k, place by place. Source: Jiang et al. 2021, equations 6 to 8."""
    return tf.reduce_sum(tf.nn.relu(gradients) * activations, axis=-1)


def xgrad_cam(activations: Any, gradients: Any) -> Any:
    """XGrad-CAM: sum_k w_k A^k, w_k = sum_ij(g^k A^k) / sum_ij(A^k), 0 for a silent channel.

    Source: Fu et al. 2020, equation 8.
    """
    share = tf.reduce_sum(tf.multiply(gradients, activations), axis=(1, 2))
    return weighted(activations, tf.math.divide_no_nan(share, tf.reduce_sum(activations, axis=(1, 2))))


def elementwise_grad_cam(activations: Any, gradients: Any) -> Any:
    """Element-wise Grad-CAM: sum_k ReLU(g^k A^k), place by place.

    Source: the element-wise variant of Grad-CAM in the pytorch-grad-cam collection; no paper of its own.
    """
    return tf.reduce_sum(tf.nn.relu(tf.multiply(gradients, activations)), axis=-1)


def eigen_cam(activations: Any, gradients: Any = None) -> Any:  # noqa: ARG001 - every member is called alike
    """Eigen-CAM: A v, the projection on the first right singular vector v of A as a `(places, channels)` matrix.

    Does not look at the class. The sign, which a singular vector leaves open, is the one that makes the map's sum
    positive. Source: Muhammad and Yeasin 2020, equations 1 to 3.
    """
    activations = tf.convert_to_tensor(activations)
    shape = tf.shape(activations)
    matrix = tf.reshape(activations, [shape[0], -1, shape[3]])
    places, channels = tf.shape(matrix)[1], shape[3]
    projection = tf.cond(places < channels, lambda: _by_places(matrix), lambda: _by_channels(matrix))
    sign = tf.where(tf.reduce_sum(projection, axis=1, keepdims=True) < 0, -1.0, 1.0)
    return tf.reshape(projection * tf.cast(sign, projection.dtype), shape[:3])


def _by_places(matrix: Any) -> Any:
    """A v = s u, from the first eigenvector u and eigenvalue s^2 of A A^T."""
    values, vectors = tf.linalg.eigh(tf.matmul(matrix, matrix, transpose_b=True))
    return tf.sqrt(tf.nn.relu(values[:, -1:])) * vectors[:, :, -1]


def _by_channels(matrix: Any) -> Any:
    """A v, from the first eigenvector v of A^T A."""
    _, vectors = tf.linalg.eigh(tf.matmul(matrix, matrix, transpose_a=True))
    return tf.linalg.matvec(matrix, vectors[:, :, -1])


def weighted(activations: Any, weights: Any) -> Any:
    """sum_k w_k A^k with weights `(B, channels)`."""
    return tf.einsum("bijk,bk->bij", activations, weights)
