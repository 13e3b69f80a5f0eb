"""What the built-in engine's kernels leave in their working memory: a part of what a later tensor's memory held."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools._diagnose.kernel import Kernel

Array = npt.NDArray[Any]


def left_behind(kernel: Kernel | None, image: Array, away: int) -> Array | None:
    """The bytes of working memory after the op; None where that is not known.

    Args:
        kernel: the op.
        image: its input.
        away: place of the working memory minus that of the input, in the arena.

    A convolution leaves the columns of its last two pixels (firmware/nn/conv_2d.c), a depthwise one the places of its
    last pixel's taps and a pixel of zero points (depthwise_conv_2d.c).
    """
    if kernel is None or kernel.shape.get("groups", 1) > 1:
        return None
    if kernel.op == "CONV_2D":
        rows = np.pad(_taps(kernel, image), ((0, 0), (0, -kernel.shape["row"] % 4)))
        row = kernel.shape["row"]
        columns = np.zeros((2, row), np.int8)
        for pixel in range(max(0, len(rows) - 3), len(rows)):
            columns[pixel % 2, : rows.shape[1]] = rows[pixel][:row]
        return columns.ravel().view(np.uint8)
    if kernel.op == "DEPTHWISE_CONV_2D":
        s = kernel.shape
        places = []
        for row in range(s["filter_height"]):
            y = (s["output_height"] - 1) * s["stride_height"] - s["pad_top"] + row * s["dilation_height"]
            for column in range(s["filter_width"]):
                x = (s["output_width"] - 1) * s["stride_width"] - s["pad_left"] + column * s["dilation_width"]
                inside = 0 <= y < s["input_height"] and 0 <= x < s["input_width"]
                outside = away + 4 * s["filter_height"] * s["filter_width"]
                places.append((y * s["input_width"] + x) * s["input_depth"] if inside else outside)
        zeros = np.full(s["input_depth"], kernel.input_zero_point, np.int8).view(np.uint8)
        return np.concatenate([np.array(places, "<i4").view(np.uint8), zeros])
    return None


def _taps(kernel: Kernel, image: Array) -> Array:
    """The raw bytes that each pixel's weights meet, (pixels, products)."""
    return (kernel.columns(image) + kernel.input_zero_point).astype(np.int8)
