"""ADD, SUB and MUL of two inputs that are broadcast over each other; one of them may be a constant."""

import numpy as np

from firmware_tools.codegen import weights
from firmware_tools.codegen.numerics import quantize_multiplier, scale_of, zero_point_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import GraphTensor

LEFT_SHIFT = 20


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[list[int], list[int], list[int]] | None:
    """Sizes of the joint loops and each input's steps, neighbouring axes that go alike merged; None: they do not fit.

    >>> broadcast((1, 4, 4, 8), (1, 4, 4, 8))
    ([128], [1], [1])
    >>> broadcast((1, 4, 4, 8), (8,))
    ([16, 8], [8, 1], [0, 1])
    """
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    sizes: list[int] = []
    steps: tuple[list[int], list[int]] = ([], [])
    strides = [1, 1]
    for size_a, size_b in zip(reversed(a), reversed(b), strict=True):
        if size_a != size_b and 1 not in (size_a, size_b):
            return None
        size = max(size_a, size_b)
        here = [stride if own == size else 0 for stride, own in zip(strides, (size_a, size_b), strict=True)]
        strides = [stride * own for stride, own in zip(strides, (size_a, size_b), strict=True)]
        if size == 1:
            continue
        if sizes and all(here[i] == steps[i][0] * sizes[0] for i in range(2)):
            sizes[0] *= size
            continue
        sizes.insert(0, size)
        for i in range(2):
            steps[i].insert(0, here[i])
    return (sizes or [1]), (steps[0] or [0]), (steps[1] or [0])


def loops(node: Node, a: GraphTensor, b: GraphTensor, output: GraphTensor) -> dict[str, int]:
    """The loops' fields of the kernel's shape; refuses shapes that do not fit."""
    joint = broadcast(a.shape, b.shape)
    node.require(
        joint is not None and len(joint[0]) <= 4 and output.elements == int(np.prod(joint[0])),
        f"joins the shapes {list(a.shape)} and {list(b.shape)} into {list(output.shape)}",
    )
    assert joint is not None
    fields: dict[str, int] = {}
    for name, values, fill in zip(("size", "a_step", "b_step"), joint, (1, 0, 0), strict=True):
        full = [fill] * (4 - len(values)) + values
        fields |= {f"{name}_{i}": value for i, value in enumerate(full)}
    return fields


# As the kernel's shape struct has it.
_NUMBERS = (
    *("a_zero_point", "b_zero_point", "output_zero_point", "a_multiplier", "a_shift", "b_multiplier", "b_shift"),
    *("output_multiplier", "output_shift", "activation_min", "activation_max"),
)


def call(node: Node, source: str, shape: dict[str, int], *, header: str = "elementwise", suffix: str = "") -> Lowered:
    """The op's kernel in the file `source`; fields that it does not use are 0, and one input may be a constant."""
    node.require(
        not all(node.input(i).is_constant for i in (0, 1)), "joins two constants; convert again with constant folding"
    )
    shape = {**dict.fromkeys(_NUMBERS, 0), **shape}
    arguments: list[int | str] = []
    constants = {}
    in_place = []
    for position, name in enumerate(("a", "b")):
        tensor = node.input(position)
        if tensor.is_constant:
            constants[name] = node.constant(position, tensor.dtype)
            arguments.append(name)
        else:
            arguments.append(position)
            if tensor.elements == node.output.elements:
                in_place.append(position)
    kernel = Call(
        f"nn_{node.op.name.lower()}{suffix}",
        source,
        header,
        "nn_elementwise_shape",
        {name: shape[name] for name in (*(name for name in shape if name not in _NUMBERS), *_NUMBERS)},
        arguments=tuple(arguments),
        constants=constants,
    )
    return Lowered((kernel,), in_place=tuple(in_place))


def _sum_scales(a: GraphTensor, b: GraphTensor, output: GraphTensor) -> list[tuple[int, int]]:
    twice = 2 * max(scale_of(a), scale_of(b))
    reals = (scale_of(a) / twice, scale_of(b) / twice, twice / (2**LEFT_SHIFT * scale_of(output)))
    return [quantize_multiplier(real) for real in reals]


def _product_scales(a: GraphTensor, b: GraphTensor, output: GraphTensor) -> list[tuple[int, int]]:
    return [(0, 0), (0, 0), quantize_multiplier(scale_of(a) * scale_of(b) / scale_of(output))]


@lowers("ADD", "SUB", "MUL")
def elementwise(node: Node) -> Lowered:
    """Sums go over a common scale of twice the larger one, with 20 bits more, so that nothing is lost on the way."""
    a, b, output = node.input(0), node.input(1), node.output
    node.int8(a, b, output)
    rescale = _product_scales if node.op.name == "MUL" else _sum_scales
    scales = rescale(a, b, output)
    weights.check_shifts(node, np.array(scales))
    node.require(node.op.name == "MUL" or scales[2][1] <= 0, "has an output scale far below those of its inputs")
    low, high = node.activation(output)
    shape = {
        **loops(node, a, b, output),
        "a_zero_point": zero_point_of(a),
        "b_zero_point": zero_point_of(b),
        "output_zero_point": zero_point_of(output),
        "a_multiplier": scales[0][0],
        "a_shift": scales[0][1],
        "b_multiplier": scales[1][0],
        "b_shift": scales[1][1],
        "output_multiplier": scales[2][0],
        "output_shift": scales[2][1],
        "activation_min": low,
        "activation_max": high,
    }
    return call(node, "mul" if node.op.name == "MUL" else "add", shape)
