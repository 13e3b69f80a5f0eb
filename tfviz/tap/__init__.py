"""Layer addresses, and the one primitive of the package: run a model once and keep what chosen layers produced.

The model is never cloned, rebuilt or changed. What lives where: `address` names a call of a layer, `patch` taps it
while the model runs, `program` compiles and caches such runs, `images` readies what goes in, `_survey` lists what there
is to tap, `_submodel` hands a truncated model out.
"""

from tfviz.tap._submodel import submodel
from tfviz.tap._survey import Call, LayerInfo, Survey, layers, locate, spatial, survey
from tfviz.tap.address import Tap
from tfviz.tap.images import Batch, prepare
from tfviz.tap.patch import Run, run
from tfviz.tap.program import execute, steady, traces

__all__ = [
    "Batch",
    "Call",
    "LayerInfo",
    "Run",
    "Survey",
    "Tap",
    "execute",
    "layers",
    "locate",
    "prepare",
    "run",
    "spatial",
    "steady",
    "submodel",
    "survey",
    "traces",
]
