"""AVERAGE_POOL_2D, MAX_POOL_2D, MEAN and SUM with 16-bit activations."""

import dataclasses

from firmware_tools.codegen.ops.mean import mean
from firmware_tools.codegen.ops.pool_2d import pool_2d
from firmware_tools.codegen.registry import Lowered, Node, lowers


@lowers("AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "SUM", dtype="int16")
def of_16_bits(node: Node) -> Lowered:
    """The shapes are those of the 8-bit ops."""
    node.int16(node.input(0), node.output)
    lowered = (mean if node.op.name in ("MEAN", "SUM") else pool_2d)(dataclasses.replace(node, activations="int16"))
    stem = "mean_16" if node.op.name in ("MEAN", "SUM") else "pool_2d_16"
    (call,) = lowered.calls
    return Lowered((dataclasses.replace(call, function=f"{call.function}_16", source=stem, header=stem),))
