"""Class activation maps that are a principal component of a layer's channels. As `members`: pure, signed, `(B, h, w)`.

A is one image's layer as a matrix `(places, channels)`.
"""

from typing import Any

import tensorflow as tf

from tfviz.cam.members import terms


def eigen_cam(activations: Any) -> Any:
    """Eigen-CAM: A v, the projection on the first right singular vector v of A.

    Does not look at the class. The sign, which a singular vector leaves open, is the one that makes the map's sum
    positive. Source: Muhammad and Yeasin 2020, equations 1 to 3.
    """
    projection = _first_component(tf.convert_to_tensor(activations))
    return _turned(projection, tf.ones_like(projection))


def eigen_grad_cam(activations: Any, gradients: Any) -> Any:
    """EigenGrad-CAM: as Eigen-CAM, of A times gradients; the sign is the one that agrees with HiResCAM.

    Source: the pytorch-grad-cam collection (which centres first, and so cannot tell for from against).
    """
    return principal(activations, gradients)


def principal(activations: Any, weights: Any) -> Any:
    """The first principal component of the weighted channels w_k A^k, signed so that it agrees with their sum."""
    each = terms(activations, weights)
    return _turned(_first_component(each), tf.reduce_sum(each, axis=-1))


def kpca_cam(activations: Any) -> Any:
    """KPCA-CAM: the first kernel principal component of the places, kernel tanh(a.b / channels + 1).

    With K the kernel of all pairs of places, centred in feature space, the map is sqrt(lambda) u of its first
    eigenpair: a departure from the mean place, signed so that it grows with the strength of the activations. Every
    image's activations are divided by their root mean square first: the tanh of large ones would be 1 everywhere. The
    kernel and its constants are those of the pytorch-grad-cam collection.

    Source: Karmani et al. 2024, section 3 (kernel PCA: Schoelkopf, Smola and Mueller 1998).
    """
    activations = tf.convert_to_tensor(activations)
    matrix = _matrix(_scaled(activations)[0])
    mean_square = tf.reduce_mean(matrix**2, axis=(1, 2), keepdims=True)
    matrix = tf.math.divide_no_nan(matrix, tf.sqrt(mean_square))
    kernel = tf.tanh(tf.matmul(matrix, matrix, transpose_b=True) / tf.cast(tf.shape(matrix)[2], matrix.dtype) + 1)
    centred = kernel - tf.reduce_mean(kernel, 1, keepdims=True) - tf.reduce_mean(kernel, 2, keepdims=True)
    centred += tf.reduce_mean(kernel, (1, 2), keepdims=True)
    strength = tf.reduce_sum(tf.abs(matrix), axis=2)
    strength -= tf.reduce_mean(strength, axis=1, keepdims=True)
    shape = tf.shape(activations)[:3]
    projection = tf.reshape(_scaled_eigenvector(_without_rounding(centred)), shape)
    return _turned(projection, tf.reshape(strength, shape))


def _turned(projection: Any, like: Any) -> Any:
    """The projection or its negative, whichever agrees with `like`."""
    agreement = tf.reduce_sum(_scaled(projection)[0] * _scaled(like)[0], axis=(1, 2))
    return tf.where(agreement[:, None, None] < 0, -projection, projection)


def _largest(values: Any) -> Any:
    return tf.reduce_max(tf.abs(values), axis=list(range(1, len(values.shape))), keepdims=True)


def _scaled(values: Any) -> tuple[Any, Any]:
    """Values of at most 1, and the scale taken out: squares of huge or tiny values would leave float32."""
    scale = _largest(values)
    return tf.math.divide_no_nan(values, scale), scale


def _matrix(values: Any) -> Any:
    shape = tf.shape(values)
    return tf.reshape(values, [shape[0], -1, values.shape[3]])


def _first_component(values: Any) -> Any:
    scaled, scale = _scaled(values)
    matrix = _matrix(scaled)
    places, channels = tf.shape(matrix)[1], tf.shape(matrix)[2]
    projection = tf.cond(places < channels, lambda: _by_places(matrix), lambda: _by_channels(matrix))
    return tf.reshape(projection, tf.shape(values)[:3]) * scale[..., 0]


def _by_places(matrix: Any) -> Any:
    """A v = s u, from the first eigenvector u and eigenvalue s^2 of A A^T."""
    return _scaled_eigenvector(tf.matmul(matrix, matrix, transpose_b=True))


def _by_channels(matrix: Any) -> Any:
    """A v, from the first eigenvector v of A^T A."""
    _, vectors = tf.linalg.eigh(tf.matmul(matrix, matrix, transpose_a=True))
    return tf.linalg.matvec(matrix, vectors[:, :, -1])


def _scaled_eigenvector(symmetric: Any) -> Any:
    """sqrt(lambda) u of the largest eigenvalue, 0 where none is positive."""
    values, vectors = tf.linalg.eigh(symmetric)
    return tf.sqrt(tf.nn.relu(values[:, -1:])) * vectors[:, :, -1]


def _without_rounding(centred: Any) -> Any:
    """0 where a centred kernel holds nothing but rounding: all places are alike."""
    noise = 64 * tf.experimental.numpy.finfo(centred.dtype.as_numpy_dtype).eps
    return tf.where(_largest(centred) < noise, tf.zeros_like(centred), centred)
