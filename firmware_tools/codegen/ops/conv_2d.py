"""CONV_2D: `clamp(zero_point + scale[c] * (bias[c] + sum of input * weights[c]))`, any stride, dilation and groups."""

import numpy as np

from firmware_tools.codegen import weights, windows
from firmware_tools.codegen.numerics import zero_point_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers


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
    unpadded = all(window[f"pad_{side}"] == 0 for side in ("top", "left"))
    direct = height == width == groups == 1 and unpadded and depth % 4 == 0
    low, high = node.activation(output)
    scales = weights.scales(node, image, kernel, output)
    bias = weights.folded_bias(node, 2, zero_point_of(image), rows.sum(axis=1, dtype="int64"))
    sizes = weights.sizes(rows)
    bias, scales = weights.settled(sizes, bias, scales)
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
        "quads": rows.shape[1] // 4,
        "direct": int(direct),
        "input_zero_point": zero_point_of(image),
        "output_zero_point": zero_point_of(output),
        "activation_min": low,
        "activation_max": high,
        "scale_step": int(len(scales) > 1),
        "quick": weights.quick(sizes, bias, scales, low, high),
    }
    packed = np.concatenate([weights.in_turns(part, 2, wide=node.wide) for part in np.split(rows, groups)])
    kind = "_wide" if node.wide else ""
    call = Call(
        function=f"nn_conv_2d{kind}",
        source=f"conv_2d{kind}",
        header="conv_2d",
        shape_type="nn_conv_2d_shape",
        shape=shape,
        arguments=(0, "weights", "bias", "scales"),
        constants={"weights": packed, "bias": weights.padded_bias(bias, groups, 2), "scales": scales},
        scratch=True,
        helpers=("conv_2d_by", f"nn_dot_2x2{kind}", "nn_finish", "nn_widen"),
    )
    return Lowered((call,), scratch=(16 if direct else 20) * shape["quads"])
