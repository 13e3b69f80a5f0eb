"""What advice is made of: frozen records, and their JSON. Imports nothing that computes."""

import dataclasses
import json
from enum import StrEnum

from firmware_tools.results import DataInfo, plain

WORTH_DB = 1.0  # a gain that is worth a word
SAME_SIZE = 1.01  # constants may be packed a little differently


class Cause(StrEnum):
    """Why a layer loses what it loses."""

    OUTLIER_CHANNELS = "outlier channels"  # a few channels have the range, the others a few steps of it
    OUTLIER_INPUT = "input with outlier channels"  # the same of the tensor that the layer reads
    CLIPPED = "clipped range"  # values beyond the range, in the calibration images as well
    CALIBRATION = "too few calibration images"  # values beyond the range that no calibration image had
    WIDE_RANGE = "wide range"  # rare large values stretch the range of a whole tensor
    SHARED_WEIGHTS = "weights with one scale"  # outputs of very different weights share a scale
    FIXED = "fixed scale"  # softmax and sigmoid: the scale is the specification's
    EIGHT_BITS = "eight bits"  # nothing in particular: the rounding itself


@dataclasses.dataclass(frozen=True)
class LayerLoss:
    """One op that is a Keras layer, over the images of the evaluation.

    `sqnr_db` is what has accumulated until here; `own_sqnr_db` what is left when the op reads the float model's own
    tensors: what this layer loses itself. `channel_sqnr_db` is the median channel's of that: far below `own_sqnr_db`,
    it tells of a few channels that are kept at the price of the others. `limits` is what the integers reach, `seen`
    what the float layer gives, `calibrated` what it gave over the calibration images. `rms_steps` is the signal's root
    mean square in steps of the scale.
    """

    index: int
    op: str
    layer: str
    sqnr_db: float
    own_sqnr_db: float
    channel_sqnr_db: float
    clipped_share: float
    limits: tuple[float, float] | None
    seen: tuple[float, float]
    calibrated: tuple[float, float] | None
    rms_steps: float | None
    outlier_channels: tuple[int, ...] = ()
    outlier_ratio: float | None = None
    cause: Cause = Cause.EIGHT_BITS
    because: str = ""
    remedy: str = ""

    @property
    def loss_db(self) -> float:
        """What layers are ordered by: the lower of the layer's own SQNR and its median channel's."""
        return min(self.own_sqnr_db, self.channel_sqnr_db)


@dataclasses.dataclass(frozen=True)
class Trial:
    """One way to convert the model, measured on the evaluation images.

    `sqnr_db` is of the scores before softmax or sigmoid; `gain_db` against the first trial, plain int8. `flash_bytes`
    are the model's constants as the built-in engine stores them (the file's, where `refusal` says that it does not run
    the model), `ram_bytes` its arena.
    """

    name: str
    sqnr_db: float
    gain_db: float
    top1_agreement: float | None
    accuracy: float | None
    flash_bytes: int
    ram_bytes: int
    file: str
    refusal: str | None = None


@dataclasses.dataclass(frozen=True)
class Advice:
    """Layers in the order of the model, sentences of advice, and the trials that were made."""

    model: str
    layers: tuple[LayerLoss, ...]
    advice: tuple[str, ...]
    trials: tuple[Trial, ...]
    data: tuple[DataInfo, ...]
    float_accuracy: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> tuple[LayerLoss, ...]:
        """The layers, those that lose most first."""
        return tuple(sorted(self.layers, key=lambda layer: layer.loss_db))

    @property
    def conclusion(self) -> str | None:
        """What gains most, and what gains most at no cost; None where nothing was tried."""
        if not self.trials:
            return None
        plain = self.trials[0]
        best = max(self.trials, key=lambda trial: trial.gain_db)
        if best.gain_db < WORTH_DB:
            return f"None of the trials gains {WORTH_DB:g} dB: plain int8 is as good as it gets."
        more = [best.flash_bytes - plain.flash_bytes, best.ram_bytes - plain.ram_bytes]
        cost = f"{more[0]:+,} B of flash and {more[1]:+,} B of RAM"
        text = f"Most is gained by {best.name}: {best.gain_db:.1f} dB for {cost}"
        free = max((trial for trial in self.trials if _costs_nothing(trial, plain)), key=lambda trial: trial.gain_db)
        if free is best or free.gain_db < WORTH_DB:
            return f"{text}."
        return f"{text}; at no cost by {free.name}: {free.gain_db:.1f} dB."

    def to_json(self) -> str:
        """Strict JSON; numbers that it cannot say are strings, as in report.json."""
        return json.dumps({"format": 1, **plain(self)}, indent=2, allow_nan=False) + "\n"


def _costs_nothing(trial: Trial, plain: Trial) -> bool:
    return trial.flash_bytes <= SAME_SIZE * plain.flash_bytes and trial.ram_bytes <= plain.ram_bytes
