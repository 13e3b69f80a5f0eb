"""Which Keras layer is which op of a `.tflite`.

The converter fuses batch norm and activations, folds constants and renames tensors, so a name is only a hint. The proof
is numeric: the layer's float tensor against the op's dequantised one, over a few images. What has no partner is
listed, not guessed.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np

from firmware_tools.metrics import Reals, add_reals
from tfviz.trace import Step, Trace

# Quantising to int8 leaves 15 to 40 dB in networks that work; unrelated tensors stay below 0 dB, and a tensor against
# itself before ReLU reaches about 3 dB. A name that fits is half a proof, so that it may carry more noise.
LEAST_SQNR_DB = 6.0
LEAST_SQNR_DB_NAMED = 2.0
# Layers that pass their input on (Dropout, Flatten) are equally good partners.
TIE_DB = 0.01


@dataclasses.dataclass(frozen=True)
class Alignment:
    """`layers` is the address by op index; `sqnr_db` how well each pair agrees over the images looked at."""

    layers: Mapping[int, str]
    sqnr_db: Mapping[int, float]
    unpaired_ops: tuple[int, ...]
    unpaired_layers: tuple[str, ...]


def align(quantised: Sequence[Trace], floats: Sequence[Trace]) -> Alignment:
    """Pair the ops of a `.tflite` with the layers of the float model that it was made from.

    Args:
        quantised: traces of a few images.
        floats: traces of the same images by the float model, its steps named by layer addresses.
    """
    layers: dict[int, str] = {}
    proofs: dict[int, float] = {}
    for position, step in enumerate(quantised[0].steps):
        candidates = _candidates(position, quantised, floats)
        chosen = _choose(step, candidates, set(layers.values()))
        if chosen is not None:
            layers[step.index], proofs[step.index] = chosen, candidates[chosen]
    taken = set(layers.values())
    return Alignment(
        layers=layers,
        sqnr_db=proofs,
        unpaired_ops=tuple(step.index for step in quantised[0].steps if step.index not in layers),
        unpaired_layers=tuple(
            step.name for step in floats[0].steps if step.name not in taken and not step.name.endswith(":pre")
        ),
    )


def named(tensor_name: str, address: str) -> bool:
    """Whether a tensor's name tells of a layer; TensorFlow appends `_1`, `_2` to names that it has seen before.

    >>> named("dog_cnn_1/conv1_1/Relu;dog_cnn_1/conv1_1/convolution", "conv1")
    True
    >>> named("model/conv2d_1/BiasAdd", "conv2d_2")
    False
    """
    leaf = address.removesuffix(":pre").split("@")[0].rsplit("/", 1)[-1]
    pattern = re.compile(rf"{re.escape(leaf)}(_\d+)*")
    return any(pattern.fullmatch(part) for part in re.split("[;/]", tensor_name))


def _candidates(position: int, quantised: Sequence[Trace], floats: Sequence[Trace]) -> dict[str, float]:
    """SQNR in dB of every layer whose tensor has the op's shape (axes of length 1 aside)."""
    sizes = _sizes(quantised[0].steps[position])
    found: dict[str, float] = {}
    for place, step in enumerate(floats[0].steps):
        if _sizes(step) != sizes:
            continue
        sums = Reals()
        for integer, real in zip(quantised, floats, strict=True):
            sums = add_reals(sums, real.steps[place].output.real, integer.steps[position].output.real)
        if not np.isnan(sums.sqnr_db):
            found[step.name] = sums.sqnr_db
    return found


def _sizes(step: Step) -> list[int]:
    return [size for size in step.output.values.shape if size != 1]


def _choose(step: Step, candidates: Mapping[str, float], taken: set[str]) -> str | None:
    name = step.output.name
    proved = {
        address: sqnr
        for address, sqnr in candidates.items()
        if sqnr >= (LEAST_SQNR_DB_NAMED if named(name, address) else LEAST_SQNR_DB)
    }
    if not proved:
        return None
    best = max(proved.values())
    ties = [address for address, sqnr in proved.items() if sqnr >= best - TIE_DB and address not in taken]
    if len(ties) > 1 and best == np.inf and not any(named(name, address) for address in ties):
        return None  # tensors that are all zero prove nothing
    # `min` keeps the order of the calls among equals.
    return min(ties, key=lambda address: (not named(name, address), address.endswith(":pre")), default=None)
