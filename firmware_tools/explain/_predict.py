"""Explain what a quantised model or a device answers: any engine as the `predict` of `tfviz.perturb`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools.engines import input_tensors
from firmware_tools.explain._head import logits_of
from firmware_tools.graph import Graph, GraphTensor
from firmware_tools.quantize import model_input
from tfviz.errors import InputError
from tfviz.preprocess import Preprocess
from tfviz.trace import Engine

Array = npt.NDArray[Any]


def predictor(
    engine: Engine, *, preprocess: Preprocess | None = None, output: int = 0
) -> Callable[[Array], npt.NDArray[np.float32]]:
    """`predict(images) -> scores` of an engine that runs a `.tflite`: on this computer, emulated, or on a board.

    Every method of `tfviz.perturb` takes it: `occlusion(predictor(engine, preprocess=rule), images)`. The scores are
    the output's real numbers `(B, K)`; a column of them is what an int as target names.

    Args:
        engine: open; images go through it one by one.
        preprocess: what the model expects of uint8 pixels; float images go in as they are, rounded to the input's
            scale and zero point.
        output: which of the model's outputs.

    Raises:
        InputError: an engine that is no `.tflite` (give the Keras model itself), or one with several inputs.
    """
    only = _only_input(engine)

    def predict(images: Array) -> npt.NDArray[np.float32]:
        ready = model_input(np.asarray(images), only, preprocess=preprocess)
        runs = (engine.run({only.name: ready[i : i + 1]}, read=False) for i in range(len(ready)))
        return np.concatenate([run.outputs[output].real.reshape(1, -1) for run in runs])

    return predict


def logit_predictor(
    engine: Engine, graph: Graph, *, preprocess: Preprocess | None = None
) -> Callable[[Array], npt.NDArray[np.float32]]:
    """As `predictor`, with the logits `(B, K)`, the tensor before the model's softmax or sigmoid, as the scores.

    A softmax in int8 has steps of 1/256 and is flat where the model is sure; the logits still tell patches apart.

    Args:
        engine: open, and one that shows its tensors.
        graph: the `.tflite` that it runs.
        preprocess: as of `predictor`.

    Raises:
        InputError: as `predictor`, or the engine hides the logits.
    """
    only = _only_input(engine)

    def predict(images: Array) -> npt.NDArray[np.float32]:
        ready = model_input(np.asarray(images), only, preprocess=preprocess)
        runs = (engine.run({only.name: ready[i : i + 1]}) for i in range(len(ready)))
        return np.stack([logits_of(graph, run) for run in runs]).astype(np.float32)

    return predict


def _only_input(engine: Engine) -> GraphTensor:
    inputs = input_tensors(engine)
    if inputs is None:
        raise InputError(f"{engine.name} runs no .tflite; give the Keras model itself where a predict is expected.")
    if len(inputs) != 1:
        raise InputError(f"{engine.name} has {len(inputs)} inputs; pictures can be given to a model with one.")
    return inputs[0]
