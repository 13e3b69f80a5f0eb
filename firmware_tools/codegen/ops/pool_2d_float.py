"""AVERAGE_POOL_2D, MAX_POOL_2D, MEAN and SUM of real numbers."""

import numpy as np

from firmware_tools.codegen.ops.conv_plain import float_range
from firmware_tools.codegen.ops.mean import reduction_of
from firmware_tools.codegen.ops.pool_2d import window_shape
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers


@lowers("AVERAGE_POOL_2D", "MAX_POOL_2D", dtype="float32")
def pool_2d_float(node: Node) -> Lowered:
    """Only the window's taps inside of the image count."""
    node.float32(node.input(0), node.output)
    shape = {**window_shape(node), "activation_min": 0, "activation_max": 0}
    call = Call(
        f"nn_{node.op.name.lower()}_float",
        "pool_2d_float",
        "pool_2d_float",
        "nn_pool_2d_shape",
        shape,
        (0, "range"),
        {"range": float_range(node)},
    )
    return Lowered((call,))


@lowers("MEAN", "SUM", dtype="float32")
def mean_float(node: Node) -> Lowered:
    """The sum is divided by the number of values at the end."""
    node.float32(node.input(0), node.output)
    shape, count = reduction_of(node)
    divisor = np.array([count if node.op.name == "MEAN" else 1], np.float32)
    shape |= {"offset": 0, "multiplier": 0, "shift": 0, "output_zero_point": 0}
    call = Call(
        "nn_mean_float",
        "mean_float",
        "pool_2d_float",
        "nn_mean_shape",
        shape,
        (0, "divisor"),
        {"divisor": divisor},
    )
    return Lowered((call,))
