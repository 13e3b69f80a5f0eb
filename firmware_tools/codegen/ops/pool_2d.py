"""AVERAGE_POOL_2D and MAX_POOL_2D: mean or maximum over a window, input and output on the same scale."""

from firmware_tools.codegen import windows
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers


def window_shape(node: Node) -> dict[str, int]:
    """The shape's fields, but for the activation's range."""
    image, output = node.input(0), node.output
    node.activation_inputs(0)
    window = windows.fields(node, node.option("filter_height", 1), node.option("filter_width", 1))
    node.require(image.shape[3] == output.shape[3], "changes the number of channels")
    return {
        "batches": image.shape[0],
        "input_height": image.shape[1],
        "input_width": image.shape[2],
        "depth": image.shape[3],
        "output_height": output.shape[1],
        "output_width": output.shape[2],
        **{name: value for name, value in window.items() if not name.startswith("dilation")},
    }


@lowers("AVERAGE_POOL_2D", "MAX_POOL_2D")
def pool_2d(node: Node) -> Lowered:
    """Only the window's taps inside of the image count."""
    node.int8(node.input(0), node.output)
    low, high = node.activation(node.output)
    shape = {**window_shape(node), "activation_min": low, "activation_max": high}
    source = node.op.name.lower()
    return Lowered((Call(f"nn_{source}", source, "pool_2d", "nn_pool_2d_shape", shape),))
