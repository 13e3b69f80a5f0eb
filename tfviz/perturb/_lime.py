"""LIME: a linear model of the score around one picture, fitted to what happens when superpixels are taken away."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.emptiness import warn_of_empty
from tfviz.errors import InputError
from tfviz.perturb._coalitions import coalitions, least_squares, painted
from tfviz.perturb._subject import Doubles, Subject, check_samples, subject, whole
from tfviz.perturb._superpixels import Labels, segments_of


def lime(
    predict: Any,
    images: Any,
    target: Any = None,
    *,
    samples: int = 1000,
    segments: Any = 50,
    kernel_width: float = 0.25,
    alpha: float = 1.0,
    fill: Any = "mean",
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """LIME: each superpixel's weight in a local linear model of the score, painted on its pixels, signed, `(B, H, W)`.

    z in {0, 1}^d says which superpixels are seen, each with probability 1/2. The weights w minimise

        sum_z pi(z) (y(z) - b - w z)^2 + alpha |w|^2,   pi(z) = exp(-D(z)^2 / kernel_width^2),

    D(z) = 1 - sqrt(sum z / d) being the cosine distance to the whole picture; the intercept b is not penalised. For an
    additive score and alpha = 0, w are its terms. Source: Ribeiro, Singh and Guestrin 2016, section 3.3 and 3.4 (the
    ridge and its alpha are those of the authors' program for images).

    Args:
        predict, images, target, fill, batch_size: as of `occlusion`; the fill is each image's mean colour.
        samples: how many z; every image gets the same draws.
        segments: how many superpixels, or labels `(H, W)` or `(B, H, W)` of your own; see `superpixels`.
        kernel_width: how local.
        alpha: the ridge's strength.

    Raises:
        InputError: no samples, a width that is not above 0, a negative alpha; what does not fit.

    >>> picture, halves = np.array([[[2.0], [3.0]]]), np.array([[0, 1]])
    >>> lime(lambda x: x.sum(axis=(1, 2, 3)), picture, segments=halves, alpha=0, fill=0.0).round(4)
    array([[[2., 3.]]], dtype=float32)
    """
    check_samples(samples)
    if not kernel_width > 0 or not alpha >= 0:
        raise InputError(
            f"kernel_width={kernel_width} and alpha={alpha} were given; above 0 and at least 0 are expected."
        )
    with subject(predict, images, target, fill=fill, class_names=class_names, batch_size=batch_size) as asked:
        cut, full = segments_of(asked.images, segments), whole(asked)
        maps = np.stack(
            [
                painted(_weights(asked, i, labels, samples, full[i], kernel_width, alpha, seed), labels)
                for i, labels in enumerate(cut)
            ]
        )
    warn_of_empty("LIME", maps, "taking superpixels away does not change the score; try another fill or target.")
    return maps


def _weights(
    asked: Subject,
    image: int,
    labels: Labels,
    samples: int,
    full: float,
    kernel_width: float,
    alpha: float,
    seed: int,
) -> Doubles:
    count = int(labels.max()) + 1
    generator = np.random.default_rng(seed)
    # Normal equations of (1, z), summed up along the stream, for the score's change: the intercept takes the rest.
    matrix, right = np.diag([0.0] + [alpha] * count), np.zeros(count + 1)
    for seen, scores in coalitions(asked, image, labels, samples, lambda n: generator.random((n, count)) < 0.5):
        apart = 1 - np.sqrt(seen.mean(axis=1))
        near = np.exp(-((apart / kernel_width) ** 2))
        rows = np.concatenate([np.ones((len(seen), 1)), seen], axis=1)
        matrix += rows.T @ (near[:, np.newaxis] * rows)
        right += rows.T @ (near * (scores - full))
    return least_squares(matrix, right)[1:]
