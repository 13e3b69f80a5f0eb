"""From a raw frame to the model's input, stage by stage, so that a hypothesis can change one of them."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools.graph import GraphTensor
from firmware_tools.quantize import dequantize, model_input, quantization, quantize
from tfviz.preprocess import Preprocess

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Feeding:
    """One input, and how it is made.

    Attributes:
        frame: the picture as it came, uint8 (H, W, 3 or 1) RGB; None where only the model's integers are known.
        integers: what the model should be given, in the shape of its input.
        tensor: the model's input.
        preprocess: what the model expects of pixels; None: as they are.
        previous: the input of the run before, None where there was none.
        previous_right: what the run before should have been given, where that is not the same.
        seen: what the device really fed, where that can be read (CAPTURE); None where only the ops' outputs are known.
        suspect: bytes of the input between which it begins to differ, as the first op's output tells; None: unknown.
        others: scale and zero point of other models' inputs, by file name.
    """

    frame: Array | None
    integers: Array
    tensor: GraphTensor
    preprocess: Preprocess | None
    previous: Array | None = None
    previous_right: Array | None = None
    seen: Array | None = None
    suspect: tuple[int, int] | None = None
    others: tuple[tuple[str, float, int], ...] = ()

    @property
    def picture(self) -> Array | None:
        """(h, w, C) in the model's size and colours before the arithmetic; None where the input is no picture."""
        if self.frame is not None and self.preprocess is not None:
            return self.preprocess.pixels(self.frame[None])[0]
        if self.frame is not None:
            return self.frame
        if len(self.tensor.shape) != 4 or self.tensor.shape[3] not in (1, 3):
            return None
        real = self.real
        if self.preprocess is not None:
            real = (real * np.asarray(self.preprocess.std) + np.asarray(self.preprocess.mean)) / self.preprocess.scale
        return np.asarray(real, np.float32)

    @property
    def real(self) -> Array:
        """The right input as real numbers, float32, without its batch axis."""
        scale, zero_point = quantization(self.tensor)
        one = self.integers.reshape(self.tensor.shape)[0]
        return one.astype(np.float32) if scale is None else dequantize(one, scale=scale, zero_point=zero_point)

    def arithmetic(self, picture: Array) -> Array:
        """`(scale * pixel - mean) / std` in float32, as the model's `Preprocess` says."""
        x = picture.astype(np.float32)
        if self.preprocess is None:
            return x
        x = x * np.float32(self.preprocess.scale) - np.asarray(self.preprocess.mean, np.float32)
        return np.asarray(x / np.asarray(self.preprocess.std, np.float32), np.float32)

    def quantised(self, real: Array, *, scale: float | None = None, zero_point: int | None = None) -> Array:
        """Real numbers as the input's integers, with its own scale and zero point where no others are given."""
        own_scale, own_zero_point = quantization(self.tensor)
        if own_scale is None:
            return real.astype(self.tensor.dtype).reshape(self.tensor.shape)
        made = quantize(
            real,
            scale=own_scale if scale is None else scale,
            zero_point=own_zero_point if zero_point is None else zero_point,
            dtype=self.tensor.dtype,
        )
        return made.reshape(self.tensor.shape)

    def finish(self, picture: Array) -> Array:
        """The rest of the way from a picture in the model's size and colours."""
        return self.quantised(self.arithmetic(picture))

    def from_frame(self, frame: Array, preprocess: Preprocess | None = None) -> Array:
        """The whole way, from a frame of any size."""
        return model_input(
            np.ascontiguousarray(frame)[None], self.tensor, preprocess=preprocess or self.preprocess
        ).reshape(self.tensor.shape)

    @property
    def start(self) -> Array | None:
        """The earliest picture that is known: the frame, else the picture in the model's size."""
        return self.picture if self.frame is None else self.frame

    def again(self, start: Array) -> Array:
        """The rest of the way from what `start` is."""
        return self.finish(start) if self.frame is None else self.from_frame(start)
