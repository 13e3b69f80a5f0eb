"""CONV_2D: `clamp(zero_point + scale[c] * (bias[c] + sum of input * weights[c]))`, any stride, dilation and groups."""

import numpy as np

from firmware_tools.codegen import weights, windows
from firmware_tools.codegen.numerics import zero_point_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers

# The inner loop of each form of the kernel, a file of its own where it is one.
_DOTS = {"": (), "_quick": ("nn_dot_4x2",), "_wide": ("nn_dot_4x2_wide",)}


@lowers("CONV_2D")
def conv_2d(node: Node) -> Lowered:
    """Weights become rows of whole words, two channels in turns; the bias takes up the input's zero point."""
    image, kernel, output = node.input(0), node.input(1), node.output
    node.int8(image, output)
    node.activation_inputs(0)
    weights.check(node, kernel, channel_axis=0)
    node.require(bool((kernel.zero_point == 0).all()), "has weights whose zero point is not 0")
    node.require(len(kernel.shape) == 4, f"has weights of shape {list(kernel.shape)}, expected four dimensions")
    channels, height, width, depth = kernel.shape
    window = windows.fields(node, height, width)
    groups = image.shape[3] // depth
    node.require(
        groups * depth == image.shape[3] and channels % max(groups, 1) == 0 and channels == output.shape[3],
        f"has weights of shape {list(kernel.shape)} for {image.shape[3]} input and {output.shape[3]} output channels",
    )
    products = height * width * depth
    node.require(products <= weights.MAX_PRODUCTS, f"sums {products} products, at most {weights.MAX_PRODUCTS} fit")
    rows = weights.padded_rows(node.constant(1, "int8").reshape(channels, products))
    staged = depth % 4 != 0
    low, high = node.activation(output)
    scales = weights.scales(node, image, kernel, output)
    shape = {
        "batches": image.shape[0],
        "input_height": image.shape[1],
        "input_width": image.shape[2],
        "input_depth": image.shape[3],
        "output_height": output.shape[1],
        "output_width": output.shape[2],
        "output_depth": output.shape[3],
        **window,
        "groups": groups,
        "row": rows.shape[1],
        "staged": int(staged),
        "input_zero_point": zero_point_of(image),
        "output_zero_point": zero_point_of(output),
        "activation_min": low,
        "activation_max": high,
    }
    bias = weights.folded_bias(node, 2, zero_point_of(image), rows.sum(axis=1, dtype="int64"))
    made = weights.channels(
        bias,
        scales,
        np.abs(rows.astype("int64")).sum(axis=1),
        zero_point_of(output),
        (low, high),
        quick=channels // groups % 2 == 0,
    )
    padded = [np.pad(part, ((0, len(part) % 2), (0, 0))) for part in np.split(made.rows, groups)]
    wide = made.quick and node.wide
    form = "_wide" if wide else "_quick" if made.quick else ""
    packed = [weights.pairs_in_turns(part, wide=wide) for part in np.split(rows, groups)]
    call = Call(
        function=f"nn_conv_2d{form}",
        source=f"conv_2d{form}",
        header="conv_2d",
        shape_type="nn_conv_2d_shape",
        shape=shape,
        arguments=(0, "weights", "channels"),
        constants={
            "weights": np.concatenate(packed),
            "channels": np.concatenate(padded),
        },
        scratch=True,
        helpers=("conv_2d_by", *_DOTS[form]),
    )
    return Lowered((call,), scratch=(9 if staged else 8) * rows.shape[1])
