"""The two ways in which a run can fail through no fault of the code; the command lines turn them into exit codes.

And what a run warns of while it goes on.
"""

import sys
import warnings


class InputError(ValueError):
    """What was given cannot be used. The message is one sentence: what was given, what was expected, what to do."""


class LinkError(ConnectionError):
    """The device at the other end of the link went silent, reset or broke the protocol.

    `partial` is the `Trace` of what had been received until then, where a run was under way.
    """

    partial: object = None


class EmptyMapWarning(UserWarning):
    """An explanation is zero everywhere: it says nothing, and must not be drawn as if it did."""


class ProbabilityWarning(UserWarning):
    """Probabilities are being explained, because no logits were found behind them."""


class RetracingWarning(UserWarning):
    """Every call compiles anew, because its target is a new function each time."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line of the caller's program that called into the package, whatever lies between."""
    level = 1
    while sys._getframe(level).f_globals.get("__name__", "").startswith("tfviz.") and sys._getframe(level).f_back:
        level += 1
    warnings.warn(message, category, stacklevel=level + 1)
