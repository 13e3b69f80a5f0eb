"""STRIDED_SLICE and SLICE: every so many elements between two places along each axis."""

from firmware_tools.codegen.fold import slices
from firmware_tools.codegen.moves import Loop, dense, itemsize, move
from firmware_tools.codegen.registry import Lowered, Node, lowers


def _cut(node: Node, parts: list[range]) -> Lowered:
    """The elements at `parts[axis]` of each axis."""
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    size = itemsize(node, source, output)
    counts = [len(part) for part in parts]
    kept = [count for count in counts if count != 1]
    node.require(
        0 not in counts and kept == [count for count in output.shape if count != 1],
        f"cuts {list(source.shape)} to {counts}, where its output has the shape {list(output.shape)}",
    )
    steps = dense(source.shape)
    loops = [
        Loop(len(part), step * part.step, made) for part, step, made in zip(parts, steps, dense(counts), strict=True)
    ]
    offset = sum(part.start * step for part, step in zip(parts, steps, strict=True))
    return Lowered((move(node, 0, loops, itemsize=size, input_offset=offset),))


@lowers("STRIDED_SLICE")
def strided_slice(node: Node) -> Lowered:
    """Begin, end and strides are constants; negative ones count from the end, negative strides run backwards."""
    source = node.input(0)
    tables = [node.constant(position, "int32").ravel() for position in (1, 2, 3)]
    rank = len(source.shape)
    node.require(
        all(len(table) == rank for table in tables),
        f"cuts a tensor of rank {rank} by tables of {[len(table) for table in tables]} numbers",
    )
    found = slices(node.op, *tables)
    node.require(
        found is not None, "has an ellipsis, a new axis, an offset or a stride of 0; write it out in the model"
    )
    assert found is not None
    for axis in found[1]:
        start = int(tables[0][axis])
        node.require(
            -source.shape[axis] <= start < source.shape[axis],
            f"takes the element {start} of an axis of {source.shape[axis]}",
        )
    return _cut(node, [range(count)[part] for count, part in zip(source.shape, found[0], strict=True)])


@lowers("SLICE")
def slice_(node: Node) -> Lowered:
    """`begin` and `size` are constants; a size of -1 means up to the end."""
    source = node.input(0)
    begin, size = ([int(value) for value in _numbers(node, position)] for position in (1, 2))
    node.require(
        len(begin) == len(size) == len(source.shape),
        f"cuts a tensor of rank {len(source.shape)} by tables of {len(begin)} and {len(size)} numbers",
    )
    ends = [
        total if count == -1 else first + count for first, count, total in zip(begin, size, source.shape, strict=True)
    ]
    node.require(
        all(0 <= first < end <= total for first, end, total in zip(begin, ends, source.shape, strict=True)),
        f"cuts {list(source.shape)} from {begin} to {ends}",
    )
    return _cut(node, [range(first, end) for first, end in zip(begin, ends, strict=True)])


def _numbers(node: Node, position: int) -> list[int]:
    kind = "int64" if node.input(position).dtype == "int64" else "int32"
    numbers: list[int] = node.constant(position, kind).ravel().tolist()
    return numbers
