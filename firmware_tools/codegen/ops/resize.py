"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR: places and weights of each row and column are tabulated."""

import numpy as np

from firmware_tools.codegen.moves import itemsize
from firmware_tools.codegen.ops.mirror_pad import MAX_SIZE, pick
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import Array


def _check(node: Node) -> tuple[bool, bool]:
    """Refuses shapes that do not fit; whether corners are aligned, whether pixels count at their centres."""
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    size = node.constant(1, "int32").ravel().tolist()
    node.require(
        len(source.shape) == len(output.shape) == 4
        and size == list(output.shape[1:3])
        and (source.shape[0], source.shape[3]) == (output.shape[0], output.shape[3])
        and max(*source.shape, *output.shape) <= MAX_SIZE,
        f"resizes {list(source.shape)} to {size}, where its output has the shape {list(output.shape)}",
    )
    align, centres = bool(node.option("align_corners", False)), bool(node.option("half_pixel_centers", False))
    node.require(not (align and centres), "has both aligned corners and half-pixel centres")
    return align, centres


def nearest(size: int, made: int, *, align: bool, centres: bool) -> Array:
    """Which input index each of `made` output indices shows, in float32 as TensorFlow Lite Micro counts.

    >>> nearest(2, 4, align=False, centres=False).tolist()
    [0, 0, 1, 1]
    """
    ratio = np.float32(size - 1) / np.float32(made - 1) if align and made > 1 else np.float32(size) / np.float32(made)
    at = (np.arange(made).astype(np.float32) + np.float32(0.5 if centres else 0.0)) * ratio
    whole = np.trunc(at + np.float32(0.5)) if align else np.floor(at)
    if align:  # halves away from zero, without the sum's own rounding
        whole = np.where(at - np.floor(at) >= 0.5, np.floor(at) + 1, np.floor(at))
    return np.clip(whole.astype(np.int64), 0, size - 1)


@lowers("RESIZE_NEAREST_NEIGHBOR")
def resize_nearest_neighbor(node: Node) -> Lowered:
    """Bytes are copied as they are."""
    source, output = node.input(0), node.output
    align, centres = _check(node)
    size = itemsize(node, source, output)
    places = [np.arange(total) for total in source.shape]
    for axis in (1, 2):
        places[axis] = nearest(source.shape[axis], output.shape[axis], align=align, centres=centres)
    return pick(node, places, size)


def between(size: int, made: int, *, align: bool, centres: bool) -> Array:
    """For each of `made` output lines the two input lines it lies between and the second's share in 1/1024.

    >>> between(2, 4, align=False, centres=False).tolist()
    [[0, 0, 0], [0, 1, 512], [1, 1, 0], [1, 1, 512]]
    """
    ratio = (1024 * size + made // 2) // made
    if align and made > 1:
        ratio = (1024 * (size - 1) + (made - 1) // 2) // (made - 1)
    at = np.arange(made, dtype=np.int64) * ratio + (ratio // 2 - 512 if centres else 0)
    # Integer division goes towards zero, as in C.
    first = np.maximum(np.trunc(at / 1024).astype(np.int64), 0)
    second = np.minimum(np.trunc((at + 1023) / 1024).astype(np.int64), size - 1)
    return np.stack([first, second, at - 1024 * first], axis=1)


@lowers("RESIZE_BILINEAR")
def resize_bilinear(node: Node) -> Lowered:
    """Weights have 10 bits; the sum of four products is rounded once, halves away from zero."""
    source, output = node.input(0), node.output
    align, centres = _check(node)
    node.int8(source, output)
    tables = [between(source.shape[axis], output.shape[axis], align=align, centres=centres) for axis in (1, 2)]
    for axis, table in zip((1, 2), tables, strict=True):
        node.require(
            bool((table[:, 0] < source.shape[axis]).all()),
            f"enlarges {source.shape[axis]} lines to {output.shape[axis]}, so many that TensorFlow Lite Micro reads "
            "beyond the image; resize in two steps",
        )
    depth = source.shape[3]
    tables[0][:, :2] *= source.shape[2] * depth
    tables[1][:, :2] *= depth
    shape = {
        "batches": source.shape[0],
        "input_bytes": source.elements // source.shape[0],
        "depth": depth,
        "output_height": output.shape[1],
        "output_width": output.shape[2],
    }
    constants = {"rows": tables[0].astype(np.int32).ravel(), "columns": tables[1].astype(np.int32).ravel()}
    call = Call(
        "nn_resize_bilinear",
        "resize_bilinear",
        "resize_bilinear",
        "nn_resize_bilinear_shape",
        shape,
        (0, "rows", "columns"),
        constants,
    )
    return Lowered((call,))


def between_real(size: int, made: int, *, align: bool, centres: bool) -> tuple[Array, Array]:
    """For each of `made` output lines the two input lines it lies between, and the second's share, in float32.

    >>> [part.tolist() for part in between_real(2, 4, align=False, centres=True)]
    [[[0, 0], [0, 1], [0, 1], [1, 1]], [-0.25, 0.25, 0.75, 0.25]]
    """
    one = np.float32
    ratio = one(size) / one(made)
    if align and made > 1:
        ratio = one(size - 1) / one(made - 1)
    at = np.arange(made).astype(np.float32)
    at = (at + one(0.5)) * ratio - one(0.5) if centres else at * ratio
    first = np.maximum(np.floor(at), 0).astype(np.int32)
    second = np.minimum(np.ceil(at), size - 1).astype(np.int32)
    return np.stack([first, second], axis=1), (at - first.astype(np.float32)).astype(np.float32)


@lowers("RESIZE_BILINEAR", dtype="float32")
def resize_bilinear_float(node: Node) -> Lowered:
    """The four products are added one after the other, as TensorFlow Lite Micro does."""
    source, output = node.input(0), node.output
    align, centres = _check(node)
    node.float32(source, output)
    depth = source.shape[3]
    constants: dict[str, Array] = {}
    weights: dict[str, Array] = {}
    for name, axis, step in (("rows", 1, source.shape[2] * depth), ("columns", 2, depth)):
        lines, shares = between_real(source.shape[axis], output.shape[axis], align=align, centres=centres)
        node.require(
            bool((lines < source.shape[axis]).all()), f"enlarges {source.shape[axis]} lines beyond the image's edge"
        )
        constants[name] = (lines * step).astype(np.int32).ravel()
        weights[f"{name[:-1]}_weights"] = shares
    constants |= weights
    shape = {
        "batches": source.shape[0],
        "input_bytes": source.bytes // source.shape[0],
        "depth": depth,
        "output_height": output.shape[1],
        "output_width": output.shape[2],
    }
    name = "resize_bilinear_float"
    arguments: tuple[int | str, ...] = (0, *constants)
    return Lowered(
        (Call(f"nn_{name}", name, "resize_bilinear", "nn_resize_bilinear_shape", shape, arguments, constants),)
    )
