"""Rules that integrate over [0, 1]."""

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError

Array = npt.NDArray[np.float64]


def nodes(rule: str, steps: int) -> tuple[Array, Array]:
    """The places and the weights of a rule with `steps` places.

    >>> places, weights = nodes("midpoint", 2)
    >>> places.tolist(), weights.tolist()
    ([0.25, 0.75], [0.5, 0.5])

    Raises:
        InputError: an unknown rule, or too few steps for it.
    """
    least = 2 if rule == "trapezoid" else 1
    if steps < least:
        raise InputError(f"steps={steps} was given; the {rule} rule takes at least {least}.")
    if rule == "gauss-legendre":
        places, weights = np.polynomial.legendre.leggauss(steps)
        return (places + 1) / 2, weights / 2
    if rule == "midpoint":
        return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    if rule == "trapezoid":
        weights = np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, steps), weights
    raise InputError(f"{rule!r} is no rule of integration; there are gauss-legendre, midpoint and trapezoid.")
