"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED with 16-bit activations and with real numbers, as one kernel."""

import dataclasses

import numpy as np

from firmware_tools.codegen import weights, windows
from firmware_tools.codegen.numerics import activation_range, channel_scales
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import Array, GraphTensor

OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
MAX_SHIFT_WIDE = 14


@dataclasses.dataclass(frozen=True)
class _Geometry:
    """The shape's fields up to the groups, and the weights as (output channels, taps and depth of a group)."""

    fields: dict[str, int]
    matrix: Array


def _geometry(node: Node, kernel: GraphTensor, dtype: str) -> _Geometry:
    image, output = node.input(0), node.output
    values = node.constant(1, dtype)
    if node.op.name == "FULLY_CONNECTED":
        node.require(len(kernel.shape) == 2, f"has weights of shape {list(kernel.shape)}, expected (units, inputs)")
        units, depth = kernel.shape
        rows = image.elements // depth
        node.require(
            node.option("weights_format", 0) == 0
            and rows * depth == image.elements
            and output.elements == rows * units,
            f"has weights of shape {list(kernel.shape)} for {image.elements} inputs and {output.elements} outputs",
        )
        sizes = {"batches": rows, "input_height": 1, "input_width": 1, "input_depth": depth}
        sizes |= {"output_height": 1, "output_width": 1, "output_depth": units}
        window = dict.fromkeys(windows.ORDER, 1) | {"pad_top": 0, "pad_left": 0}
        return _Geometry({**sizes, **window, "groups": 1}, values)
    node.require(len(kernel.shape) == 4, f"has weights of shape {list(kernel.shape)}, expected four dimensions")
    _, height, width, last = kernel.shape
    window = windows.fields(node, height, width)
    if node.op.name == "DEPTHWISE_CONV_2D":
        groups, channels = image.shape[3], last
        values = values.transpose(3, 1, 2, 0)
    else:
        groups, channels = image.shape[3] // last, kernel.shape[0]
    depth = image.shape[3] // max(groups, 1)
    node.require(
        groups * depth == image.shape[3]
        and groups > 0
        and channels % groups == 0
        and channels == output.shape[3]
        and values.shape == (channels, height, width, depth),
        f"has weights of shape {list(kernel.shape)} for {image.shape[3]} input and {output.shape[3]} output channels",
    )
    sizes = {
        "batches": image.shape[0],
        "input_height": image.shape[1],
        "input_width": image.shape[2],
        "input_depth": image.shape[3],
        "output_height": output.shape[1],
        "output_width": output.shape[2],
        "output_depth": channels,
    }
    return _Geometry({**sizes, **window, "groups": groups}, values.reshape(channels, -1))


def _bias(node: Node, channels: int) -> Array | None:
    bias = node.optional(2)
    if bias is None:
        return None
    node.require(
        bias.data is not None and bias.elements == channels, f"has {bias.elements} biases for {channels} channels"
    )
    return np.asarray(bias.data).ravel()


def _call(name: str, shape: dict[str, int], constants: dict[str, Array]) -> Lowered:
    call = Call(
        f"nn_conv_{name}",
        f"conv_{name}",
        "conv_plain",
        "nn_conv_plain_shape",
        shape,
        arguments=(0, *constants),
        constants=constants,
    )
    return Lowered((call,))


@lowers(*OPS, dtype="int16")
def conv_16(node: Node) -> Lowered:
    """Sums are 64 bits wide with a bias of int64 and where there is none, 32 with one of int32, and rescaled so."""
    image, kernel, output = node.input(0), node.input(1), node.output
    node.int16(image, output)
    node.activation_inputs(0)
    weights.check(node, kernel, channel_axis=3 if node.op.name == "DEPTHWISE_CONV_2D" else 0)
    node.require(bool((kernel.zero_point == 0).all()), "has weights whose zero point is not 0")
    geometry = _geometry(node, kernel, "int8")
    channels = geometry.fields["output_depth"]
    bias = _bias(node, channels)
    wide = bias is None or bias.dtype == np.int64
    node.require(
        bias is None or bias.dtype in (np.int64, np.int32), "has a bias that is neither int64 nor int32; convert again"
    )
    node.require(
        wide or node.op.name == "CONV_2D", "has a bias of int32, which TensorFlow Lite Micro takes in CONV_2D alone"
    )
    products = geometry.matrix.shape[1]
    node.require(
        products <= 2**23 and (bias is None or int(np.abs(bias.astype(np.float64)).max()) < 2**46),
        f"sums {products} products and a bias that may pass 2**47, which no trained model does",
    )
    node.require(wide or products <= 2**9, f"sums {products} products of 16 bits in 32, at most 512 fit")
    scales = channel_scales(image, kernel, output)  # in double, for a dense layer too
    node.require(
        bool((scales[:, 1] <= (MAX_SHIFT_WIDE if wide else weights.MAX_SHIFT)).all()),
        "rescales by more than any trained model does; check the scales and convert again",
    )
    kind = node.option("fused_activation_function", "NONE")
    node.require(kind in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"), f"has the fused activation {kind}")
    low, high = activation_range(kind, output)
    shape = {
        **geometry.fields,
        "activation_min": low,
        "activation_max": high,
        "scale_step": int(len(scales) > 1),
        "wide": int(wide),
    }
    constants = {
        "weights": geometry.matrix,
        "bias": np.zeros(channels, np.int64) if bias is None else bias.astype(np.int64),
        "scales": scales,
    }
    return _call("16", shape, constants)


def float_range(node: Node) -> Array:
    """Lowest and highest value under the op's fused activation, as float32."""
    kind = node.option("fused_activation_function", "NONE")
    largest = np.finfo(np.float32).max
    bounds = {"NONE": (-largest, largest), "RELU": (0, largest), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
    node.require(kind in bounds, f"has the fused activation {kind}; make the activation a layer of its own")
    return np.array(bounds[kind], np.float32)


@lowers(*OPS, dtype="float32")
def conv_float(node: Node) -> Lowered:
    """Products are added in the order of TensorFlow Lite Micro's reference kernels."""
    image, kernel, output = node.input(0), node.input(1), node.output
    node.float32(image, kernel, output)
    node.activation_inputs(0)
    geometry = _geometry(node, kernel, "float32")
    channels = geometry.fields["output_depth"]
    bias = _bias(node, channels)
    shape = {**geometry.fields, "activation_min": 0, "activation_max": 0, "scale_step": 0, "wide": 0}
    constants = {
        "weights": geometry.matrix,
        "bias": np.zeros(channels, np.float32) if bias is None else bias,
        "range": float_range(node),
    }
    return _call("float", shape, constants)
