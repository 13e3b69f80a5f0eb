"""Where a sliding window (convolution, pooling) starts and how many positions it takes."""

from firmware_tools.codegen.registry import Node

# As the kernels' shape structs have it.
ORDER = (
    *("filter_height", "filter_width", "stride_height", "stride_width"),
    *("dilation_height", "dilation_width", "pad_top", "pad_left"),
)


def effective(filter_size: int, dilation: int) -> int:
    """Pixels from the first to the last tap of a dilated filter.

    >>> effective(3, 2)
    5
    """
    return (filter_size - 1) * dilation + 1


def outputs_and_padding(padding: str, size: int, window: int, stride: int) -> tuple[int, int]:
    """Number of positions along one axis and the padding before the first pixel.

    SAME: `ceil(size / stride)` positions, what is missing is padded half before (rounded down); VALID: no padding.

    >>> outputs_and_padding("SAME", 49, 10, 2), outputs_and_padding("VALID", 8, 3, 2)
    ((25, 4), (3, 0))
    """
    if padding == "SAME":
        positions = -(-size // stride)
        return positions, max(0, (positions - 1) * stride + window - size) // 2
    return max(0, -(-(size - window + 1) // stride)), 0


def fields(node: Node, height: int, width: int) -> dict[str, int]:
    """The shape fields that describe the window: sizes, strides, dilations and padding of both axes.

    Refuses what is not consistent with the tensors' shapes: the kernels trust them.
    """
    image, output = node.input(0), node.output
    node.require(
        len(image.shape) == 4 and len(output.shape) == 4, "works on images of rank 4 (batch, height, width, depth)"
    )
    node.require(image.shape[0] == output.shape[0], "changes the batch size")
    found: dict[str, int] = {}
    padding = node.option("padding", "SAME")
    for axis, name, size in ((1, "height", height), (2, "width", width)):
        letter = name[0]
        stride = node.option(f"stride_{letter}", 1)
        dilation = node.option(f"dilation_{letter}_factor", 1)
        node.require(
            0 < stride <= 2**15 and 0 < dilation <= 2**15 and 0 < size <= 2**15,
            f"has stride {stride}, dilation {dilation} and filter size {size} along its {name}",
        )
        positions, before = outputs_and_padding(padding, image.shape[axis], effective(size, dilation), stride)
        node.require(
            positions == output.shape[axis],
            f"has an output {name} of {output.shape[axis]}, where its stride and padding give {positions}",
        )
        found |= {
            f"filter_{name}": size,
            f"stride_{name}": stride,
            f"dilation_{name}": dilation,
            f"pad_{'top' if name == 'height' else 'left'}": before,
        }
    return {name: found[name] for name in ORDER}
