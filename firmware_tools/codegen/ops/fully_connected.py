"""FULLY_CONNECTED: `clamp(zero_point + scale[u] * (bias[u] + sum of input * weights[u]))`, one scale or one a unit."""

from firmware_tools.codegen import weights
from firmware_tools.codegen.numerics import zero_point_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers


@lowers("FULLY_CONNECTED")
def fully_connected(node: Node) -> Lowered:
    """Weights become rows of whole words, four units in turns; the bias takes up the input's zero point."""
    inputs, kernel, output = node.input(0), node.input(1), node.output
    node.int8(inputs, output)
    node.activation_inputs(0)
    weights.check(node, kernel, channel_axis=0)
    node.require(node.option("weights_format", 0) == 0, "has shuffled weights; convert again without that optimisation")
    node.require(len(kernel.shape) == 2, f"has weights of shape {list(kernel.shape)}, expected (units, inputs)")
    units, depth = kernel.shape
    batches = inputs.elements // depth
    node.require(
        batches * depth == inputs.elements and output.elements == batches * units,
        f"has weights of shape {list(kernel.shape)} for {inputs.elements} inputs and {output.elements} outputs",
    )
    node.require(depth <= weights.MAX_PRODUCTS, f"sums {depth} products, at most {weights.MAX_PRODUCTS} fit")
    per_unit = len(kernel.scale) > 1
    zero_point = zero_point_of(kernel)
    node.require(
        zero_point == 0 or not per_unit, "has weights with a zero point for each unit that is not 0; convert again"
    )
    matrix = node.constant(1, "int8")
    rows = weights.padded_rows(matrix)
    low, high = node.activation(output)
    sums = matrix.sum(axis=1, dtype="int64") - zero_point * depth
    bias = weights.folded_bias(node, 2, zero_point_of(inputs), sums)
    scales = weights.scales(node, inputs, kernel, output)
    sizes = weights.sizes(rows)
    if zero_point == 0:
        bias, scales = weights.settled(sizes, bias, scales)
    shape = {
        "batches": batches,
        "depth": depth,
        "outputs": units,
        "quads": rows.shape[1] // 4,
        "weights_zero_point": zero_point,
        "output_zero_point": zero_point_of(output),
        "activation_min": low,
        "activation_max": high,
        "scale_step": int(per_unit),
        "quick": int(zero_point == 0) and weights.quick(sizes, bias, scales, low, high),
    }
    kind = "_wide" if node.wide else ""
    call = Call(
        function=f"nn_fully_connected{kind}",
        source=f"fully_connected{kind}",
        header="fully_connected",
        shape_type="nn_fully_connected_shape",
        shape=shape,
        arguments=(0, "weights", "bias", "scales"),
        scratch=True,
        helpers=("fully_connected_by", f"nn_dot_1x4{kind}", "nn_finish", "nn_widen"),
        constants={
            "weights": weights.in_turns(rows, 4, wide=node.wide),
            "bias": weights.padded_bias(bias, 1, 4),
            "scales": scales,
        },
    )
    return Lowered((call,), scratch=8 * shape["quads"])
