"""RELU and its kin, LEAKY_RELU, LOGISTIC, TANH, ELU, HARD_SWISH and SOFTMAX of real numbers."""

import numpy as np

from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import Array

_HELD = {"RELU": (0, np.finfo(np.float32).max), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}


def _curve(node: Node, name: str, source: str, helpers: tuple[str, ...] = (), **constants: Array) -> Lowered:
    node.float32(node.input(0), node.output)
    node.activation_inputs(0)
    node.require(node.input(0).elements == node.output.elements, "changes the number of values")
    shape = {"elements": node.output.elements}
    arguments: tuple[int | str, ...] = (0, *constants)
    call = Call(
        f"nn_{name}_float", source, "curves_float", "nn_curve_float_shape", shape, arguments, constants, helpers=helpers
    )
    return Lowered((call,), in_place=(0,))


@lowers(*_HELD, dtype="float32")
def hold(node: Node) -> Lowered:
    """`min(max(x, low), high)`"""
    return _curve(node, "hold", "curves_float", range=np.array(_HELD[node.op.name], np.float32))


@lowers("LEAKY_RELU", dtype="float32")
def leaky_relu(node: Node) -> Lowered:
    """`x` above zero, `alpha * x` below."""
    return _curve(node, "leaky_relu", "curves_float", alpha=np.array([node.option("alpha", 0.0)], np.float32))


@lowers("HARD_SWISH", dtype="float32")
def hard_swish(node: Node) -> Lowered:
    """`x * min(max(x + 3, 0), 6) / 6`"""
    return _curve(node, "hard_swish", "curves_float")


@lowers("LOGISTIC", "TANH", "ELU", dtype="float32")
def exponential(node: Node) -> Lowered:
    """Within 4 ULP of a C library's function: the exponential is our own."""
    return _curve(node, node.op.name.lower(), "exponential_float", ("nn_float",))


@lowers("SOFTMAX", dtype="float32")
def softmax(node: Node) -> Lowered:
    """Over the last axis."""
    logits, output = node.input(0), node.output
    node.float32(logits, output)
    node.activation_inputs(0)
    node.require(logits.shape == output.shape and len(logits.shape) > 0, "changes the shape")
    depth = logits.shape[-1]
    call = Call(
        "nn_softmax_float",
        "exponential_float",
        "curves_float",
        "nn_softmax_float_shape",
        {"rows": logits.elements // depth, "depth": depth},
        (0, "beta"),
        {"beta": np.array([node.option("beta", 1.0)], np.float32)},
        helpers=("nn_float",),
    )
    return Lowered((call,))
