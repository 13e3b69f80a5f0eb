"""SPACE_TO_DEPTH, DEPTH_TO_SPACE, SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: blocks of pixels as depth or as batch."""

from firmware_tools.codegen.moves import Loop, dense, itemsize, move
from firmware_tools.codegen.numerics import zero_point_of
from firmware_tools.codegen.registry import MAX_BLOCKS, Call, Lowered, Node, lowers


@lowers("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
def space_to_depth(node: Node) -> Lowered:
    """`deep[n, y, x, (i * block + j) * depth + c] = wide[n, y * block + i, x * block + j, c]`, either way."""
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    size = itemsize(node, source, output)
    to_depth = node.op.name == "SPACE_TO_DEPTH"
    wide, deep = (source, output) if to_depth else (output, source)
    block = node.option("block_size", 1)
    node.require(
        len(wide.shape) == len(deep.shape) == 4
        and block > 0
        and wide.shape
        == (deep.shape[0], deep.shape[1] * block, deep.shape[2] * block, deep.shape[3] // (block * block))
        and wide.elements == deep.elements,
        f"turns {list(source.shape)} into {list(output.shape)} with blocks of {block}",
    )
    batches, height, width, _ = deep.shape
    depth = wide.shape[3]
    sizes = (batches, height, width, block, block, depth)
    row = wide.shape[2] * depth
    in_wide = (wide.shape[1] * row, block * row, block * depth, row, depth, 1)
    in_deep = dense(sizes)
    steps = (in_wide, in_deep) if to_depth else (in_deep, in_wide)
    loops = [Loop(*numbers) for numbers in zip(sizes, *steps, strict=True)]
    return Lowered((move(node, 0, loops, itemsize=size),))


def _image(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Batch, height, width and the rest; a tensor of rank 3 is one pixel wide."""
    if len(shape) == 3:
        return shape[0], shape[1], 1, shape[2]
    return shape[0], shape[1], shape[2], shape[3]


@lowers("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")
def space_to_batch(node: Node) -> Lowered:
    """`many[(i * block_w + j) * batches + n, y, x, c] = one[n, y * block_h + i - top, x * block_w + j - left, c]`.

    Going to batches, what lies outside of the image is the zero point; going back, it is cropped. One call of the
    moving kernel for each place (i, j) in the block, whose part within the image is a rectangle.
    """
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    size = itemsize(node, source, output)
    to_batch = node.op.name == "SPACE_TO_BATCH_ND"
    rank = len(source.shape)
    block = [int(value) for value in node.constant(1, "int32").ravel()]
    margins = node.constant(2, "int32")
    node.require(
        rank in (3, 4) and len(output.shape) == rank and len(block) == rank - 2 and margins.size == 2 * (rank - 2),
        f"turns {list(source.shape)} into {list(output.shape)} with blocks of {block}",
    )
    block = [*block, 1][:2]
    pads = [(int(before), int(after)) for before, after in margins.reshape(-1, 2)] + [(0, 0)]
    one, many = (_image(tensor.shape) for tensor in ((source, output) if to_batch else (output, source)))
    node.require(
        min(block) > 0
        and block[0] * block[1] < MAX_BLOCKS
        and min(map(min, pads)) >= 0
        and many[0] == one[0] * block[0] * block[1]
        and many[3] == one[3]
        and all(many[1 + i] * block[i] == one[1 + i] + sum(pads[i]) for i in range(2)),
        f"turns {list(source.shape)} into {list(output.shape)} with blocks of {block} and margins {pads[: rank - 2]}",
    )
    calls = []
    if to_batch and any(map(any, pads)):
        value = zero_point_of(output) if len(output.scale) else 0
        node.require(size == 1 or value == 0, "pads with a zero point that is not 0, in more than 8 bits")
        fill = {"bytes": output.bytes, "value": value}
        calls.append(Call("nn_fill", "fill", "move", "nn_fill_shape", fill, ()))
    for i in range(block[0]):
        for j in range(block[1]):
            calls += _place(node, one, many, (i, j), block, (pads[0][0], pads[1][0]), size, to_batch=to_batch)
    return Lowered(tuple(calls))


def _place(
    node: Node,
    one: tuple[int, int, int, int],
    many: tuple[int, int, int, int],
    place: tuple[int, int],
    block: list[int],
    before: tuple[int, int],
    size: int,
    *,
    to_batch: bool,
) -> list[Call]:
    """The move of what lies at one place in all blocks; none where it is all margin."""
    starts, counts = [], []
    for axis in range(2):
        first = max(0, -(-(before[axis] - place[axis]) // block[axis]))
        last = min(many[1 + axis], -(-(one[1 + axis] + before[axis] - place[axis]) // block[axis]))
        starts.append(first)
        counts.append(last - first)
    if min(counts) <= 0:
        return []
    in_one, in_many = dense(one), dense(many)
    sizes = (one[0], *counts, one[3])
    steps_one = (in_one[0], block[0] * in_one[1], block[1] * in_one[2], 1)
    offset_one = sum(
        (start * block[axis] + place[axis] - before[axis]) * in_one[1 + axis] for axis, start in enumerate(starts)
    )
    offset_many = (place[0] * block[1] + place[1]) * one[0] * in_many[0]
    offset_many += sum(start * in_many[1 + axis] for axis, start in enumerate(starts))
    source: tuple[tuple[int, ...], int] = (steps_one, offset_one)
    target: tuple[tuple[int, ...], int] = (tuple(in_many), offset_many)
    if not to_batch:
        source, target = target, source
    loops = [Loop(*numbers) for numbers in zip(sizes, source[0], target[0], strict=True)]
    return [move(node, 0, loops, itemsize=size, input_offset=source[1], output_offset=target[1])]
