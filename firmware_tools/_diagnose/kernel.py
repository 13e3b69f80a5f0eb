"""The int8 ops in NumPy, as data: a `Kernel` can be changed in one place and run on the engine's own inputs.

CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: `clamp(zero_point + rescale[c](bias[c] + sum of (x - z) * w[c]))`;
ADD: `clamp(zero_point + rescale(rescale_a(a) + rescale_b(b)))`; AVERAGE_POOL_2D and MAX_POOL_2D. Unchanged, each gives
what TensorFlow Lite Micro gives, bit for bit; `diagnose` checks that on every op before it replays anything on it.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools._diagnose import rounding
from firmware_tools.codegen.numerics import channel_scales, scale_of
from firmware_tools.codegen.registry import Refusal, lower
from firmware_tools.graph import Graph, Op

Array = npt.NDArray[Any]
SUMS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
WINDOWED = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")
OPS = (*SUMS, "ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D")


@dataclasses.dataclass(frozen=True, eq=False)
class Kernel:
    """One int8 op.

    Attributes:
        op: its BUILTIN name.
        shape: the numbers of the op as the generator gives them to the C kernel (sizes, padding, zero points, range).
        output_shape: of the output tensor.
        weights: int8 (channels, products) in the order of the sum (row, column, input channel); None without weights.
        bias: int64 (channels,), not folded.
        scales: int64 (channels, 2), multiplier and shift of each channel; of ADD: of a, b and the output.
        real_scales: the same factors as real numbers, float64 (channels,).
        rounding: how a sum is rescaled, by its name in `rounding.ROUNDINGS`.
        average: how the mean of a pool is rounded: "away", "floor", "truncate" or "even".
        saturate: false: the result wraps modulo 256 where it should be clamped.
        drop: output positions that the kernel does not write, as a boolean array of the output's shape.
    """

    op: str
    shape: Mapping[str, int]
    output_shape: tuple[int, ...]
    weights: Array | None = None
    bias: Array | None = None
    scales: Array | None = None
    real_scales: Array | None = None
    rounding: str = "double"
    average: str = "away"
    saturate: bool = True
    drop: Array | None = None

    def run(self, inputs: Sequence[Array], held: Array | None = None) -> Array:
        """The op's output, int8 in its shape, of the activations `inputs` (in the op's order).

        `held` is what the output's memory held before, for positions that are not written; None: zeros.
        """
        if self.op == "ADD":
            made = self._add(inputs)
        elif self.op in SUMS:
            made = self._sums(inputs[0])
        else:
            made = self._pool(inputs[0])
        made = made.reshape(self.output_shape)
        if self.drop is not None:
            made = np.where(self.drop, np.int8(0) if held is None else held, made)
        return made

    def changed(self, **fields: int) -> "Kernel":
        """With other numbers in `shape`."""
        return dataclasses.replace(self, shape={**self.shape, **fields})

    def with_weights(self, weights: Array) -> Iterator["Kernel"]:
        """With other weights: where the kernel takes off the input's zero point, and where the bias had taken it up.

        A bias that was folded with the right weights keeps `-z * sum(w)`, so that each change counts `x` instead of
        `x - z`.
        """
        assert self.weights is not None
        assert self.bias is not None
        yield dataclasses.replace(self, weights=weights)
        if self.input_zero_point:
            change = weights.astype(np.int64).sum(axis=1) - self.weights.astype(np.int64).sum(axis=1)
            yield dataclasses.replace(self, weights=weights, bias=self.bias + self.input_zero_point * change)

    def columns(self, inputs: Array) -> Array:
        """What the weights are multiplied with: float64 (pixels, products), or (pixels, taps, channels) depthwise."""
        if self.op == "FULLY_CONNECTED":
            return inputs.reshape(self.shape["batches"], -1).astype(np.float64) - self.input_zero_point
        taps = self._taps(inputs.astype(np.float64) - self.input_zero_point, 0.0)
        pixels = taps.shape[0] * taps.shape[1]
        if self.op == "CONV_2D":
            return taps.reshape(pixels, -1)
        deep = taps.reshape(pixels, -1, taps.shape[-1])
        return np.repeat(deep, self.shape["multiplier"], axis=2)

    @property
    def input_zero_point(self) -> int:
        """Zero point of the first input."""
        return self.shape["input_zero_point"]

    def finish(self, sums: Array, channels: Array | slice = slice(None)) -> Array:
        """Sums (..., channels) to int8: bias, rescale, zero point, clamp."""
        assert self.bias is not None
        assert self.scales is not None
        assert self.real_scales is not None
        total = rounding.wrapped(sums.astype(np.int64) + self.bias[channels])
        scaled = rounding.ROUNDINGS[self.rounding](total, self.scales[channels], self.real_scales[channels])
        return self.ended(scaled)

    def ended(self, scaled: Array) -> Array:
        """`zero_point + scaled`, clamped to the activation's range, or wrapped."""
        x = scaled + self.shape["output_zero_point"]
        if self.saturate:
            return np.clip(x, self.shape["activation_min"], self.shape["activation_max"]).astype(np.int8)
        low = self.shape["activation_min"]
        return np.maximum(x, low if low > -128 else x).astype(np.uint8).view(np.int8)

    def _sums(self, image: Array) -> Array:
        assert self.weights is not None
        columns, weights = self.columns(image), self.weights.astype(np.float64)
        if self.op == "DEPTHWISE_CONV_2D":
            return self.finish(np.einsum("ptc,ct->pc", columns, weights))
        if self.shape.get("groups", 1) > 1:
            return self._grouped(image, weights, self.shape["groups"])
        return self.finish(columns @ weights.T)

    def _grouped(self, image: Array, weights: Array, groups: int) -> Array:
        taps = self._taps(image.astype(np.float64) - self.input_zero_point, 0.0)
        pixels = taps.shape[0] * taps.shape[1]
        parts = np.split(taps.reshape(pixels, -1, taps.shape[-1]), groups, axis=2)
        each = np.split(weights, groups)
        return self.finish(
            np.concatenate([p.reshape(pixels, -1) @ w.T for p, w in zip(parts, each, strict=True)], axis=1)
        )

    def _taps(self, image: Array, outside: float) -> Array:
        """(output height, output width, filter height, filter width, channels) of one image; `outside` off its edge."""
        s = self.shape
        x = image[0]
        reach = [
            (s[f"output_{side}"] - 1) * s[f"stride_{side}"]
            + (s[f"filter_{side}"] - 1) * s.get(f"dilation_{side}", 1)
            + 1
            for side in ("height", "width")
        ]
        before = (s["pad_top"], s["pad_left"])
        pads = [(b, max(0, r - b - n)) for b, r, n in zip(before, reach, x.shape, strict=False)]
        x = np.pad(x, (*pads, (0, 0)), constant_values=outside)
        rows, columns = (
            np.arange(s[f"output_{side}"])[:, None] * s[f"stride_{side}"]
            + np.arange(s[f"filter_{side}"])[None] * s.get(f"dilation_{side}", 1)
            for side in ("height", "width")
        )
        return x[rows[:, None, :, None], columns[None, :, None, :]]

    def _pool(self, image: Array) -> Array:
        if self.op == "MAX_POOL_2D":
            best = self._taps(image.astype(np.float64), -np.inf).max(axis=(2, 3))
            return self._clamped(best)
        taps = self._taps(image.astype(np.float64), np.nan)
        count = (~np.isnan(taps[..., :1])).sum(axis=(2, 3))
        mean = np.nansum(taps, axis=(2, 3)) / count
        return self._clamped(AVERAGES[self.average](mean))

    def _clamped(self, x: Array) -> Array:
        return np.clip(x, self.shape["activation_min"], self.shape["activation_max"]).astype(np.int8)

    def _add(self, inputs: Sequence[Array]) -> Array:
        assert self.scales is not None
        assert self.real_scales is not None
        rescale = rounding.ROUNDINGS[self.rounding]
        s = self.shape
        if self.rounding == "float":  # one sum of real numbers, rounded once
            parts = [
                (np.float32(self.real_scales[i]) * (x.astype(np.int64) - s[f"{name}_zero_point"])).astype(np.float32)
                for i, (name, x) in enumerate(zip("ab", inputs, strict=True))
            ]
            return self.ended(np.rint(parts[0] + parts[1]).astype(np.int64))
        parts = [
            rescale((x.astype(np.int64) - s[f"{name}_zero_point"]) << 20, self.scales[i], self.real_scales[i])
            for i, (name, x) in enumerate(zip("ab", inputs, strict=True))
        ]
        return self.ended(rescale(parts[0] + parts[1], self.scales[2], self.real_scales[2]))


AVERAGES: dict[str, Callable[[Array], Array]] = {
    "away": lambda x: np.trunc(x + np.copysign(0.5, x)),
    "floor": np.floor,
    "truncate": np.trunc,
    "even": np.rint,
}


def kernel_of(graph: Graph, op: Op) -> Kernel | None:
    """The op as a `Kernel`; None where it is none of `OPS` in int8, or outside of what the built-in engine runs."""
    tensors = graph.tensors
    if op.name not in OPS or tensors[op.outputs[0]].dtype != "int8" or tensors[op.inputs[0]].dtype != "int8":
        return None
    try:
        call = lower(graph, op).calls[0]
    except Refusal:
        return None
    output = tensors[op.outputs[0]]
    shape = dict(call.shape)
    made = Kernel(op.name, shape, output.shape)
    if op.name in SUMS:
        return _with_weights(graph, op, made)
    if op.name != "ADD":
        return made
    a, b = (tensors[index] for index in op.inputs)
    if a.is_constant or b.is_constant or a.shape != b.shape:
        return None
    scales = np.array([[shape[f"{name}_multiplier"], shape[f"{name}_shift"]] for name in ("a", "b", "output")])
    real = np.array([scale_of(a) / scale_of(output), scale_of(b) / scale_of(output), 1.0])
    return dataclasses.replace(made, scales=scales.astype(np.int64), real_scales=real)


def _with_weights(graph: Graph, op: Op, made: Kernel) -> Kernel | None:
    image, kernel, output = (graph.tensors[index] for index in (op.inputs[0], op.inputs[1], op.outputs[0]))
    if kernel.data is None or (kernel.zero_point != 0).any():
        return None
    weights = kernel.data.reshape(-1, kernel.shape[-1]).T if op.name == "DEPTHWISE_CONV_2D" else kernel.data
    weights = weights.reshape(output.shape[-1], -1)
    channels = len(weights)
    bias = np.zeros(channels, np.int64)
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        data = graph.tensors[op.inputs[2]].data
        if data is None:
            return None
        bias += data.ravel()
    # From the file: the generator may change those of dead channels.
    rows = channel_scales(image, kernel, output).astype(np.int64)
    real = kernel.scale.astype(np.float64) * scale_of(image) / scale_of(output)
    shape = {**made.shape, "input_zero_point": int(image.zero_point[0])}
    return dataclasses.replace(
        made,
        shape=shape,
        weights=weights,
        bias=bias,
        scales=np.repeat(rows, channels // len(rows), axis=0),
        real_scales=np.repeat(real, channels // len(real)),
    )
