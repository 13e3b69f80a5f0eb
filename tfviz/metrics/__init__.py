"""Can the picture be trusted? Numbers that judge explanations.

What asks the model again takes `(predict, images, maps, target=None, *, ...)`: `predict` is a Keras model or a function
`images -> scores (B, K)` (a TFLite model, a device), `maps` `(B, h, w)` the explanations, of any resolution, and
`target` what they explain: a class is its logit (of a function, its column); the papers' figures of deletion,
insertion, average drop and gain are of `tfviz.target.probability(k)`. What looks at the map alone takes `maps`, or
`maps` and the objects' `masks`. Every metric answers one float64 for each image, `(B,)`, and is the same whatever the
batch; what is random has a seed. Copies of images exist for one chunk at a time, so memory does not grow with steps.

    deletion insertion            `curves`         road                      `imputation`
    average_drop _increase _gain  `masking`        mu_fidelity infidelity    `fidelity`
    max_sensitivity               `sensitivity`    sparseness complexity     `concentration`
    pointing_game relevance_mass relevance_rank    `localisation`
    randomisation                 `randomising`    ssim spearman             `similarity`
    random_maps                   `baseline`       private                   `private_copy`

`tfviz.evaluate` ranks methods by them over a data set.
"""

from tfviz.metrics.baseline import random_maps
from tfviz.metrics.concentration import complexity, sparseness
from tfviz.metrics.curves import deletion, deletion_curve, insertion, insertion_curve
from tfviz.metrics.fidelity import infidelity, mu_fidelity
from tfviz.metrics.imputation import impute, road
from tfviz.metrics.localisation import pointing_game, relevance_mass, relevance_rank
from tfviz.metrics.masking import average_drop, average_gain, average_increase
from tfviz.metrics.private_copy import private
from tfviz.metrics.randomising import Randomised, randomisation
from tfviz.metrics.sensitivity import max_sensitivity
from tfviz.metrics.similarity import spearman, ssim

__all__ = [
    "Randomised",
    "average_drop",
    "average_gain",
    "average_increase",
    "complexity",
    "deletion",
    "deletion_curve",
    "impute",
    "infidelity",
    "insertion",
    "insertion_curve",
    "max_sensitivity",
    "mu_fidelity",
    "pointing_game",
    "private",
    "random_maps",
    "randomisation",
    "relevance_mass",
    "relevance_rank",
    "road",
    "sparseness",
    "spearman",
    "ssim",
]
