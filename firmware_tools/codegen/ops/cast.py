"""CAST: every value in another type."""

from firmware_tools.codegen.registry import Call, Lowered, Node, lowers

# The numbers of the kernel's enumeration.
TYPES = {"int8": 0, "uint8": 1, "int16": 2, "int32": 3, "bool": 4, "float32": 5}


@lowers("CAST")
def cast(node: Node) -> Lowered:
    """Integers lose their upper bits, floats what stands behind the point."""
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    node.require(
        source.dtype in TYPES and output.dtype in TYPES,
        f"turns {source.dtype} into {output.dtype}; the engine takes {', '.join(TYPES)}",
    )
    node.require(source.elements == output.elements, "changes the number of values")
    shape = {"elements": source.elements, "from": TYPES[source.dtype], "to": TYPES[output.dtype]}
    return Lowered((Call("nn_cast", "cast", "cast", "nn_cast_shape", shape),))
