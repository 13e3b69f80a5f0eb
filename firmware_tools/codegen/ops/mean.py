"""MEAN and SUM over any axes: one integer sum for each output, rescaled."""

import itertools
import math

from firmware_tools.codegen.numerics import quantize_multiplier, scale_of, zero_point_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.codegen.weights import MAX_PRODUCTS, MAX_SHIFT


def _loops(shape: tuple[int, ...], axes: set[int]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(size, step) of the kept and of the reduced loops, neighbouring axes of one kind merged.

    >>> _loops((1, 4, 5, 8), {1, 2})
    ([(8, 1)], [(20, 8)])
    """
    steps = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    loops: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    real = [i for i in range(len(shape)) if shape[i] > 1]
    for reduced, group in itertools.groupby(real, key=lambda i: i in axes):
        run = list(group)
        loops[reduced].append((math.prod(shape[i] for i in run), steps[run[-1]]))
    return loops


def reduction(node: Node) -> tuple[dict[str, int], int]:
    """`reduction_of`, of integer activations."""
    node.int8(node.input(0), node.output)
    return reduction_of(node)


def reduction_of(node: Node) -> tuple[dict[str, int], int]:
    """The loops' fields of the kernel's shape, and how many values each output stands for."""
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    rank = len(source.shape)
    given = [int(axis) for axis in node.constant(1, "int32").ravel()]
    node.require(all(-rank <= axis < rank for axis in given), f"reduces the axes {given} of a tensor of rank {rank}")
    axes = {axis % rank for axis in given}
    kept, reduced = _loops(source.shape, axes)
    count = math.prod(size for size, _ in reduced)
    node.require(
        len(kept) <= 3 and len(reduced) <= 3 and output.elements * count == source.elements,
        f"reduces the axes {sorted(axes)} of {list(source.shape)} to {list(output.shape)}",
    )
    node.require(count <= MAX_PRODUCTS, f"takes {count} values together, at most {MAX_PRODUCTS} fit")
    shape: dict[str, int] = {}
    for name, loops in (("kept", kept), ("reduced", reduced)):
        full = [(1, 0)] * (3 - len(loops)) + loops
        shape |= {f"{name}_{i}": size for i, (size, _) in enumerate(full)}
        shape |= {f"{name}_step_{i}": step for i, (_, step) in enumerate(full)}
    return shape, count


@lowers("MEAN", "SUM")
def mean(node: Node) -> Lowered:
    """The division by the number of values goes into the multiplier, as TensorFlow Lite Micro does it."""
    source, output = node.input(0), node.output
    shape, count = reduction(node)
    multiplier, shift = quantize_multiplier(scale_of(source) / scale_of(output))
    if node.op.name == "MEAN":
        bits = min(count.bit_length() - 1, 32, 31 + shift)
        multiplier, shift = (multiplier << bits) // count, shift - bits
    node.require(shift <= MAX_SHIFT, "has an output scale far below that of its input")
    shape |= {
        "offset": zero_point_of(source) * count,
        "multiplier": multiplier,
        "shift": shift,
        "output_zero_point": zero_point_of(output),
    }
    return Lowered((Call("nn_mean", "mean", "mean", "nn_mean_shape", shape),))
