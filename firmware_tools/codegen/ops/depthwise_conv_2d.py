"""DEPTHWISE_CONV_2D: as CONV_2D, but output channel c sees input channel `c // multiplier` alone."""

import numpy as np

from firmware_tools.codegen import weights, windows
from firmware_tools.codegen.numerics import zero_point_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import Array

SMALL_PLANE = 4096
"""Bytes of working memory that nn_depthwise_3x3 may take whatever the size of its tensors."""


@lowers("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(node: Node) -> Lowered:
    """3x3 filters go by planes, others as (height, width, channels); the bias takes up the input's zero point."""
    image, kernel, output = node.input(0), node.input(1), node.output
    node.int8(image, output)
    node.activation_inputs(0)
    weights.check(node, kernel, channel_axis=3)
    node.require(bool((kernel.zero_point == 0).all()), "has weights whose zero point is not 0")
    node.require(
        len(kernel.shape) == 4 and kernel.shape[0] == 1,
        f"has weights of shape {list(kernel.shape)}, expected (1, height, width, channels)",
    )
    _, height, width, channels = kernel.shape
    window = windows.fields(node, height, width)
    multiplier = channels // image.shape[3]
    node.require(
        multiplier * image.shape[3] == channels == output.shape[3],
        f"has {channels} filters for {image.shape[3]} input and {output.shape[3]} output channels",
    )
    node.require(height * width <= weights.MAX_PRODUCTS, f"sums {height * width} products, too many")
    taps = node.constant(1, "int8").reshape(height * width, channels)
    low, high = node.activation(output)
    scales = weights.scales(node, image, kernel, output)
    bias = weights.folded_bias(node, 2, zero_point_of(image), taps.sum(axis=0, dtype="int64"))
    sizes = weights.sizes(taps.T)
    bias, scales = weights.settled(sizes, bias, scales)
    shape = {
        "batches": image.shape[0],
        "input_height": image.shape[1],
        "input_width": image.shape[2],
        "input_depth": image.shape[3],
        "output_height": output.shape[1],
        "output_width": output.shape[2],
        "output_depth": channels,
        **window,
        "multiplier": multiplier,
        "input_zero_point": zero_point_of(image),
        "output_zero_point": zero_point_of(output),
        "activation_min": low,
        "activation_max": high,
        "scale_step": int(len(scales) > 1),
        "quick": weights.quick(sizes, bias, scales, low, high),
    }
    made = weights.channels(
        bias,
        scales,
        np.abs(taps.astype("int64")).sum(axis=0),
        zero_point_of(output),
        (low, high),
        quick=_fits_planes(shape),
    )
    if made.quick:
        return _by_planes(shape, taps, made.rows, image.bytes == output.bytes)
    call = Call(
        function="nn_depthwise_conv_2d",
        source="depthwise_conv_2d",
        header="depthwise_conv_2d",
        shape_type="nn_depthwise_conv_2d_shape",
        shape=shape,
        arguments=(0, "weights", "bias", "scales"),
        scratch=True,
        helpers=("nn_finish", "nn_widen"),
        constants={"weights": taps, "bias": bias, "scales": scales},
    )
    covered = (height - 1) * window["dilation_height"] + 1
    places = (output.shape[2] - 1) * window["stride_width"] + (width - 1) * window["dilation_width"] + 1
    # A pointer takes 4 bytes on every board; 8 where the same C runs on a desktop.
    return Lowered((call,), scratch=8 * (height + height * width + covered * places) + 4)


def _plane_bytes(shape: dict[str, int]) -> int:
    """Working memory of nn_depthwise_3x3: the image of one channel, its border included, as int16."""
    stride, width = shape["stride_width"], shape["output_width"]
    pitch = -(-width // 2) * 2 + 2 if stride == 1 else 2 * width + 2
    return 2 * pitch * ((shape["output_height"] - 1) * stride + 3)


def _fits_planes(shape: dict[str, int]) -> bool:
    """Whether nn_depthwise_3x3 takes the op, for working memory that is small beside its tensors."""
    tensors = shape["input_height"] * shape["input_width"] * shape["input_depth"]
    return (
        shape["filter_height"] == shape["filter_width"] == 3
        and shape["stride_height"] == shape["stride_width"] <= 2
        and shape["dilation_height"] == shape["dilation_width"] == shape["multiplier"] == 1
        and _plane_bytes(shape) <= max(SMALL_PLANE, tensors // 2)
    )


def _by_planes(shape: dict[str, int], taps: Array, channels: Array, one_size: bool) -> Lowered:
    """Each channel's rows of three weights as (w0, w1, w1, w2)."""
    rows = taps.reshape(3, 3, -1)[:, [0, 1, 1, 2]].transpose(2, 0, 1)
    call = Call(
        function="nn_depthwise_3x3",
        source="depthwise_3x3",
        header="depthwise_conv_2d",
        shape_type="nn_depthwise_conv_2d_shape",
        shape=shape,
        arguments=(0, "weights", "channels"),
        scratch=True,
        helpers=("depthwise_rows",),
        constants={"weights": np.ascontiguousarray(rows).ravel(), "channels": channels},
    )
    in_place = (0,) if one_size and shape["batches"] == 1 else ()
    return Lowered((call,), scratch=_plane_bytes(shape), in_place=in_place)
