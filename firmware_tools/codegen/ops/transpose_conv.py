"""TRANSPOSE_CONV: `clamp(zero_point + scale[c] * (bias[c] + sum of what each input pixel scatters here))`."""

import numpy as np

from firmware_tools.codegen import weights, windows
from firmware_tools.codegen.numerics import activation_range, channel_scales, zero_point_of
from firmware_tools.codegen.ops.conv_plain import MAX_SHIFT_WIDE, float_range
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import Array


def _geometry(node: Node) -> dict[str, int]:
    """The shape's fields up to the padding. Weights lie as (output depth, height, width, input depth)."""
    kernel, image, output = node.input(1), node.input(2), node.output
    node.activation_inputs(2)
    node.require(
        len(kernel.shape) == len(image.shape) == len(output.shape) == 4
        and kernel.shape[3] == image.shape[3]
        and kernel.shape[0] == output.shape[3]
        and image.shape[0] == output.shape[0],
        f"has weights of shape {list(kernel.shape)} for {list(image.shape)} and {list(output.shape)}",
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
    return {
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
    }


def _call(suffix: str, shape: dict[str, int], constants: dict[str, Array]) -> Lowered:
    name = f"transpose_conv{suffix}"
    arguments: tuple[int | str, ...] = (2, *constants)
    return Lowered(
        (Call(f"nn_{name}", name, "transpose_conv", "nn_transpose_conv_shape", shape, arguments, constants),)
    )


def _integer_weights(node: Node, products: int) -> Array:
    kernel = node.input(1)
    weights.check(node, kernel, channel_axis=0)
    node.require(bool((kernel.zero_point == 0).all()), "has weights whose zero point is not 0")
    return node.constant(1, "int8").reshape(-1, products)


def _products(shape: dict[str, int]) -> int:
    return shape["filter_height"] * shape["filter_width"] * shape["input_depth"]


def _kind(node: Node) -> str:
    kind = str(node.option("fused_activation_function", "NONE"))
    node.require(
        kind in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"),
        f"has the fused activation {kind}; make the activation a layer of its own",
    )
    return kind


@lowers("TRANSPOSE_CONV")
def transpose_conv(node: Node) -> Lowered:
    """The output's shape is the tensor's own."""
    kernel, image, output = node.input(1), node.input(2), node.output
    node.int8(image, output)
    shape = _geometry(node)
    products = _products(shape)
    matrix = _integer_weights(node, products)
    node.require(products <= weights.MAX_PRODUCTS // 2, f"sums {products} products, too many for 32 bits")
    scales = weights.scales(node, image, kernel, output)
    low, high = activation_range(_kind(node), output)
    shape |= {
        "input_zero_point": zero_point_of(image),
        "output_zero_point": zero_point_of(output),
        "activation_min": low,
        "activation_max": high,
        "scale_step": int(len(scales) > 1),
    }
    bias = weights.folded_bias(node, 3, 0, matrix.sum(axis=1, dtype="int64"))
    return _call("", shape, {"weights": matrix, "bias": bias, "scales": scales})


def _bias(node: Node, channels: int, dtype: str) -> Array:
    bias = node.optional(3)
    if bias is None:
        return np.zeros(channels, dtype)
    node.require(bias.elements == channels, f"has {bias.elements} biases for {channels} channels")
    return node.constant(3, dtype).ravel()


@lowers("TRANSPOSE_CONV", dtype="int16")
def transpose_conv_16(node: Node) -> Lowered:
    """Sums have 64 bits; a bias is of int64."""
    kernel, image, output = node.input(1), node.input(2), node.output
    node.int16(image, output)
    shape = _geometry(node)
    products, channels = _products(shape), shape["output_depth"]
    matrix = _integer_weights(node, products)
    bias = _bias(node, channels, "int64")
    node.require(
        products <= 2**23 and int(np.abs(bias.astype(np.float64)).max()) < 2**46,
        f"sums {products} products and a bias that may pass 2**47, which no trained model does",
    )
    scales = channel_scales(image, kernel, output)
    node.require(bool((scales[:, 1] <= MAX_SHIFT_WIDE).all()), "rescales by more than any trained model does")
    low, high = activation_range(_kind(node), output)
    shape |= {"input_zero_point": 0, "output_zero_point": 0, "activation_min": low, "activation_max": high}
    shape |= {"scale_step": int(len(scales) > 1)}
    return _call("_16", shape, {"weights": matrix, "bias": bias, "scales": scales})


@lowers("TRANSPOSE_CONV", dtype="float32")
def transpose_conv_float(node: Node) -> Lowered:
    """Products are added in the order in which TensorFlow Lite Micro scatters them."""
    node.float32(node.input(1), node.input(2), node.output)
    shape = _geometry(node)
    shape |= dict.fromkeys(
        ("input_zero_point", "output_zero_point", "activation_min", "activation_max", "scale_step"), 0
    )
    matrix = node.constant(1, "float32").reshape(-1, _products(shape))
    constants = {"weights": matrix, "bias": _bias(node, shape["output_depth"], "float32"), "range": float_range(node)}
    return _call("_float", shape, constants)
