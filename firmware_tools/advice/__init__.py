"""Advice on quantisation: which layers lose most, why, and what helps, tried out by converting again.

`measure` adds up what each layer loses, `causes` says why, `equalise` and `trials` change and convert private copies,
`records` is what was found, `picture` and `show` are how it is told.
"""

from firmware_tools.advice._advise import advise
from firmware_tools.advice.records import Advice, Cause, LayerLoss, Trial

__all__ = ["Advice", "Cause", "LayerLoss", "Trial", "advise"]
