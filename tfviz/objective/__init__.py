"""What a picture is made to maximise: small functions that return objectives, which add and multiply like numbers.

    0.2 * channel("conv1", 3) + 0.8 * logit(2) - 1e-4 * total_variation()

An `Objective` is one number for each picture, built inside the compiled steps of `tfviz.maximize`. Units, weights and
classes are arguments of those steps, so that another unit compiles nothing. A sequence of units stands for several
pictures, one for each. `algebra` says what an objective is and how two become one, `units` has those of layers and
outputs, `priors` those of the picture itself. Source of the shape (objective x parametrisation x transforms): Olah,
Mordvintsev and Schubert 2017, Feature Visualization.
"""

from tfviz.objective.algebra import Bound, Objective, Scene
from tfviz.objective.priors import norm, roughness, total_variation
from tfviz.objective.units import as_objective, channel, deep_dream, direction, diversity, logit, neuron, target

__all__ = [
    "Bound",
    "Objective",
    "Scene",
    "as_objective",
    "channel",
    "deep_dream",
    "direction",
    "diversity",
    "logit",
    "neuron",
    "norm",
    "roughness",
    "target",
    "total_variation",
]
