"""`.tflite` files made by hand, and what a random one draws its numbers from."""

import dataclasses
import math
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Array = npt.NDArray[Any]


@dataclasses.dataclass
class FileBuilder:
    """Collects tensors and ops; `pack` makes the bytes. Tensors are named by their index."""

    tensors: list[Any] = dataclasses.field(default_factory=list)
    buffers: list[Any] = dataclasses.field(default_factory=lambda: [schema.BufferT()])
    ops: list[Any] = dataclasses.field(default_factory=list)
    codes: list[Any] = dataclasses.field(default_factory=list)

    def tensor(
        self,
        shape: tuple[int, ...],
        *,
        dtype: str = "int8",
        scale: Any = None,
        zero_point: Any = 0,
        axis: int = 0,
        data: Array | None = None,
        name: str | None = None,
    ) -> int:
        tensor = schema.TensorT()
        tensor.shape = list(shape)
        tensor.type = getattr(schema.TensorType, dtype.upper())
        tensor.name = name if name is not None else f"tensor_{len(self.tensors)}"
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            tensor.quantization.scale = scales.tolist()
            tensor.quantization.zeroPoint = np.broadcast_to(np.asarray(zero_point, np.int64), scales.shape).tolist()
            tensor.quantization.quantizedDimension = axis
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            if dtype == "int4":  # two a byte, the lower half first
                halves = np.append(data.ravel(), np.zeros(data.size % 2, np.int8)) & 15
                data = halves[::2] | halves[1::2] << 4
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def op(self, name: str, inputs: list[int], outputs: list[int], kind: str = "", **options: Any) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = 1
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes)
        operator.inputs, operator.outputs = inputs, outputs
        if kind:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, f"{kind}T")()
            for option, value in options.items():
                assert hasattr(operator.builtinOptions, option), option
                setattr(operator.builtinOptions, option, value)
        self.codes.append(code)
        self.ops.append(operator)

    def pack(self, inputs: list[int], outputs: list[int], *, subgraphs: int = 1) -> bytes:
        subgraph = schema.SubGraphT()
        subgraph.tensors, subgraph.operators = self.tensors, self.ops
        subgraph.inputs, subgraph.outputs = inputs, outputs
        model = schema.ModelT()
        model.version = 3
        model.subgraphs = [subgraph] * subgraphs
        model.operatorCodes, model.buffers = self.codes, self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


ACTIVATIONS = (
    schema.ActivationFunctionType.NONE,
    schema.ActivationFunctionType.RELU,
    schema.ActivationFunctionType.RELU6,
    schema.ActivationFunctionType.RELU_N1_TO_1,
)


class Draws:
    """What random models of one op are drawn from: one seed gives one model, `largest` bounds its sizes."""

    def __init__(self, seed: int, largest: int = 2**31) -> None:
        self.rng = np.random.default_rng(seed)
        self.largest = largest
        self.file = FileBuilder()
        self.weight_type = "int8"

    def integer(self, low: int, high: int) -> int:
        high = min(high, max(low, self.largest))
        return int(self.rng.integers(low, high, endpoint=True))

    def pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def zero_point(self) -> int:
        return self.pick(-128, 127, 0, self.integer(-128, 127))

    def scale(self) -> float:
        return float(np.float32(2.0 ** self.rng.uniform(-9, 1)))

    def weights(self, shape: tuple[int, ...]) -> Array:
        if self.weight_type == "int4":
            return self.rng.integers(-8, 7, shape, np.int8, endpoint=True)
        if self.rng.random() < 0.3:
            return self.rng.choice(np.array([-127, 127], np.int8), shape)
        return self.rng.integers(-127, 127, shape, np.int8, endpoint=True)

    def activation(self, shape: tuple[int, ...], **options: Any) -> int:
        settings = {"scale": self.scale(), "zero_point": self.zero_point()} | options
        return self.file.tensor(shape, **settings)

    def image(self) -> tuple[int, int, int]:
        return self.integer(1, 9), self.integer(1, 9), self.pick(1, 2, 3, 4, 5, 8, 12)

    def output_scale(self, input_scale: float, products: int) -> float:
        """Such that outputs are neither all saturated nor all equal, and now and then they are."""
        spread = 60.0 * 60.0 * math.sqrt(products) * input_scale * 0.01 / 100.0
        return float(np.float32(spread * 2.0 ** self.rng.uniform(-3, 3)))

    def window(self, height: int, width: int) -> dict[str, int]:
        """Random window whose output is not empty."""
        while True:
            fields = {
                "filter_h": self.integer(1, 5),
                "filter_w": self.integer(1, 5),
                "strideH": self.integer(1, 3),
                "strideW": self.integer(1, 3),
                "dilationHFactor": self.pick(1, 1, 1, 2),
                "dilationWFactor": self.pick(1, 1, 1, 2),
                "padding": self.integer(0, 1),
            }
            if all(self.positions(fields, axis, size) > 0 for axis, size in (("h", height), ("w", width))):
                return fields

    def positions(self, fields: dict[str, int], axis: str, size: int) -> int:
        stride, window = fields[f"stride{axis.upper()}"], fields[f"filter_{axis}"]
        window = (window - 1) * fields[f"dilation{axis.upper()}Factor"] + 1
        return -(-size // stride) if fields["padding"] == 0 else -(-(size - window + 1) // stride)

    def bias(self, channels: int, input_scale: float, weight_scale: Array, *, optional: bool = True) -> int:
        if optional and self.rng.random() < 0.15:
            return -1
        extreme = 2**30 if self.rng.random() < 0.1 else 5000
        data = self.rng.integers(-extreme, extreme, channels).astype(np.int32)
        return self.file.tensor(
            (channels,), dtype="int32", scale=np.float32(input_scale) * weight_scale, zero_point=0, data=data
        )

    def per_channel(self, channels: int) -> Array:
        count = self.pick(1, channels)
        unit = 0.16 if self.weight_type == "int4" else 0.01
        return (unit * 2.0 ** self.rng.uniform(-2, 2, count)).astype(np.float32)
