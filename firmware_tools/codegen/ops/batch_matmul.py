"""BATCH_MATMUL: `clamp(zero_point + scale * sum over d of a[r, d] * b[d, c])`, batches broadcast over each other."""

import numpy as np

from firmware_tools.codegen import weights
from firmware_tools.codegen.moves import dense
from firmware_tools.codegen.numerics import quantize_multiplier, scale_of, zero_point_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import GraphTensor


def _matrix(tensor: GraphTensor, *, turned: bool) -> tuple[tuple[int, ...], tuple[int, int], tuple[int, int]]:
    """Batches (three), (rows, columns) and their steps; `turned` is the matrix transposed."""
    shape = (1,) * (5 - len(tensor.shape)) + tensor.shape
    sizes, steps = (shape[3], shape[4]), (shape[4], 1)
    return shape[:3], sizes[::-1] if turned else sizes, steps[::-1] if turned else steps


@lowers("BATCH_MATMUL")
def batch_matmul(node: Node) -> Lowered:
    """Each batch's rows against its columns; a constant operand stays in flash."""
    a, b, output = node.input(0), node.input(1), node.output
    node.int8(a, b, output)
    node.require(
        all(2 <= len(tensor.shape) <= 5 for tensor in (a, b)) and not (a.is_constant and b.is_constant),
        f"multiplies {list(a.shape)} and {list(b.shape)}",
    )
    a_batch, (rows, depth), a_steps = _matrix(a, turned=bool(node.option("adj_x", False)))
    b_batch, (depth_b, columns), b_steps = _matrix(b, turned=bool(node.option("adj_y", False)))
    batches = tuple(max(pair) for pair in zip(a_batch, b_batch, strict=True))
    node.require(
        depth == depth_b
        and all(size in (1, batch) for sizes in (a_batch, b_batch) for size, batch in zip(sizes, batches, strict=True))
        and output.elements == int(np.prod(batches)) * rows * columns,
        f"multiplies {list(a.shape)} and {list(b.shape)} into {list(output.shape)}",
    )
    node.require(depth <= weights.MAX_PRODUCTS // 4, f"sums {depth} products, too many for 32 bits")
    factor = quantize_multiplier(scale_of(a) * scale_of(b) / scale_of(output))
    weights.check_shifts(node, np.array([factor]))
    shape = {f"batch_{i}": size for i, size in enumerate(batches)}
    for name, sizes, matrix in (("a", a_batch, rows * depth), ("b", b_batch, depth * columns)):
        steps = dense((*sizes, matrix))[:3]
        shape |= {f"{name}_step_{i}": 0 if sizes[i] == 1 else steps[i] for i in range(3)}
    shape |= {
        "rows": rows,
        "columns": columns,
        "depth": depth,
        "a_row_step": a_steps[0],
        "a_depth_step": a_steps[1],
        "b_depth_step": b_steps[0],
        "b_column_step": b_steps[1],
        "a_zero_point": zero_point_of(a),
        "b_zero_point": zero_point_of(b),
        "output_zero_point": zero_point_of(output),
        "multiplier": factor[0],
        "shift": factor[1],
    }
    constants = {name: node.constant(i, "int8") for i, name in ((0, "a"), (1, "b")) if node.input(i).is_constant}
    arguments = tuple(name if name in constants else i for i, name in ((0, "a"), (1, "b")))
    name = "batch_matmul"
    return Lowered((Call(f"nn_{name}", name, name, f"nn_{name}_shape", shape, arguments, constants),))
