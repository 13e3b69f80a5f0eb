"""What is explained: a class, a probability, a loss, a difference or a function of the outputs; one number an image.

A target is plain data (`Target`); `plan` checks it against a model and turns it into a `Plan`, whose `scorer` builds
the number inside a compiled run. The class is an argument of that run, so a new class compiles nothing. What lives
where: `_kinds` the targets, `_plan` the checks, `_score` the number, `_ask` what asks a model for it.
"""

from tfviz.target._ask import freeze, predictions, scores
from tfviz.target._kinds import (
    Target,
    cross_entropy,
    difference,
    logit,
    masked,
    output,
    probability,
    rivals,
    similarity,
    value,
)
from tfviz.target._plan import plan
from tfviz.target._score import QUANTITIES, Plan, Scorer

__all__ = [
    "QUANTITIES",
    "Plan",
    "Scorer",
    "Target",
    "cross_entropy",
    "difference",
    "freeze",
    "logit",
    "masked",
    "output",
    "plan",
    "predictions",
    "probability",
    "rivals",
    "scores",
    "similarity",
    "value",
]
