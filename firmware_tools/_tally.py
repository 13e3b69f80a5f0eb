"""One op over all images: what is added up for it, and the `OpResult` made of it."""

import numpy as np

from firmware_tools import _channels, _likeness, metrics
from firmware_tools._channels import ChannelSums
from firmware_tools._likeness import Histograms
from firmware_tools.metrics import Reals, Steps
from firmware_tools.results import OpResult
from tfviz.trace import Step, Tensor, Trace


class Tally:
    """Adds up one op.

    Args:
        step: of the first image; gives what does not change from image to image.
        layer: the Keras layer that it came from.
        against_float: real-number metrics against the float model's layer, else against the reference.
        in_steps: both sides run the same `.tflite` ops, so that they may be compared in LSB.
    """

    def __init__(self, step: Step, layer: str | None, *, against_float: bool, in_steps: bool) -> None:
        self.step = step
        self.layer = layer
        self.against_float = against_float
        self.in_steps = in_steps
        self.free: Steps | None = None
        self.local: Steps | None = None
        self.locally_known = in_steps
        self.reals = Reals()
        self.channels = ChannelSums()
        self.histograms: Histograms | None = None
        self.ssim, self.pictures = 0.0, 0
        self.values = 0
        self.saturated = 0
        self.identical = in_steps
        self.instructions: list[int] = []
        self.cycles: list[int] = []

    def add(self, image: int, right: Trace, judged: Trace, local: Trace | None, real: Trace | None) -> None:
        """One more image; `local` is the forced run (the free one where nothing differs), None where unknown."""
        index = self.step.index
        listed = judged if self.in_steps or judged.engine != "keras" else right
        step = listed.step(index)
        if self.in_steps:
            reference = right.step(index)
            self._in_lsb(image, reference.output, step.output, None if local is None else local.step(index).output)
        self._against(self._x(right, real), step.output)
        self.values += step.output.values.size
        if np.issubdtype(step.output.values.dtype, np.integer):
            self.saturated += metrics.saturated(step.output.values, step.output.zero_point)
        if step.instructions is not None:
            self.instructions.append(step.instructions)
        if step.cycles is not None:
            self.cycles.append(step.cycles)

    def forget_local(self) -> None:
        """The engine cannot be forced after all."""
        self.locally_known, self.local = False, None

    def _in_lsb(self, image: int, right: Tensor, judged: Tensor, local: Tensor | None) -> None:
        comparable = (
            right.values.dtype == judged.values.dtype
            and np.issubdtype(judged.values.dtype, np.integer)
            and (right.scale, right.zero_point) == (judged.scale, judged.zero_point)
        )
        if not comparable:
            same = right.values.dtype == judged.values.dtype and right.scale == judged.scale
            self.identical &= same and np.array_equal(right.values, judged.values)
            return
        self.free = metrics.add_steps(self.free or Steps(), right.values, judged.values, image)
        if _channels.has_channels(judged.values):
            self.channels = _channels.add_channel_steps(self.channels, right.values, judged.values)
        if local is not None and self.locally_known:
            self.local = metrics.add_steps(self.local or Steps(), right.values, local.values, image)

    def _x(self, right: Trace, real: Trace | None) -> Tensor | None:
        if not self.against_float:
            return right.step(self.step.index).output
        if real is None or self.layer is None:
            return None
        return next((step.output for step in real.steps if step.name == self.layer), None)

    def _against(self, x: Tensor | None, y: Tensor) -> None:
        if x is None:
            return
        right, judged = x.real.reshape(y.values.shape), y.real
        self.reals = metrics.add_reals(self.reals, right, judged)
        empty = self.histograms or _likeness.histograms(right, y.scale, y.zero_point, y.values.dtype)
        self.histograms = _likeness.add_histograms(empty, right, judged)
        if _channels.has_channels(y.values):
            self.channels = _channels.add_channel_reals(self.channels, right, judged)
        if _likeness.are_maps(y.values):
            self.ssim += _likeness.maps_ssim(right, judged)
            self.pictures += 1

    def result(self) -> OpResult:
        """What was found."""
        output = self.step.output
        free, local, reals = self.free, self.local, self.reals
        if free is None and self.in_steps and self.identical:  # floats that are the same bits
            free = Steps(self.values, self.values, self.values)
        measured = reals.values > 0
        integers = np.issubdtype(output.values.dtype, np.integer)
        return OpResult(
            index=self.step.index,
            op=self.step.op,
            name=self.step.name,
            keras_layer=self.layer,
            verdict=metrics.verdict(free, local if self.locally_known else None),
            shape=output.values.shape,
            dtype=output.values.dtype.name,
            scale=output.scale,
            zero_point=output.zero_point,
            bytes=output.values.nbytes,
            instructions=_mean(self.instructions),
            cycles=_mean(self.cycles),
            exact_share=None if free is None else free.exact_share,
            within_one_lsb=None if free is None else free.within_one_share,
            max_lsb=None if free is None else free.worst,
            where=None if free is None else free.where,
            saturated_share=self.saturated / self.values if integers else None,
            local_max_lsb=None if local is None else local.worst,
            local_exact_share=None if local is None else local.exact_share,
            rmse_scale=reals.rmse / output.scale if measured and output.scale else None,
            sqnr_db=reals.sqnr_db if measured else None,
            cosine=reals.cosine if measured else None,
            max_abs=reals.max_abs if measured else None,
            bias=reals.bias if measured else None,
            nse=reals.nse if measured else None,
            kl=self.histograms.kl if self.histograms else None,
            ssim=self.ssim / self.pictures if self.pictures else None,
            nan_count=reals.nans,
            infinity_count=reals.infinities,
            channels=self.channels.result(output.scale),
        )


def _mean(numbers: list[int]) -> int | None:
    return round(sum(numbers) / len(numbers)) if numbers else None
