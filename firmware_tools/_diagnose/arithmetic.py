"""Hypotheses about a kernel's arithmetic: rounding, widths, padding, activation, saturation, scales."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from firmware_tools._diagnose.case import Observed
from firmware_tools._diagnose.kernel import AVERAGES, SUMS, WINDOWED, Kernel
from firmware_tools._diagnose.registry import about_kernel
from firmware_tools.codegen.numerics import quantize_multiplier

Replays = Iterator[tuple[str, Kernel]]


@about_kernel(
    "single rounding",
    ops=(*SUMS, "ADD"),
    fix="Nothing is broken: these kernels round once where TensorFlow Lite Micro rounds twice. Compare with kernels "
    "that round alike, or build without TFLITE_SINGLE_ROUNDING.",
)
def single_rounding(kernel: Kernel, observed: Observed) -> Replays:
    """`(sum * m + 2**(30 - shift)) >> (31 - shift)`; or `rint(sum * scale)` in float32, as XNNPACK does."""
    del observed
    yield "in integers", dataclasses.replace(kernel, rounding="single")
    yield "in float32, as XNNPACK", dataclasses.replace(kernel, rounding="float")


@about_kernel(
    "another rounding",
    ops=(*SUMS, "ADD", "AVERAGE_POOL_2D"),
    fix="Rescale as TensorFlow Lite Micro does: a doubling high multiply that rounds, then a shift that rounds halves "
    "away from zero.",
)
def other_rounding(kernel: Kernel, observed: Observed) -> Replays:
    """Cut off instead of rounded, in either step or in both; halves upward instead of away from zero."""
    del observed
    if kernel.op == "AVERAGE_POOL_2D":
        for name in AVERAGES:
            if name != kernel.average:
                yield f"the mean by '{name}'", dataclasses.replace(kernel, average=name)
        return
    for name in ("truncated", "first cut off", "second cut off", "double, halves upward"):
        yield name, dataclasses.replace(kernel, rounding=name)


@about_kernel(
    "kernel wrong for widths that are no multiple",
    ops=(*SUMS, "ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D"),
    fix="The kernel drops the rest that does not fill its vector; mend its tail loop, or pad the layer.",
)
def odd_widths(kernel: Kernel, observed: Observed) -> Replays:
    """Only the first `n // k * k` products, channels, columns or values are computed, for k = 4, 8, 16.

    What is left out of a sum counts as zero; what is not written keeps what its memory held, or zeros.
    """
    del observed
    shape = kernel.output_shape
    for k in (4, 8, 16):
        if kernel.weights is not None and kernel.weights.shape[1] % k:
            whole = kernel.weights.shape[1] // k * k
            kept = np.where(np.arange(kernel.weights.shape[1]) < whole, kernel.weights, 0).astype(np.int8)
            for changed in kernel.with_weights(kept):
                yield f"products of a sum, multiples of {k}", changed
        for name, axis in (("channels", -1), ("columns", -2)):
            if len(shape) >= 2 - (axis == -1) and shape[axis] % k and shape[axis] > k:
                drop = np.zeros(shape, bool)
                np.moveaxis(drop, axis, 0)[shape[axis] // k * k :] = True
                yield f"{name}, multiples of {k}", dataclasses.replace(kernel, drop=drop)
        size = int(np.prod(shape))
        if size % k and size > k:
            drop = (np.arange(size) >= size // k * k).reshape(shape)
            yield f"values of the tensor, multiples of {k}", dataclasses.replace(kernel, drop=drop)


@about_kernel(
    "SAME padding on the other side",
    ops=WINDOWED,
    fix="TensorFlow pads the smaller half above and left; pad (total // 2) before and the rest after.",
)
def other_side(kernel: Kernel, observed: Observed) -> Replays:
    """An odd padding's larger half before the first pixel instead of after the last one."""
    del observed
    s = kernel.shape
    totals = [
        max(
            0,
            (s[f"output_{side}"] - 1) * s[f"stride_{side}"]
            + (s[f"filter_{side}"] - 1) * s.get(f"dilation_{side}", 1)
            + 1
            - s[f"input_{side}"],
        )
        for side in ("height", "width")
    ]
    top, left = (total - total // 2 for total in totals)
    if (top, left) != (s["pad_top"], s["pad_left"]):
        yield "", kernel.changed(pad_top=top, pad_left=left)
        yield "above alone", kernel.changed(pad_top=top)
        yield "left alone", kernel.changed(pad_left=left)
    if s["pad_top"] or s["pad_left"]:
        yield "no padding before", kernel.changed(pad_top=0, pad_left=0)


@about_kernel(
    "ReLU lost",
    ops=(*SUMS, "ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D"),
    fix="Give the kernel the fused activation's range: its smallest output is the output's zero point.",
)
def relu_lost(kernel: Kernel, observed: Observed) -> Replays:
    """The clamp at -128..127 instead of the fused activation's range; or its lower, or upper, bound alone lost."""
    del observed
    low, high = kernel.shape["activation_min"], kernel.shape["activation_max"]
    if high < 127 and low > -128:
        yield "both bounds", kernel.changed(activation_min=-128, activation_max=127)
    if low > -128:
        yield "the lower bound", kernel.changed(activation_min=-128)
    if high < 127:
        yield "the upper bound", kernel.changed(activation_max=127)


@about_kernel(
    "saturation lost",
    ops=(*SUMS, "ADD"),
    fix="Clamp to -128..127 before the cast to int8; a cast alone wraps around.",
)
def wraps(kernel: Kernel, observed: Observed) -> Replays:
    """The result modulo 256 where it should stop at -128 or 127, the activation's lower bound kept or lost too."""
    del observed
    yield "", dataclasses.replace(kernel, saturate=False)
    if kernel.shape["activation_min"] > -128:
        yield "the activation too", dataclasses.replace(kernel.changed(activation_min=-128), saturate=False)


@about_kernel(
    "per-tensor scale used for per-channel",
    ops=SUMS,
    fix="Give each channel its own multiplier and shift; the weights are quantised per channel.",
)
def per_tensor(kernel: Kernel, observed: Observed) -> Replays:
    """One channel's factor for all of them: the first's, the largest, the last's, the mean."""
    del observed
    assert kernel.scales is not None
    assert kernel.real_scales is not None
    if len(np.unique(kernel.scales, axis=0)) < 2:
        return
    real = kernel.real_scales
    for name, factor in (
        ("the first channel's", real[0]),
        ("the largest", real.max()),
        ("the last channel's", real[-1]),
        ("the mean", real.mean()),
        ("the smallest", real.min()),
    ):
        scales = np.tile(np.array(quantize_multiplier(float(factor)), np.int64), (len(real), 1))
        yield name, dataclasses.replace(kernel, scales=scales, real_scales=np.full_like(real, factor))
    yield (
        "its multiplier alone",
        dataclasses.replace(
            kernel,
            scales=np.stack([np.full_like(kernel.scales[:, 0], kernel.scales[0, 0]), kernel.scales[:, 1]], axis=1),
        ),
    )
