"""Explain what was deployed: a quantised model, or the device itself.

`_predict.py`: any engine as the `predict` of `tfviz.perturb`; `_head.py`: the head's weights, from the `.tflite`;
`_maps.py`: the methods; `_drift.py`: the same pictures explained before and after quantisation, with numbers.
"""

from firmware_tools.explain._drift import Looks, drift
from firmware_tools.explain._head import Head, head_of
from firmware_tools.explain._maps import METHODS, explain, feature_maps
from firmware_tools.explain._predict import logit_predictor, predictor

__all__ = [
    "METHODS",
    "Head",
    "Looks",
    "drift",
    "explain",
    "feature_maps",
    "head_of",
    "logit_predictor",
    "predictor",
]
