"""LOG_SOFTMAX: `x - log(sum of exp(x))` over the last axis, in fixed point."""

from firmware_tools.codegen.numerics import quantize_multiplier, scale_of, zero_point_of
from firmware_tools.codegen.ops.softmax import INTEGER_BITS, MAX_DEPTH, exponentials
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers


@lowers("LOG_SOFTMAX")
def log_softmax(node: Node) -> Lowered:
    """The exponentials are SOFTMAX's table; the logarithm is computed on the device."""
    logits, output = node.input(0), node.output
    node.int8(logits, output)
    node.activation_inputs(0)
    node.require(logits.shape == output.shape and len(logits.shape) > 0, "changes the shape")
    node.require(
        zero_point_of(output) == 127 and scale_of(output) == 1 / 16,
        f"has an output of scale {scale_of(output):g} and zero point {zero_point_of(output)}, expected 1/16 and 127",
    )
    depth = logits.shape[-1]
    node.require(depth <= MAX_DEPTH, f"has {depth} classes, at most {MAX_DEPTH} keep its sum within 32 bits")
    real = min(scale_of(logits) * 2.0 ** (31 - INTEGER_BITS), 2.0**31 - 1)
    node.require(real > 1, f"has an input scale of {scale_of(logits):g}, too small to tell values apart")
    multiplier, shift = quantize_multiplier(real)
    back = quantize_multiplier(2.0 ** (31 - shift) / multiplier)
    table = exponentials(scale_of(logits), 1.0)
    radius = ((2**INTEGER_BITS - 1) << (31 - INTEGER_BITS)) >> shift
    shape = {
        "rows": logits.elements // depth,
        "depth": depth,
        "table": len(table),
        "multiplier": multiplier,
        "shift": shift,
        "back_multiplier": back[0],
        "back_shift": back[1],
        "smallest": -radius - 1,
    }
    call = Call(
        "nn_log_softmax",
        "log_softmax",
        "log_softmax",
        "nn_log_softmax_shape",
        shape,
        (0, "exponentials"),
        {"exponentials": table},
    )
    return Lowered((call,))
