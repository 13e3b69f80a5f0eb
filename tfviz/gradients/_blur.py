"""Blur Integrated Gradients: the path from nothing to the image leads through blurred copies of it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.input_gradient import input_gradients
from tfviz.passes import Scored, warn_of_probabilities
from tfviz.quadrature import along
from tfviz.sampling import Job, by_image, flat
from tfviz.stream import blocks
from tfviz.tap import Batch, steady

Array = npt.NDArray[Any]


def blur_integrated_gradients(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    max_sigma: float | None = None,
    steps: int = 50,
    rule: str = "gauss-legendre",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """Blur-IG: integral of dy/dz * dz/ds along z(s), the image blurred with deviation s, from `max_sigma` down to 0.

    Complete: the attributions sum to y(x) - y(z(max_sigma)) but for the quadrature's error, see
    `blur_integrated_gradients_residual`. No baseline colour has to be chosen, and no step of the path adds anything
    that was not in the image. The blur is the diffusion of the pixel grid for a time of s^2 / 2 with closed borders,
    the one Gaussian scale space on a grid that makes no new extrema (Lindeberg 1990); its dz/ds is exact, s times the
    discrete Laplacian of z. Summed over the channels.

    Source: Xu, Venugopalan and Sundararajan 2020, section 4.

    Args:
        max_sigma: in pixels; None is a quarter of the image's longer side (the authors' 50 at 224 pixels).
        steps: how many gradients.
        rule: "gauss-legendre" (the most exact), "midpoint" or "trapezoid".

    Raises:
        InputError: an input that is no image, or a `max_sigma` that is not positive.
    """
    options: dict[str, Any] = {"residual": False, "max_sigma": max_sigma, "steps": steps, "rule": rule}
    return _integrated(model, images, target, **options, class_names=class_names, batch_size=batch_size)[0]


def blur_integrated_gradients_residual(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    max_sigma: float | None = None,
    steps: int = 50,
    rule: str = "gauss-legendre",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """How far Blur-IG is from complete: the attributions' sum minus (y(x) - y(blurred x)), `(B,)`."""
    options: dict[str, Any] = {"residual": True, "max_sigma": max_sigma, "steps": steps, "rule": rule}
    return _integrated(model, images, target, **options, class_names=class_names, batch_size=batch_size)[1]


def blur_matrix(size: int, sigma: float) -> npt.NDArray[np.float64]:
    """What blurs a line of `size` pixels with deviation `sigma`, `(size, size)`: exp(-sigma^2 / 2 L).

    L is the negative second difference with closed borders, whose eigenvectors are the cosines of the DCT-II.

    >>> blur_matrix(3, 1.0).sum(axis=0).round(12), bool((blur_matrix(3, 0.0).round(12) == np.eye(3)).all())
    (array([1., 1., 1.]), True)
    """
    k = np.arange(size)
    cosines = np.cos(np.pi * k[:, None] * (k + 0.5) / size) * np.sqrt(np.where(k == 0, 1, 2) / size)[:, None]
    decay = np.exp(-(sigma**2) / 2 * (2 - 2 * np.cos(np.pi * k / size)))
    return np.asarray(cosines.T @ (decay[:, None] * cosines))


def _integrated(
    model: Any,
    images: Any,
    target: Any,
    *,
    max_sigma: float | None,
    steps: int,
    rule: str,
    residual: bool,
    class_names: Sequence[str] | None,
    batch_size: int | None,
) -> tuple[Any, npt.NDArray[np.float32]]:
    """Blur-IG, and with `residual` by how much each image's attributions miss y(x) - y(blurred x)."""
    points = along(rule, steps, (1, -1) if residual else None)
    with steady(model):
        job = Job.of(model, images, target, class_names, batch_size)
        largest = [_largest_sigma(array, max_sigma) for array in job.batch.arrays]
        body = partial(_body, Scored(job.batch, job.plan))
        totals = [np.zeros(array.shape) for array in job.batch.arrays]
        differences = np.zeros(len(job.batch))
        doubtful = False
        for block in blocks(len(job.batch), points.shape[1], job.size):
            rows = slice(block.start, block.stop)
            some = points[:, block.first : block.last]
            blurs = _blurs(job.batch, largest, some)
            arguments = [*job.batch.part(block.start, block.stop), *blurs, some[2].copy()]
            doubt, results, difference = job.run("blur", body, [*arguments, *job.plan.repeated(block.rows)])
            doubtful = doubtful or bool(doubt)
            differences[rows] += difference
            for total, result in zip(totals, results, strict=True):
                total[rows] += result
        warn_of_probabilities(doubtful)
    sums = sum(total.reshape(len(job.batch), -1).sum(axis=1) for total in totals)
    return job.answer("blur-ig", totals), np.asarray(sums - differences, np.float32)


def _largest_sigma(array: Array, given: float | None) -> float:
    if array.ndim != 4:
        raise InputError(f"An input of shape {array.shape} cannot be blurred; Blur-IG takes images (B, H, W, C).")
    if given is not None and not 0 < given < np.inf:
        raise InputError(f"max_sigma={given} was given; a positive number of pixels is expected.")
    return max(array.shape[1:3]) / 4 if given is None else float(given)


def _blurs(batch: Batch, largest: Sequence[float], points: Array) -> list[Array]:
    """For each input: the matrices of the rows, of the columns, and the factor of the Laplacian in the integral."""
    found: list[Array] = []
    for array, dtype, most in zip(batch.arrays, batch.dtypes, largest, strict=True):
        kind = np.float64 if dtype == "float64" else np.float32
        sigmas = most * points[0]
        found += [np.stack([blur_matrix(side, s) for s in sigmas]).astype(kind) for side in array.shape[1:3]]
        found.append((-most * sigmas * points[1]).astype(kind))
    return found


def _body(scored: Scored, model: Any, *tensors: Any) -> tuple[Any, list[Any], Any]:
    n = scored.inputs
    x, blurs, ends, arguments = tensors[:n], tensors[n : 4 * n], tensors[4 * n], tensors[4 * n + 1 :]
    blurred = [
        tf.einsum("sij,bjkc,slk->bsilc", blurs[3 * i], tf.cast(image, blurs[3 * i].dtype), blurs[3 * i + 1])
        for i, image in enumerate(x)
    ]
    copies = [flat(tf.cast(z, image.dtype)) for z, image in zip(blurred, x, strict=True)]
    gradients, doubtful, score = input_gradients(scored, "", model, copies, arguments)
    sums = []
    for i, (z, g, image) in enumerate(zip(blurred, gradients, x, strict=True)):
        motion = tf.cast(_laplacian(z), g.dtype) * by_image(g, image)
        sums.append(tf.einsum("bsijc,s->bijc", motion, tf.cast(blurs[3 * i + 2], g.dtype)))
    scores = tf.reshape(tf.cast(score, tf.float64), [tf.shape(x[0])[0], -1])
    return tf.reduce_any(doubtful), sums, tf.linalg.matvec(scores, ends)


def _laplacian(z: Any) -> Any:
    """The discrete Laplacian of `(B, S, H, W, C)` with closed borders: nothing flows out."""
    padded = tf.pad(z, [[0, 0], [0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    rows, columns = padded[:, :, :, 1:-1], padded[:, :, 1:-1]
    return rows[:, :, 2:] + rows[:, :, :-2] + columns[:, :, :, 2:] + columns[:, :, :, :-2] - 4 * z
