"""RESHAPE, SQUEEZE, EXPAND_DIMS: the same bytes under another shape. They cost nothing."""

from firmware_tools.codegen.registry import ALIASES, Lowered, Node, lowers


@lowers(*sorted(ALIASES))
def rename(node: Node) -> Lowered:
    """No call: the output is the input's memory."""
    node.activation_inputs(0)
    source, output = node.input(0), node.output
    node.require(
        source.elements == output.elements and source.dtype == output.dtype,
        f"turns {source.elements} values of {source.dtype} into {output.elements} of {output.dtype}",
    )
    return Lowered()
