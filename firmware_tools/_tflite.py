"""Reads and validates the flatbuffer of a `.tflite`; `graph.load` is the door to it.

Nothing read from the file is believed before it is checked: counts against the file's size, indices against what there
is, sizes against the product of dimensions. Time and memory are bounded by the size of the file.
"""

import math
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from firmware_tools.graph import DTYPES, Array, Graph, GraphTensor, Op, layer_name
from tfviz.errors import InputError

# The tables of the generated model count tensors and ops in 16 bits, and its arena in 32.
MAX_TENSORS = 65_534
MAX_OPS = 65_534
MAX_RANK = 8
MAX_ELEMENTS = 2**31 - 1
MAX_OPTION_LENGTH = 64
MAX_CHANNELS = 2**20
MAX_NAME = 4096
MAX_REASON = 500
# Wide enough for every trained model, narrow enough that products and ratios of scales stay finite in float32.
MIN_SCALE, MAX_SCALE = 1e-30, 1e15


def read(data: bytes, label: str, name: str) -> Graph:
    """The graph in `data`; `label` is what to call the file in a refusal, `name` what to call the model.

    Raises:
        InputError: it is not a `.tflite`, or what it says is not consistent.
    """
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise InputError(f"{label} is not a .tflite file: it lacks the identifier TFL3; convert a Keras model first.")
    try:
        return _Reader(data, label).graph(name)
    except InputError:
        raise
    except (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, KeyError) as error:
        raise InputError(f"{label} is a damaged .tflite file ({type(error).__name__} while reading it).") from error


# Ops whose options are of a kind that is not named after them.
_OPTIONS = {
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    **dict.fromkeys(("MEAN", "SUM", *(f"REDUCE_{part}" for part in ("MAX", "MIN", "PROD", "ANY"))), "ReducerOptions"),
}
# Ops that an interpreter runs with zeros where their options are missing: a stride of 0, a division by 0.
_NEED_OPTIONS = frozenset(
    {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D", "SOFTMAX"}
)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _nibbles(raw: Array, elements: int) -> Array:
    """Values of four bits with a sign, two a byte, the lower half first, as int8."""
    halves = np.stack([raw & 15, raw >> 4], axis=-1).ravel()[:elements].astype(np.int8)
    values: Array = (halves ^ 8) - 8
    values.setflags(write=False)
    return values


class _Reader:
    """Walks the flatbuffer by its accessors; the object API would unpack whole vectors before they are checked."""

    def __init__(self, data: bytes, label: str) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema = schema
        self.data = data
        self.label = label

    def fail(self, reason: str) -> InputError:
        if len(reason) > MAX_REASON:  # a name, by the file's own word, may be thousands of characters long
            reason = f"{reason[: MAX_REASON // 2]} ... {reason[-MAX_REASON // 2 :]}"
        return InputError(f"{self.label} cannot be used: {reason}.")

    def names_of(self, enumeration: str) -> dict[int, str]:
        values = vars(getattr(self.schema, enumeration))
        return {value: name for name, value in values.items() if isinstance(value, int)}

    def graph(self, name: str) -> Graph:
        model = self.schema.Model.GetRootAs(self.data, 0)
        if model.Version() != 3:
            raise self.fail(f"its schema version is {model.Version()}, expected 3")
        if model.SubgraphsLength() != 1:
            raise self.fail(f"it has {model.SubgraphsLength()} subgraphs (control flow), expected exactly one")
        subgraph = model.Subgraphs(0)
        n_tensors, n_ops = subgraph.TensorsLength(), subgraph.OperatorsLength()
        if not 0 < n_tensors <= MAX_TENSORS:
            raise self.fail(f"it has {n_tensors} tensors, expected 1 to {MAX_TENSORS}")
        if not 0 < n_ops <= MAX_OPS:
            raise self.fail(f"it has {n_ops} ops, expected 1 to {MAX_OPS}")
        if 4 * (n_tensors + n_ops) > len(self.data):
            raise self.fail(f"it claims {n_tensors} tensors and {n_ops} ops, more than its {len(self.data)} bytes hold")
        types = {value: kind.lower() for value, kind in self.names_of("TensorType").items()}
        tensors = tuple(self.tensor(model, subgraph.Tensors(i), i, types) for i in range(n_tensors))
        ops = self.operators(model, subgraph, tensors)
        inputs = self.indices(subgraph.InputsLength(), subgraph.InputsAsNumpy(), n_tensors, "the model's inputs")
        outputs = self.indices(subgraph.OutputsLength(), subgraph.OutputsAsNumpy(), n_tensors, "the model's outputs")
        self.check_order(tensors, ops, inputs, outputs)
        return Graph(ops=ops, tensors=tensors, inputs=inputs, outputs=outputs, bytes=self.data, name=name)

    def text(self, raw: bytes | None) -> str:
        if raw is None:
            return ""
        text = bytes(raw[:MAX_NAME]).decode("utf-8", errors="replace")
        return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)

    def indices(self, length: int, values: Any, limit: int, what: str, *, optional: bool = False) -> tuple[int, ...]:
        if length > MAX_TENSORS:
            raise self.fail(f"{what} are {length} tensors, more than the model has")
        result = tuple(int(value) for value in values) if length else ()
        lowest = -1 if optional else 0
        for value in result:
            if not lowest <= value < limit:
                raise self.fail(f"{what} name tensor {value}, but there are tensors 0 to {limit - 1} only")
        return result

    def tensor(self, model: Any, table: Any, index: int, types: Mapping[int, str]) -> GraphTensor:
        name = self.text(table.Name()) or f"tensor_{index}"
        shape = self.shape(table, name)
        dtype = types.get(table.Type())
        if dtype is None:
            raise self.fail(f"tensor '{name}' has the unknown type {table.Type()}")
        if table.IsVariable():
            raise self.fail(f"tensor '{name}' is a variable that lives from run to run; only stateless models are run")
        if table.Sparsity() is not None:
            raise self.fail(f"tensor '{name}' is stored sparse; convert without sparsity")
        scale, zero_point, dimension = self.quantization(table.Quantization(), name, dtype, shape)
        return GraphTensor(
            index=index,
            name=name,
            shape=shape,
            dtype=dtype,
            scale=scale,
            zero_point=zero_point,
            quantized_dimension=dimension,
            data=self.constant(model, table.Buffer(), name, dtype, shape),
        )

    def shape(self, table: Any, name: str) -> tuple[int, ...]:
        rank = table.ShapeLength()
        if rank > MAX_RANK:
            raise self.fail(f"tensor '{name}' has {rank} dimensions, at most {MAX_RANK} are possible")
        shape = tuple(int(size) for size in table.ShapeAsNumpy()) if rank else ()
        if any(size <= 0 for size in shape):
            raise self.fail(f"tensor '{name}' has the shape {list(shape)}; convert with a fixed batch and fixed sizes")
        if math.prod(shape) > MAX_ELEMENTS:
            raise self.fail(f"tensor '{name}' of shape {list(shape)} has {math.prod(shape)} elements, too many")
        return shape

    def quantization(self, table: Any, name: str, dtype: str, shape: tuple[int, ...]) -> tuple[Array, Array, int]:
        none = (np.zeros(0, np.float32), np.zeros(0, np.int64), 0)
        if table is None or table.ScaleLength() == 0:
            return none
        count = table.ScaleLength()
        if count > MAX_CHANNELS or table.ZeroPointLength() not in (0, 1, count):
            raise self.fail(f"tensor '{name}' has {count} scales and {table.ZeroPointLength()} zero points")
        scale = np.array(table.ScaleAsNumpy(), np.float32)
        zero_point = np.zeros(count, np.int64)
        if table.ZeroPointLength():
            zero_point[:] = table.ZeroPointAsNumpy()
        dimension = int(table.QuantizedDimension())
        # Not a number is in no range either.
        if not ((scale >= MIN_SCALE) & (scale <= MAX_SCALE)).all():
            raise self.fail(
                f"tensor '{name}' has a scale that is not between {MIN_SCALE:g} and {MAX_SCALE:g}; convert it again"
            )
        if dtype in ("int8", "uint8", "int16", "int32"):
            limits = np.iinfo(DTYPES[dtype])
            if (zero_point < limits.min).any() or (zero_point > limits.max).any():
                raise self.fail(f"tensor '{name}' has a zero point outside of {dtype}")
        # With one scale the dimension means nothing; files in the wild carry odd values there.
        if count > 1 and not (0 <= dimension < len(shape) and shape[dimension] == count):
            raise self.fail(f"tensor '{name}' of shape {list(shape)} has {count} scales along dimension {dimension}")
        scale.setflags(write=False)
        zero_point.setflags(write=False)
        return scale, zero_point, dimension

    def constant(self, model: Any, buffer: int, name: str, dtype: str, shape: tuple[int, ...]) -> Array | None:
        if not 0 <= buffer < max(model.BuffersLength(), 1):
            raise self.fail(f"tensor '{name}' names buffer {buffer}, but there are {model.BuffersLength()}")
        if buffer == 0 or model.BuffersLength() == 0:
            return None
        table = model.Buffers(buffer)
        if table.Offset() > 1:
            raise self.fail(f"tensor '{name}' is stored outside of the flatbuffer, which is made for models above 2 GB")
        if table.DataLength() == 0:
            return None
        raw = np.asarray(table.DataAsNumpy(), np.uint8)
        if dtype not in DTYPES and dtype != "int4":
            return raw
        elements = math.prod(shape)
        expected = -(-elements // 2) if dtype == "int4" else elements * DTYPES[dtype].itemsize
        if raw.size != expected:
            raise self.fail(f"constant '{name}' {list(shape)} of {dtype} needs {expected} bytes, has {raw.size}")
        if dtype == "int4":
            return _nibbles(raw, elements).reshape(shape)
        return np.frombuffer(raw.tobytes(), DTYPES[dtype]).reshape(shape)

    def operators(self, model: Any, subgraph: Any, tensors: tuple[GraphTensor, ...]) -> tuple[Op, ...]:
        builtin = self.names_of("BuiltinOperator")
        unions = self.names_of("BuiltinOptions")
        enums = {
            "padding": self.names_of("Padding"),
            "fused_activation_function": self.names_of("ActivationFunctionType"),
            "mode": self.names_of("MirrorPadMode"),
        }
        codes = [self.code(model.OperatorCodes(i), builtin) for i in range(self.code_count(model))]
        ops = []
        for index in range(subgraph.OperatorsLength()):
            table = subgraph.Operators(index)
            if not 0 <= table.OpcodeIndex() < len(codes):
                raise self.fail(f"op {index} names operator code {table.OpcodeIndex()}, but there are {len(codes)}")
            name, version, code = codes[table.OpcodeIndex()]
            what = f"op {index} ({name})"
            inputs = self.indices(
                table.InputsLength(), table.InputsAsNumpy(), len(tensors), f"inputs of {what}", optional=True
            )
            outputs = self.indices(table.OutputsLength(), table.OutputsAsNumpy(), len(tensors), f"outputs of {what}")
            if not outputs:
                raise self.fail(f"{what} has no output")
            if len(inputs) > 255 or len(outputs) > 255:
                raise self.fail(f"{what} has {len(inputs)} inputs and {len(outputs)} outputs, at most 255 are possible")
            ops.append(
                Op(
                    index=index,
                    name=name,
                    layer=layer_name(tensors[outputs[0]].name),
                    inputs=inputs,
                    outputs=outputs,
                    options=MappingProxyType(self.options(table, unions, enums, name, what)),
                    version=version,
                    code=code,
                )
            )
        return tuple(ops)

    def code_count(self, model: Any) -> int:
        count: int = model.OperatorCodesLength()
        if count > MAX_OPS:
            raise self.fail(f"it has {count} operator codes")
        return count

    def code(self, table: Any, builtin: Mapping[int, str]) -> tuple[str, int, int]:
        # Codes above 126 do not fit into the old 8-bit field; the larger of the two is the real one.
        value = max(table.BuiltinCode(), table.DeprecatedBuiltinCode())
        name = builtin.get(value)
        if name is None:
            raise self.fail(f"it uses the builtin operator {value}, which this version does not know")
        if name == "CUSTOM":
            name = f"CUSTOM:{self.text(table.CustomCode())}"
        return name, int(table.Version()), int(value)

    def options(
        self, table: Any, unions: Mapping[int, str], enums: Mapping[str, Mapping[int, str]], name: str, what: str
    ) -> dict[str, Any]:
        kind = unions.get(table.BuiltinOptionsType())
        if kind is None:
            raise self.fail(f"{what} has options of the unknown kind {table.BuiltinOptionsType()}")
        union = table.BuiltinOptions()
        own = _OPTIONS.get(name, f"{name.replace('_', '')}Options").lower()
        if kind.lower() != own and kind != "NONE" and own in {known.lower() for known in unions.values()}:
            raise self.fail(f"{what} carries the options of another op ({kind})")
        if kind == "NONE" or union is None:
            if name in _NEED_OPTIONS:
                raise self.fail(f"{what} lacks its options")
            return {}
        accessor = getattr(self.schema, kind)()
        accessor.Init(union.Bytes, union.Pos)
        values: dict[str, Any] = {}
        for method in [name for name in vars(type(accessor)) if name[:1].isupper()]:
            if method.endswith(("AsNumpy", "Length", "IsNone", "HasIdentifier")) or method.startswith(
                ("GetRoot", "Init")
            ):
                continue
            value = self.option(accessor, method, what)
            key = _snake(method)
            if key in enums:
                if value not in enums[key]:
                    raise self.fail(f"{what} has the unknown {key.replace('_', ' ')} {value}")
                value = enums[key][value]
            values[key] = value
        return values

    def option(self, accessor: Any, method: str, what: str) -> Any:
        length = getattr(accessor, f"{method}Length", None)
        if length is None:
            value = getattr(accessor, method)()
            if isinstance(value, float) and not math.isfinite(value):
                raise self.fail(f"{what} has the option {_snake(method)} = {value}")
            return value
        if length() > MAX_OPTION_LENGTH:
            raise self.fail(f"{what} has the option {_snake(method)} with {length()} values")
        return tuple(int(getattr(accessor, method)(i)) for i in range(length()))

    def check_order(
        self, tensors: tuple[GraphTensor, ...], ops: tuple[Op, ...], inputs: tuple[int, ...], outputs: tuple[int, ...]
    ) -> None:
        if not inputs or not outputs:
            raise self.fail("it has no input or no output")
        if len(set(inputs)) != len(inputs):
            raise self.fail("it names one tensor twice as an input")
        ready = {tensor.index for tensor in tensors if tensor.is_constant}
        for index in inputs:
            if index in ready:
                raise self.fail(f"its input '{tensors[index].name}' is a constant")
        ready.update(inputs)
        for op in ops:
            for index in op.inputs:
                if index >= 0 and index not in ready:
                    raise self.fail(f"op {op.index} ({op.name}) reads '{tensors[index].name}' before any op made it")
            for index in op.outputs:
                if index in ready:
                    raise self.fail(f"op {op.index} ({op.name}) writes '{tensors[index].name}', which exists already")
                ready.add(index)
        for index in outputs:
            if index not in ready or tensors[index].is_constant:
                raise self.fail(f"its output '{tensors[index].name}' is not made by any op")
