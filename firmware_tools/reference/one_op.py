"""One op of a model as a model of its own, with its constants: how a desktop engine is given an op's inputs."""

from typing import Any

from firmware_tools.graph import Graph, Op
from tfviz.errors import InputError


class OneOp:
    """Cuts ops out of a validated graph; the file is unpacked once.

    Tensors keep their names, shapes, quantisation and constants. The model's inputs are the op's activations, each
    once, in the op's order (`inputs`), its outputs the op's outputs.
    """

    def __init__(self, graph: Graph) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema: Any = schema
        self._graph = graph
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(graph.bytes, 0))

    def inputs(self, op: Op) -> tuple[int, ...]:
        """The tensor indices of the op's activations, in its order, each once."""
        tensors = self._graph.tensors
        return tuple(dict.fromkeys(i for i in op.inputs if i >= 0 and not tensors[i].is_constant))

    def model(self, op: Op) -> bytes:
        """The flatbuffer of op `op` alone.

        Raises:
            InputError: every input of the op is a constant, so there is nothing to give it.
        """
        activations = self.inputs(op)
        if not activations:
            raise InputError(f"Op {op.index} ({op.name}) reads constants only; it cannot be run alone.")
        import flatbuffers

        schema, source = self._schema, self._model
        whole = source.subgraphs[0]
        used = list(dict.fromkeys([i for i in op.inputs if i >= 0] + list(op.outputs)))
        place = {tensor: position for position, tensor in enumerate(used)}
        buffers, tensors = [schema.BufferT()], []
        for index in used:
            tensor = _copy(whole.tensors[index])
            if self._graph.tensors[index].is_constant:
                buffers.append(source.buffers[tensor.buffer])
                tensor.buffer = len(buffers) - 1
            else:
                tensor.buffer = 0
                tensor.shapeSignature = None
            tensors.append(tensor)
        operator = _copy(whole.operators[op.index])
        code = source.operatorCodes[operator.opcodeIndex]
        operator.opcodeIndex = 0
        operator.inputs = [place[i] if i >= 0 else -1 for i in op.inputs]
        operator.outputs = [place[i] for i in op.outputs]
        subgraph = schema.SubGraphT()
        subgraph.tensors, subgraph.operators = tensors, [operator]
        subgraph.inputs, subgraph.outputs = [place[i] for i in activations], [place[i] for i in op.outputs]
        model = schema.ModelT()
        model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [subgraph], buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _copy(item: Any) -> Any:
    """A shallow copy of a schema object, so that the unpacked model stays as it was read."""
    made = type(item)()
    vars(made).update(vars(item))
    return made
