"""Many backward passes for each image: over noisy copies, and on the way from a baseline."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz import sampling


def smoothgrad(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """The mean gradient over `samples` noisy copies of the image, E[dy/dx(x + n)], signed, summed over the channels.

    n is normal with standard deviation `noise` * (max(x) - min(x)), each image's own. Every image gets the same draws
    of `seed`, so a batch gives what its images give one by one. Without noise it is the gradient.

    Source: Smilkov et al. 2017, section 3.
    """
    job, moments = sampling.noisy(
        model, images, target, samples=samples, noise=noise, seed=seed, class_names=class_names, batch_size=batch_size
    )
    return job.answer("smoothgrad", [moment.mean for moment in moments])


def squaregrad(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """The mean squared gradient over noisy copies, E[(dy/dx)^2], summed over the channels; noise as in `smoothgrad`.

    Source: Hooker et al. 2019, section 3 (SmoothGrad squared).
    """
    job, moments = sampling.noisy(
        model, images, target, samples=samples, noise=noise, seed=seed, class_names=class_names, batch_size=batch_size
    )
    return job.answer("squaregrad", [moment.variance + moment.mean**2 for moment in moments])


def vargrad(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """The variance of the gradient over noisy copies, Var[dy/dx], summed over the channels; noise as in `smoothgrad`.

    Zero for a linear model. The divisor is `samples`. Source: Adebayo et al. 2018, appendix.
    """
    job, moments = sampling.noisy(
        model, images, target, samples=samples, noise=noise, seed=seed, class_names=class_names, batch_size=batch_size
    )
    return job.answer("vargrad", [moment.variance for moment in moments])


def integrated_gradients(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    baseline: Any = 0.0,
    steps: int = 50,
    rule: str = "gauss-legendre",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """Integrated Gradients: (x - x0) * integral over a in [0, 1] of dy/dx(x0 + a (x - x0)), summed over the channels.

    Complete: the attributions sum to y(x) - y(x0) but for the quadrature's error; see
    `integrated_gradients_residual`. Source: Sundararajan, Taly and Yan 2017, section 3.

    Args:
        baseline: x0: a number, or an array that broadcasts to the images (a list or dict of them for several inputs).
        steps: how many gradients.
        rule: "gauss-legendre" (the most exact), "midpoint" or "trapezoid".
    """
    options = {"residual": False, "baseline": baseline, "steps": steps, "rule": rule}
    return sampling.integrated(model, images, target, **options, class_names=class_names, batch_size=batch_size)[0]


def integrated_gradients_residual(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    baseline: Any = 0.0,
    steps: int = 50,
    rule: str = "gauss-legendre",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """How far Integrated Gradients is from complete: the sum of the attributions minus (y(x) - y(x0)), `(B,)`."""
    options = {"residual": True, "baseline": baseline, "steps": steps, "rule": rule}
    return sampling.integrated(model, images, target, **options, class_names=class_names, batch_size=batch_size)[1]
