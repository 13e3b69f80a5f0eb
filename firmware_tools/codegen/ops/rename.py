"""RESHAPE, SQUEEZE, EXPAND_DIMS: the same bytes under another shape. They cost nothing."""

from firmware_tools.codegen.registry import Lowered, Node, lowers
from firmware_tools.graph import RENAMES


@lowers(*sorted(RENAMES))
def rename(node: Node) -> Lowered:
    """No call: the output is the input's memory."""
    node.activation_inputs(0)
    source, output = node.input(0), node.output
    node.require(
        source.elements == output.elements and source.dtype == output.dtype,
        f"turns {source.elements} values of {source.dtype} into {output.elements} of {output.dtype}",
    )
    return Lowered()
