"""What can be explained, as plain data."""

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from tfviz.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """A quantity of a model's output; made by the functions of this module, accepted wherever a target is."""

    quantity: str
    classes: tuple[Any, ...] = ()
    name: str | int | None = None
    mask: Any = None
    reference: Any = None
    options: tuple[Hashable, ...] = ()
    function: Callable[..., Any] | None = None


def logit(k: Any = None) -> Target:
    """The logit of class `k`, the same as giving `k` itself; None is each image's own prediction."""
    return Target("logit", (k,))


def probability(k: Any = None) -> Target:
    """The probability of class `k`: the softmax (of a one-unit or sigmoid head, the sigmoid) of the logits, at `k`."""
    return Target("probability", (k,))


def cross_entropy(label: Any) -> Target:
    """The loss of an image that is of class `label`: -log probability; of a sigmoid head, the sum over its units."""
    return Target("cross_entropy", (label,))


def difference(a: Any, b: Any) -> Target:
    """Why `a` and not `b`: logit of `a` minus logit of `b`."""
    return Target("difference", (a, b))


def rivals(k: Any = None, *, count: int = 3, strength: float = 1.0) -> Target:
    """Why `k` and not the classes that it is easily taken for: y_k - strength * sum_d p_d y_d / sum_d p_d.

    The d are the `count` classes whose logits are nearest to that of `k`, p their probabilities; which they are and
    how much each counts is not differentiated through. Source: Zhang et al. 2025 (Finer-CAM), section 3.
    """
    if count < 1 or not 0 <= strength < np.inf:
        raise InputError(f"count={count} and strength={strength} were given; at least 1 and at least 0 are expected.")
    return Target("rivals", (k,), options=(int(count), float(strength)))


def value(k: Any = 0) -> Target:
    """The number that unit `k` of the output gives, as it is: for regression, whatever stands at the end."""
    return Target("value", (k,))


def similarity(reference: Any) -> Target:
    """How alike the output and a reference embedding are: the cosine of the angle between them.

    Args:
        reference: `(D,)`, or `(B, D)` for one of each image's own: what the model gave for another picture, say.
    """
    return Target("similarity", reference=np.asarray(reference, np.float32))


def output(name: str | int, k: Any = None) -> Target:
    """Class `k`, or any other target, on the output called `name` (or at that position) of a model with several."""
    inner = as_target(k)
    return dataclasses.replace(inner, name=name)


def masked(mask: Any, k: Any) -> Target:
    """The sum of class `k`'s logits over a mask, for outputs such as `(B, H, W, K)` of a segmentation model.

    Args:
        mask: of the output's spatial shape `(H, W)`, or `(B, H, W)` for a mask of each image's own; weights or bools.
        k: the class, or one for each image.
    """
    return dataclasses.replace(as_target(k), mask=np.asarray(mask))


def as_target(target: Any) -> Target:
    """A class index, a name, a function or None as the `Target` that it stands for."""
    if isinstance(target, Target):
        return target
    if callable(target):
        return Target("function", function=target)
    return logit(target)
