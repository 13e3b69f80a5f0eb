"""TRANSPOSE_CONV: `clamp(zero_point + scale[c] * (bias[c] + sum of what each input pixel scatters here))`."""

from firmware_tools.codegen import weights, windows
from firmware_tools.codegen.numerics import activation_range, zero_point_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers


@lowers("TRANSPOSE_CONV")
def transpose_conv(node: Node) -> Lowered:
    """Weights lie as (output depth, height, width, input depth); the output's shape is the tensor's own."""
    kernel, image, output = node.input(1), node.input(2), node.output
    node.int8(image, output)
    node.activation_inputs(2)
    weights.check(node, kernel, channel_axis=0)
    node.require(bool((kernel.zero_point == 0).all()), "has weights whose zero point is not 0")
    node.require(
        len(kernel.shape) == len(image.shape) == len(output.shape) == 4
        and kernel.shape[3] == image.shape[3]
        and kernel.shape[0] == output.shape[3]
        and image.shape[0] == output.shape[0],
        f"has weights of shape {list(kernel.shape)} for {list(image.shape)} and {list(output.shape)}",
    )
    node.require(
        node.option("fused_activation_function", "NONE") == "NONE",
        "has a fused activation; make it a layer of its own",
    )
    channels, height, width, depth = kernel.shape
    found: dict[str, int] = {}
    for axis, name, size in ((1, "height", height), (2, "width", width)):
        stride = node.option(f"stride_{name[0]}", 1)
        node.require(0 < stride <= 2**15 and size <= 2**15, f"has stride {stride} and filter {size} along its {name}")
        # A transposed convolution is its forward twin's gradient: the window slides over the output.
        positions, before = windows.outputs_and_padding(
            node.option("padding", "SAME"), output.shape[axis], size, stride
        )
        node.require(
            positions == image.shape[axis],
            f"makes an output {name} of {output.shape[axis]} of {image.shape[axis]}, where stride and padding take "
            f"{positions}",
        )
        found |= {f"stride_{name}": stride, f"pad_{'top' if axis == 1 else 'left'}": before}
    products = height * width * depth
    node.require(products <= weights.MAX_PRODUCTS // 2, f"sums {products} products, too many for 32 bits")
    scales = weights.scales(node, image, kernel, output)
    low, high = activation_range("NONE", output)
    shape = {
        "batches": image.shape[0],
        "input_height": image.shape[1],
        "input_width": image.shape[2],
        "input_depth": depth,
        "output_height": output.shape[1],
        "output_width": output.shape[2],
        "output_depth": channels,
        "filter_height": height,
        "filter_width": width,
        **{name: found[name] for name in ("stride_height", "stride_width", "pad_top", "pad_left")},
        "input_zero_point": zero_point_of(image),
        "output_zero_point": zero_point_of(output),
        "activation_min": low,
        "activation_max": high,
        "scale_step": int(len(scales) > 1),
    }
    matrix = node.constant(1, "int8").reshape(channels, products)
    call = Call(
        "nn_transpose_conv",
        "transpose_conv",
        "transpose_conv",
        "nn_transpose_conv_shape",
        shape,
        arguments=(2, "weights", "bias", "scales"),
        constants={
            "weights": matrix,
            "bias": weights.folded_bias(node, 3, 0, matrix.sum(axis=1, dtype="int64")),
            "scales": scales,
        },
    )
    return Lowered((call,))
