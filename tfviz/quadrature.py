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


def along(rule: str, steps: int, ends: tuple[float, float] | None) -> Array:
    """Places and weights of a rule, and what the score at each place counts in the path's change, `(3, points)`.

    With `ends`, two more points of weight 0 stand at 0 and at 1 and count so; the others count nothing.

    >>> along("midpoint", 1, None).tolist()
    [[0.5], [1.0], [0.0]]
    >>> along("midpoint", 1, (-1, 1)).tolist()
    [[0.5, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 1.0]]
    """
    places, weights = nodes(rule, steps)
    points = np.stack([places, weights, np.zeros(steps)])
    return points if ends is None else np.column_stack([points, [0, 0, ends[0]], [1, 0, ends[1]]])
