"""Hypotheses about the model's bytes in the device: byte order, a truncated or another model, one flipped bit.

They are tried on the constants of the first divergent op. A constant lies in memory as the file has it, or as the
built-in engine packs it (`codegen.weights`): rows padded to words of four bytes, two or four of them in turns.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools._diagnose.case import Case, Observed
from firmware_tools._diagnose.kernel import SUMS, Kernel
from firmware_tools._diagnose.registry import about_kernel, about_memory

Array = npt.NDArray[Any]
Replays = Iterator[tuple[str, Kernel]]
ERASED = {"erased flash (0xFF)": -1, "zeros": 0}
COARSE = 64
"""Places of a cut that are tried before the best one is refined."""
CLOSE = 64
"""Pixels on which a candidate is tried first."""


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """`places[i]` is the position in the weights (channels x products, flat) of byte i in memory; -1: padding."""

    name: str
    places: Array

    def stored(self, weights: Array) -> Array:
        """The bytes in memory."""
        flat = np.append(weights.ravel(), np.int8(0))
        return flat[self.places]

    def read(self, stored: Array, weights: Array) -> Array:
        """Weights from the bytes in memory."""
        flat = weights.ravel().copy()
        real = self.places >= 0
        flat[self.places[real]] = stored[real]
        return flat.reshape(weights.shape)


def layouts(kernel: Kernel) -> Iterator[Layout]:
    """The ways in which the weights may lie in memory."""
    assert kernel.weights is not None
    channels, products = kernel.weights.shape
    places = np.arange(channels * products).reshape(channels, products)
    if kernel.op == "DEPTHWISE_CONV_2D":
        yield Layout("as the file has them", places.T.ravel())
        return
    yield Layout("as the file has them", places.ravel())
    padded = np.pad(places, ((0, 0), (0, -products % 4)), constant_values=-1)
    count = 4 if kernel.op == "FULLY_CONNECTED" else 2
    full = np.pad(padded, ((0, -channels % count), (0, 0)), constant_values=-1)
    turns = full.reshape(-1, count, full.shape[1] // 4, 4).transpose(0, 2, 1, 3)  # as `codegen.weights.in_turns` does
    yield Layout("as the built-in engine packs them", turns.ravel())


@about_kernel(
    "byte-swapped weights",
    ops=SUMS,
    family="model",
    fix="Write the model to flash byte by byte, in the order of the file (little endian); do not swap words.",
)
def byte_swapped(kernel: Kernel, observed: Observed) -> Replays:
    """Each word of 2, 4 or 8 bytes of the weights, and of the biases, reversed; the biases alone; the weights alone."""
    del observed
    assert kernel.weights is not None
    assert kernel.bias is not None
    turned = kernel.bias.astype(np.int32).byteswap().astype(np.int64)
    for changed in _with_bias(kernel, turned):
        yield "biases alone", changed
    for size in (4, 2, 8):
        for layout in layouts(kernel):
            stored = layout.stored(kernel.weights)
            whole = len(stored) // size * size
            swapped = stored.copy()
            swapped[:whole] = stored[:whole].reshape(-1, size)[:, ::-1].ravel()
            weights = layout.read(swapped, kernel.weights)
            for changed in kernel.with_weights(weights):
                yield f"words of {size} bytes", changed
            if size == 4:
                for changed in _with_bias(dataclasses.replace(kernel, weights=weights), turned):
                    yield "words of 4 bytes, biases too", changed


def _with_bias(kernel: Kernel, bias: Array) -> Iterator[Kernel]:
    """With other biases; also as the built-in engine's shortcut scales a sum down that is larger than it allows for."""
    yield dataclasses.replace(kernel, bias=bias)
    if kernel.shape.get("quick"):
        yield dataclasses.replace(kernel, bias=bias, rounding="shortcut")


@about_memory(
    "another model version",
    family="model",
    fix="Build and load the model that is compared with, or compare with that one.",
)
def other_version(case: Case) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """The outputs of another model file of the same ops: those beside the model, or those that were named."""
    for name, engine in case.others:
        made = []
        for seen in case.seen:
            given = {tensor.name: tensor.values for tensor in seen.right.inputs}
            own = [t.name for t in _inputs(engine)]
            made.append(engine.run(dict(zip(own, given.values(), strict=True))).step(case.op.index).output.values)
        yield f"the device runs {name}", tuple(made)


def _inputs(engine: Any) -> list[Any]:
    return [engine.graph.tensors[index] for index in engine.graph.inputs]


@about_kernel(
    "truncated model",
    ops=SUMS,
    family="model",
    fix="Load the whole model: compare the file's size with what was written to flash.",
)
def truncated(kernel: Kernel, observed: Observed) -> Replays:
    """From some byte on the weights are erased flash (0xFF) or zeros.

    The first channel that differs says where to look; then every place within its rows is tried.
    """
    assert kernel.weights is not None
    wrong = _wrong_channels(observed)
    for layout in layouts(kernel):
        stored = layout.stored(kernel.weights)
        channel_of = layout.places // kernel.weights.shape[1]
        touched = np.flatnonzero(np.isin(channel_of, wrong) & (layout.places >= 0))
        if not touched.size:
            continue
        for filler, value in ERASED.items():
            for start in _cuts(kernel, observed, layout, stored, value, int(touched[0])):
                cut = stored.copy()
                cut[start:] = value
                missing = len(stored) - start
                detail = f"the last {missing} of {len(stored)} bytes of the weights are {filler}"
                for changed in kernel.with_weights(layout.read(cut, kernel.weights)):
                    yield detail, changed


def _cuts(kernel: Kernel, observed: Observed, layout: Layout, stored: Array, value: int, first: int) -> list[int]:
    """Places from which on `value` explains the first channels that differ: tried on a few pixels, nearest first."""
    assert kernel.weights is not None
    span = 4 * (kernel.weights.shape[1] + 4) if kernel.op != "DEPTHWISE_CONV_2D" else len(stored)
    starts = range(first, min(first + span, len(stored)))
    if not starts or len(starts) > 20_000:
        return []
    small = _few_pixels(kernel, observed)

    def wrong(start: int) -> int:
        cut = stored.copy()
        cut[start:] = value
        tried = kernel.with_weights(layout.read(cut, kernel.weights))  # type: ignore[arg-type]
        return min(_wrong_on(changed, small) for changed in tried)

    step = max(1, len(starts) // COARSE)
    nearest = min(starts[::step], key=wrong)
    scored = {start: wrong(start) for start in range(max(first, nearest - step), min(starts.stop, nearest + step + 1))}
    best = min(scored.values())
    return [start for start, missed in scored.items() if missed == best][:3]


@about_kernel(
    "one weight bit flipped",
    ops=SUMS,
    family="model",
    fix="Write the flash again and verify it after writing; a bit that flips again means worn or disturbed flash.",
)
def bit_flipped(kernel: Kernel, observed: Observed) -> Replays:
    """One bit of one weight, bias, multiplier or shift is the other way: sum' = sum + (x - z) * (w' - w).

    Only one output channel may differ. All bits of its weights are tried at once on a few pixels, then the best in
    full.
    """
    assert kernel.weights is not None
    assert kernel.bias is not None
    assert kernel.scales is not None
    wrong = _wrong_channels(observed)
    if len(wrong) != 1:
        return
    channel = int(wrong[0])
    for position, bit in _weight_bits(kernel, observed, channel):
        weights = kernel.weights.copy()
        weights[channel].view(np.uint8)[position] ^= np.uint8(1 << bit)
        for changed in kernel.with_weights(weights):
            yield f"bit {bit} of {_where(kernel, channel, position)}", changed
    for bit in range(32):
        bias = kernel.bias.astype(np.int32)
        bias.view(np.uint32)[channel] ^= np.uint32(1 << bit)
        for changed in _with_bias(kernel, bias.astype(np.int64)):
            yield f"bit {bit} of the bias of channel {channel}", changed
    for bit in range(31):
        scales = kernel.scales.copy()
        scales[channel, 0] ^= 1 << bit
        yield f"bit {bit} of the multiplier of channel {channel}", dataclasses.replace(kernel, scales=scales)


def _where(kernel: Kernel, channel: int, position: int) -> str:
    """A weight's place in words."""
    s = kernel.shape
    if kernel.op == "FULLY_CONNECTED":
        return f"weight [{channel}, {position}] (unit, input)"
    if kernel.op == "DEPTHWISE_CONV_2D":
        row, column = divmod(position, s["filter_width"])
        return f"weight [0, {row}, {column}, {channel}] (row, column, channel)"
    depth = s["input_depth"] // s.get("groups", 1)
    tap, source = divmod(position, depth)
    row, column = divmod(tap, s["filter_width"])
    return f"weight [{channel}, {row}, {column}, {source}] (output channel, row, column, input channel)"


def _weight_bits(kernel: Kernel, observed: Observed, channel: int) -> list[tuple[int, int]]:
    """(position, bit) of the flips that explain the channel best, on the pixels that differ and some others."""
    assert kernel.weights is not None
    columns, judged = _channel_pixels(kernel, observed, channel)
    own = kernel.weights[channel].astype(np.int64)
    base = columns @ own.astype(np.float64)
    misses = []
    for z, bit in itertools.product((0, kernel.input_zero_point), range(8)):
        flipped = (kernel.weights[channel].view(np.uint8) ^ np.uint8(1 << bit)).view(np.int8).astype(np.int64)
        sums = base[:, None] + (columns + z) * (flipped - own)[None]
        made = kernel.finish(sums[..., None], np.array([channel]))[..., 0]
        misses.append((made != judged[:, None]).sum(axis=0))
    table = np.array(misses)
    rows, positions = np.nonzero(table == table.min())
    return list(dict.fromkeys(zip(positions.tolist(), (rows % 8).tolist(), strict=True)))[:8]


def _channel_pixels(kernel: Kernel, observed: Observed, channel: int) -> tuple[Array, Array]:
    """What one channel's weights are multiplied with, and what it gave: up to 512 pixels, those that differ first."""
    assert kernel.weights is not None
    columns, judged, right = [], [], []
    for given, made, wanted in zip(observed.inputs, observed.judged, observed.right, strict=True):
        column = kernel.columns(given[0])
        if kernel.op == "DEPTHWISE_CONV_2D":
            column = column[..., channel]
        elif kernel.shape.get("groups", 1) > 1:
            return np.zeros((0, kernel.weights.shape[1])), np.zeros(0, np.int8)
        columns.append(column)
        judged.append(made.reshape(len(column), -1)[:, channel])
        right.append(wanted.reshape(len(column), -1)[:, channel])
    x, y, z = np.concatenate(columns), np.concatenate(judged), np.concatenate(right)
    order = np.argsort(y == z, kind="stable")[:512]
    return x[order], y[order]


def _wrong_channels(observed: Observed) -> Array:
    """Output channels that differ in any run."""
    found = [
        np.unique(np.nonzero((a != b).reshape(-1, a.shape[-1]))[1])
        for a, b in zip(observed.right, observed.judged, strict=True)
    ]
    return np.unique(np.concatenate(found))


def _few_pixels(kernel: Kernel, observed: Observed) -> tuple[Array, Array]:
    """Columns and outputs of a few pixels that differ."""
    columns = np.concatenate([kernel.columns(given[0]) for given in observed.inputs])
    judged = np.concatenate([made.reshape(-1, made.shape[-1]) for made in observed.judged])
    right = np.concatenate([made.reshape(-1, made.shape[-1]) for made in observed.right])
    order = np.argsort(~(judged != right).any(axis=1), kind="stable")[:CLOSE]
    return columns[order], judged[order]


def _wrong_on(kernel: Kernel, small: tuple[Array, Array]) -> int:
    """How many values of a few pixels the kernel gets wrong."""
    assert kernel.weights is not None
    columns, judged = small
    weights = kernel.weights.astype(np.float64)
    if kernel.op == "DEPTHWISE_CONV_2D":
        made = kernel.finish(np.einsum("ptc,ct->pc", columns, weights))
    elif columns.shape[1] != weights.shape[1]:
        return judged.size
    else:
        made = kernel.finish(columns @ weights.T)
    return int((made != judged).sum())
