"""Faults of the TensorFlow Lite Micro wheel that would end this process, kept away from it."""

from typing import Any

from firmware_tools.graph import Graph, Op


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
