"""PAD and PADV2: a margin of the output's zero point, or of a constant."""

from firmware_tools.codegen.moves import itemsize
from firmware_tools.codegen.numerics import zero_point_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers


@lowers("PAD", "PADV2")
def pad(node: Node) -> Lowered:
    """Up to four dimensions."""
    source, output = node.input(0), node.output
    size = itemsize(node, source, output)
    node.activation_inputs(0)
    rank = len(source.shape)
    kind = "int64" if node.input(1).dtype == "int64" else "int32"
    margins = node.constant(1, kind)
    node.require(
        0 < rank <= 4 and margins.size == 2 * rank and rank == len(output.shape),
        f"pads {list(source.shape)} by a table of {margins.size} numbers",
    )
    pairs = [(int(before), int(after)) for before, after in margins.reshape(rank, 2)]
    node.require(
        all(
            before >= 0 and after >= 0 and before + size + after == total
            for (before, after), size, total in zip(pairs, source.shape, output.shape, strict=True)
        ),
        f"pads {list(source.shape)} by {pairs} to {list(output.shape)}",
    )
    value = zero_point_of(output) if len(output.scale) else 0
    if node.op.name == "PADV2":
        value = node.constant(2, output.dtype).ravel()[0].item()
    node.require(size == 1 or value == 0, f"pads {output.dtype} with {value}; the engine pads with 0 beyond 8 bits")
    sizes = [1] * (4 - rank) + list(source.shape)
    pairs = [(0, 0)] * (4 - rank) + pairs
    # The kernel's last size is in bytes.
    sizes[3] *= size
    pairs[3] = (pairs[3][0] * size, pairs[3][1] * size)
    shape = {
        **{f"size_{i}": size for i, size in enumerate(sizes)},
        **{f"before_{i}": before for i, (before, _) in enumerate(pairs)},
        **{f"after_{i}": after for i, (_, after) in enumerate(pairs)},
        "value": int(value),
    }
    return Lowered((Call("nn_pad", "pad", "copy", "nn_pad_shape", shape),))
