"""Calls of the kernel that only puts bytes elsewhere: nested loops of fixed steps, joined to as few as possible."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from firmware_tools.codegen.registry import Call, Node
from firmware_tools.graph import DTYPES, GraphTensor

MAX_LOOPS = 6


@dataclasses.dataclass(frozen=True)
class Loop:
    """`size` rounds; in each, so many elements further in the input and in the output."""

    size: int
    input_step: int
    output_step: int


def dense(shape: Sequence[int]) -> list[int]:
    """Elements from one index to the next along each axis of a tensor that lies without gaps.

    >>> dense((2, 3, 4))
    [12, 4, 1]
    """
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def joined(loops: Iterable[Loop]) -> list[Loop]:
    """The same places in as few loops as possible, outermost first.

    >>> joined([Loop(2, 12, 12), Loop(3, 4, 4), Loop(4, 1, 2)])
    [Loop(size=6, input_step=4, output_step=4), Loop(size=4, input_step=1, output_step=2)]
    """
    result: list[Loop] = []
    for loop in loops:
        if loop.size == 1:
            continue
        if result:
            outer = result[-1]
            steps = (loop.size * loop.input_step, loop.size * loop.output_step)
            if (outer.input_step, outer.output_step) == steps:
                result[-1] = Loop(outer.size * loop.size, loop.input_step, loop.output_step)
                continue
        result.append(loop)
    return result


def move(
    node: Node,
    argument: int | str,
    loops: Iterable[Loop],
    *,
    itemsize: int,
    input_offset: int = 0,
    output_offset: int = 0,
    output: int = 0,
) -> Call:
    """A call of `nn_move`; sizes, steps and offsets are in elements of `itemsize` bytes."""
    few = joined(loops)
    run = 1
    if few and few[-1].input_step == few[-1].output_step == 1:
        run = few.pop().size
    node.require(len(few) <= MAX_LOOPS, f"needs {len(few)} nested loops, at most {MAX_LOOPS} are possible")
    full = [Loop(1, 0, 0)] * (MAX_LOOPS - len(few)) + few
    shape = {f"size_{i}": loop.size for i, loop in enumerate(full)}
    shape |= {f"input_step_{i}": loop.input_step * itemsize for i, loop in enumerate(full)}
    shape |= {f"output_step_{i}": loop.output_step * itemsize for i, loop in enumerate(full)}
    shape |= {
        "input_offset": input_offset * itemsize,
        "output_offset": output_offset * itemsize,
        "bytes": run * itemsize,
    }
    return Call("nn_move", "move", "move", "nn_move_shape", shape, (argument,), output=output)


def itemsize(node: Node, *tensors: GraphTensor) -> int:
    """Bytes of an element; refuses tensors of different types, or of one without whole bytes."""
    first = tensors[0].dtype
    node.require(first in DTYPES, f"works on {first}, which has no whole-byte elements")
    for tensor in tensors:
        node.require(tensor.dtype == first, f"joins {first} and {tensor.dtype}; convert it again")
    return DTYPES[first].itemsize
