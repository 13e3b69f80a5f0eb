"""What would end this process within an interpreter, kept away from it."""

from typing import Any

from firmware_tools.graph import Graph, Op
from tfviz.errors import InputError


def refuse_fatal(graph: Graph) -> None:
    """Refuse a model on which LiteRT and TensorFlow Lite Micro do not fail but abort.

    Raises:
        InputError: a sum, a difference or a softmax of integers without a scale; a softmax so flat that its multiplier,
            which has to be above 1, is none.
    """
    for op in graph.ops:
        if op.name not in ("ADD", "SUB", "SOFTMAX", "LOG_SOFTMAX") or not op.inputs or op.inputs[0] < 0:
            continue
        tensors = [graph.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0]
        for tensor in tensors:
            if tensor.dtype in ("int8", "int16", "uint8") and not len(tensor.scale):
                raise InputError(
                    f"{graph.name} has no scale for the {tensor.dtype} tensor '{tensor.name}' of op {op.index} "
                    f"({op.name}); the file is damaged."
                )
        logits = tensors[0]
        if "SOFTMAX" not in op.name or logits.dtype == "float32" or len(logits.scale) != 1:
            continue
        beta = float(op.options.get("beta", 1.0))
        # Five integer bits of 32 (softmax.cc of either): scale * beta * 2^26.
        if not float(logits.scale[0]) * beta * 2.0**26 > 1:
            raise InputError(
                f"{graph.name} has a {op.name} (op {op.index}, layer '{op.layer}') with beta {beta:g} and an input "
                f"scale of {float(logits.scale[0]):g}, too small to tell values apart: its logits are all but zero. "
                "Train the model (a new, deep one is such) and convert it again; else the file is damaged."
            )


def _crashes(op: Op) -> bool:
    """A depthwise convolution whose bias is named as left out (-1): the wheel reads the tensor all the same."""
    return op.name == "DEPTHWISE_CONV_2D" and op.inputs[2:] == (-1,)


def avoided(data: bytes, graph: Graph) -> bytes:
    """`data`, a file of `graph` or of one of its ops, so written that the wheel does not crash; the model is the same.

    A bias that is left out by not being in the list of inputs at all means the same, and works.
    """
    if not any(_crashes(op) for op in graph.ops):
        return data
    import flatbuffers
    from ai_edge_litert import schema_py_generated

    schema: Any = schema_py_generated
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        is_depthwise = max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.DEPTHWISE_CONV_2D
        if is_depthwise and list(operator.inputs[2:]) == [-1]:
            operator.inputs = operator.inputs[:2]
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
