"""What a comparison found: frozen records, and their JSON.

Imports the traces' ground floor alone, so that a page or a test can build one without an engine.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.trace import Trace

JSON_FORMAT = 1


class Verdict(StrEnum):
    """What is said of one op.

    The local error of an op is what it adds when it is given the reference's own inputs; the accumulated error is what
    it shows in a free run.
    """

    EXACT = "EXACT"  # accumulated error 0 in every image
    INHERITED = "INHERITED"  # local error 0, accumulated not: an earlier op is to blame
    ROUNDING = "ROUNDING"  # local error of 1 LSB at most
    DIVERGED = "DIVERGED"  # local error above 1 LSB
    UNFORCED = "UNFORCED"  # differs, and the engine cannot be given inputs, so the local error is unknown
    MEASURED = "MEASURED"  # float on one side at least: errors are measured, a verdict in LSB has no meaning


class RunVerdict(StrEnum):
    """What is said of the run: PASS, FAIL, or MEASURED where no op has a verdict in LSB."""

    PASS = "PASS"
    FAIL = "FAIL"
    MEASURED = "MEASURED"


@dataclasses.dataclass(frozen=True)
class Channels:
    """The same errors channel by channel (the tensor's last axis), over all images; one number each, in order.

    In LSB against the reference (None where nothing is measured in LSB), in real numbers as the op's own.
    """

    exact_share: tuple[float, ...] | None = None
    max_lsb: tuple[int, ...] | None = None
    rmse_scale: tuple[float, ...] | None = None
    sqnr_db: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class OpResult:
    """One op over all images: the engine against the reference (in LSB) and against the float model (in real numbers).

    A metric that was not measured is None. `sqnr_db` is infinite where the two are equal; `where` is (image, *index in
    the tensor without its batch axis) of the largest difference, the first one met.
    """

    index: int
    op: str
    name: str
    keras_layer: str | None
    verdict: Verdict
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int
    bytes: int
    instructions: int | None = None  # the mean over the images, rounded
    cycles: int | None = None
    macs: int | None = None  # multiplications of one image
    exact_share: float | None = None
    within_one_lsb: float | None = None
    max_lsb: int | None = None
    where: tuple[int, ...] | None = None
    saturated_share: float | None = None
    local_max_lsb: int | None = None
    local_exact_share: float | None = None
    rmse_scale: float | None = None
    sqnr_db: float | None = None
    cosine: float | None = None
    max_abs: float | None = None
    bias: float | None = None
    nse: float | None = None  # Nash-Sutcliffe efficiency: 1 is perfect, 0 no better than the mean
    kl: float | None = None  # Kullback-Leibler divergence of the distributions of values, in nats
    ssim: float | None = None  # of the maps as pictures, mean over channels and images; None where there are no maps
    nan_count: int = 0
    infinity_count: int = 0
    channels: Channels | None = None


@dataclasses.dataclass(frozen=True)
class EngineInfo:
    """Who computed: `role` is `reference`, `engine` or `float`; `kernels` names the kernel set and its version."""

    role: str
    name: str
    kernels: str
    fingerprint: str


@dataclasses.dataclass(frozen=True)
class DataInfo:
    """Which images: `role` is `evaluation` or `calibration`, `identity` a hash of what they are."""

    role: str
    source: str
    split: str | None
    images: int
    identity: str


@dataclasses.dataclass(frozen=True)
class PairOp:
    """One op of two engines: in LSB where both hold integers of one scale, and in dB (the first one is the signal).

    `index` is the op's in the `.tflite`; where neither engine runs one, the layer's in the Keras model.
    """

    index: int
    name: str
    exact_share: float | None = None
    max_lsb: int | None = None
    sqnr_db: float | None = None


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two engines of a matrix over all images, by what each gave in a free run (accumulated errors).

    `first` and `second` are positions in `Matrix.engines`. `exact_ops` counts the ops that are equal in every value of
    every image. `max_lsb` is the largest difference of any op; `sqnr_db` that of the worst op, `worst` its index.
    """

    first: int
    second: int
    ops: tuple[PairOp, ...]
    exact_ops: int
    first_divergent: int | None = None
    worst: int | None = None
    max_lsb: int | None = None
    sqnr_db: float | None = None
    top1_agreement: float | None = None


@dataclasses.dataclass(frozen=True)
class Matrix:
    """Every pair of N engines: N (N - 1) / 2 of them."""

    engines: tuple[EngineInfo, ...]
    pairs: tuple[Pair, ...]


@dataclasses.dataclass(frozen=True)
class Threshold:
    """One demand of a thresholds file, and whether it is met.

    `scope` is `run`, or an op as `op 3`; `bound` is what the file says (`>= 20`); `value` is what was measured, None
    where nothing was, which does not meet a demand.
    """

    scope: str
    metric: str
    bound: str
    value: float | str | None
    met: bool


@dataclasses.dataclass(frozen=True)
class Gaze:
    """Where one engine looks, over all images of a `Drift`; means over the images unless said.

    `spearman` (and the `worst_spearman`) is the rank correlation of its map with the float model's, `overlap` the
    share of the 20 % highest places that both have. `pointing` is the share of images whose highest place lies on the
    object, `mass` the share of the map on it; None without masks. `same_class`: how often it names the float's class.
    """

    engine: str
    role: str  # "float", "int8" or "device"
    spearman: float | None
    worst_spearman: float | None
    overlap: float | None
    pointing: float | None
    mass: float | None
    same_class: float
    empty: int  # maps in which nothing speaks for the class


@dataclasses.dataclass(frozen=True)
class Growth:
    """How far one layer of an engine is from the float model's on one image."""

    op: int
    layer: str
    sqnr_db: float | None


@dataclasses.dataclass(frozen=True)
class Disagreement:
    """An image for which an engine names another class than the float model, and where that grows."""

    image: str
    label: int | None
    float_class: int
    engine: str
    engine_class: int
    growth: tuple[Growth, ...] = ()


@dataclasses.dataclass(frozen=True)
class Drift:
    """The same images explained by float and quantised engines: does it still look where it looked?

    `kept` is the answer as a yes or no. `object_share` is the mean share of a picture that the object takes: what a
    map that knows nothing would score.
    """

    question: str
    answer: str
    kept: bool
    method: str
    images: int
    object_share: float | None
    engines: tuple[Gaze, ...]
    disagreements: tuple[Disagreement, ...]


@dataclasses.dataclass(frozen=True)
class Sample:
    """One image with every layer's tensor from every engine, kept for the page. Not part of the JSON.

    `image` is what the model was shown, uint8 (H, W, C), or None where the data were integers of the model already.
    """

    name: str
    image: npt.NDArray[np.uint8] | None
    label: int | None
    reference: Trace
    engine: Trace
    float: Trace | None = None


@dataclasses.dataclass(frozen=True)
class Answer:
    """One hypothesis, replayed: `share_restored` of the values that differ are as it says (1: equality).

    `detail` says which of its forms, `explanation` is its formula, `alike` how many other forms restore as much.
    """

    hypothesis: str
    family: str
    detail: str
    share_restored: float
    what_to_do: str
    explanation: str = ""
    alike: int = 0


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Why two engines differ: `cause` in a sentence, which begins with "unknown" where no hypothesis was confirmed.

    `hypothesis` is the name of the first answer, None where there is none; `op` the first divergent op, None where it
    is the device's own input that differs. `evidence` are sentences, `answers` the hypotheses that explain something,
    best first.
    """

    cause: str
    hypothesis: str | None
    op: int | None
    share_restored: float
    what_to_do: str
    evidence: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two engines over a set of images.

    `measured_against` names the engine that the metrics in real numbers (`rmse_scale`, `sqnr_db`, `cosine`, `max_abs`,
    `bias`) compare with: the float model where there is one, else the reference. `accuracy` and `confusion` (rows:
    label, columns: prediction) are by engine name; the value is None, and the matrix absent, where the images have no
    labels. `top1_agreement` is the share of images in which engine and reference name the same class,
    `float_top1_agreement` the same of engine and float model. `top5_agreement` is the share in which the reference's
    class is among the engine's five highest (None with fewer than six classes), `float_top5_agreement` the same of the
    float model's class. `first_divergent` and `worst` are op indices. `matrix` has every pair of several engines,
    `thresholds` what a thresholds file demanded, `drift` where the engines look.
    `instructions` is the sum over the ops. The sizes are of the board's memory where the engine has a board.
    """

    verdict: RunVerdict
    ops: tuple[OpResult, ...]
    engines: tuple[EngineInfo, ...]
    exact_ops: int
    total_ops: int
    images: int
    data: tuple[DataInfo, ...]
    measured_against: str | None = None
    class_names: tuple[str, ...] = ()
    top1_agreement: float | None = None
    float_top1_agreement: float | None = None
    top5_agreement: float | None = None
    float_top5_agreement: float | None = None
    accuracy: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    confusion: Mapping[str, npt.NDArray[np.int64]] = dataclasses.field(default_factory=dict)
    first_divergent: int | None = None
    worst: int | None = None
    tolerated: str | None = None  # "rounding" where the run passes with ROUNDING and INHERITED ops too
    cause: str | None = None
    diagnosis: Diagnosis | None = None  # how the cause was found, and what to do
    board: str | None = None
    instructions: int | None = None
    flash_bytes: int | None = None
    flash_total: int | None = None
    ram_bytes: int | None = None
    ram_total: int | None = None
    arena_bytes: int | None = None
    arena_lower_bound: int | None = None
    stack_used: int | None = None
    stack_bytes: int | None = None
    unpaired: tuple[str, ...] = ()  # Keras layers and ops without a partner
    notes: tuple[str, ...] = ()
    seconds: float | None = None
    matrix: Matrix | None = None
    thresholds: tuple[Threshold, ...] = ()
    drift: Drift | None = None
    samples: tuple[Sample, ...] = ()

    def engine(self, role: str) -> EngineInfo | None:
        """The engine in that role, or None."""
        return next((info for info in self.engines if info.role == role), None)

    @property
    def worst_sqnr(self) -> OpResult | None:
        """The op whose SQNR against the float model is lowest, or None where none was measured."""
        measured = [op for op in self.ops if op.sqnr_db is not None and not math.isnan(op.sqnr_db)]
        return min(measured, key=lambda op: op.sqnr_db if op.sqnr_db is not None else math.inf, default=None)

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        from firmware_tools.report.notebook import comparison_html

        return comparison_html(self)

    def to_json(self) -> str:
        """The report as strict JSON (RFC 8259), without the samples.

        Numbers which JSON cannot say are the strings `"inf"`, `"-inf"` and `"nan"`: an infinite `sqnr_db` means that
        there is no difference at all. What was not measured is null.
        """
        fields = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "samples"
        }
        return json.dumps({"format": JSON_FORMAT, **plain(fields)}, indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """`value` as what JSON can hold: records become dicts, arrays and tuples lists, non-finite floats strings.

    >>> plain({"sqnr_db": float("inf"), "where": (0, np.int64(3))})
    {'sqnr_db': 'inf', 'where': [0, 3]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
