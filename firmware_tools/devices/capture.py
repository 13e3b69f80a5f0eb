"""What a device took from its own sensor: the frame as it came, and the input tensor that it made of it."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from firmware_tools.graph import Graph
from firmware_tools.link.messages import RawFormat
from tfviz.errors import InputError
from tfviz.preprocess import Preprocess
from tfviz.trace import Array

_BYTES = {RawFormat.GREY8: 1, RawFormat.RGB888: 3, RawFormat.RGB565_BIG: 2, RawFormat.RGB565_LITTLE: 2}


@dataclasses.dataclass(frozen=True)
class Capture:
    """One capture.

    `raw` are the sensor's bytes, `format`, `width` and `height` what the device says of them, `inputs` the model's
    inputs by name as the device filled them.
    """

    raw: bytes
    format: int
    width: int
    height: int
    inputs: Mapping[str, Array]

    @property
    def words(self) -> str:
        """What the frame is, for a reader.

        >>> Capture(bytes(2), RawFormat.RGB565_LITTLE, 1, 1, {}).words
        '1 x 1 pixels, RGB565_LITTLE'
        """
        if self.format not in set(RawFormat):
            return f"of the unknown format {self.format}"
        name = RawFormat(self.format).name
        return f"{self.width} x {self.height} pixels, {name}" if self.format in _BYTES else "no picture"

    @property
    def picture(self) -> npt.NDArray[np.uint8]:
        """The frame as (height, width, 1 or 3) uint8, RGB.

        >>> Capture(bytes([0xF8, 0x00, 0x07, 0xE0]), RawFormat.RGB565_BIG, 2, 1, {}).picture.tolist()
        [[[255, 0, 0], [0, 255, 0]]]

        Raises:
            InputError: the device does not say how its bytes are to be read, or says what does not fit them.
        """
        size = _BYTES.get(RawFormat(self.format)) if self.format in set(RawFormat) else None
        if size is None:
            raise InputError(f"The captured frame is of format {self.format}, which is not a picture's.")
        if len(self.raw) != size * self.width * self.height:
            raise InputError(
                f"The captured frame has {len(self.raw)} bytes; {self.width} x {self.height} pixels of format "
                f"{RawFormat(self.format).name} are {size * self.width * self.height}."
            )
        if size != 2:
            return np.frombuffer(self.raw, np.uint8).reshape(self.height, self.width, size)
        order = ">u2" if self.format == RawFormat.RGB565_BIG else "<u2"
        packed = np.frombuffer(self.raw, order).astype(np.uint32).reshape(self.height, self.width)
        channels = [(packed >> shift & mask) * 255 // mask for shift, mask in ((11, 31), (5, 63), (0, 31))]
        return np.stack(channels, axis=-1).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The device's preprocessing against the host's: `difference` in steps of the input's integers, device - host."""

    exact: bool
    worst: int
    exact_share: float
    difference: npt.NDArray[np.int64]


def judge(capture: Capture, graph: Graph, *, preprocess: Preprocess | None = None) -> Judgement:
    """Compare the input that the device made with what the host makes of the same frame.

    Args:
        capture: of a device with one input.
        graph: the model.
        preprocess: what the model expects of pixels, as its sidecar says; None: the frame as it is.

    Raises:
        InputError: the frame is not a picture, or the model has several inputs.
    """
    from firmware_tools.quantize import model_input

    if len(graph.inputs) != 1:
        raise InputError(f"The model has {len(graph.inputs)} inputs; a captured picture can be judged for one.")
    tensor = graph.tensors[graph.inputs[0]]
    wanted = model_input(capture.picture[None], tensor, preprocess=preprocess)
    difference = capture.inputs[tensor.name].astype(np.int64) - wanted.astype(np.int64)
    return Judgement(
        exact=not difference.any(),
        worst=int(np.abs(difference).max()),
        exact_share=float(np.mean(difference == 0)),
        difference=difference,
    )
