"""Random valid `.tflite` files of single ops over their whole option space."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable

import numpy as np
from file_builder import ACTIVATIONS, Draws, FileBuilder
from random_arithmetic import Arithmetic
from random_moves import Moves
from random_real import Real
from random_trained import Trained
from random_wide import Wide

__all__ = ["KINDS", "NOT_IN_TFLM", "WITHIN_ULP", "FileBuilder", "RandomOp", "random_op", "random_ops", "shrunk"]


class RandomOp(Arithmetic, Moves, Real, Trained, Wide, Draws):
    """Random valid models of one op each, drawn from one seed."""

    def conv(self) -> bytes:
        height, width, depth = self.image()
        fields = self.window(height, width)
        groups = self.pick(1, 1, 1, depth, 2 if depth % 2 == 0 else 1)
        channels = groups * self.integer(1, 5)
        out = (self.positions(fields, "h", height), self.positions(fields, "w", width))
        weight_scale = self.per_channel(channels)
        source = self.activation((1, height, width, depth))
        scale = self.file.tensors[source].quantization.scale[0]
        products = fields["filter_h"] * fields["filter_w"] * depth // groups
        shape = (channels, fields.pop("filter_h"), fields.pop("filter_w"), depth // groups)
        kernel = self.file.tensor(shape, dtype=self.weight_type, scale=weight_scale, data=self.weights(shape))
        inputs = [source, kernel, self.bias(channels, scale, weight_scale)]
        target = self.activation((1, *out, channels), scale=self.output_scale(scale, products))
        self.file.op(
            "CONV_2D", inputs, [target], "Conv2DOptions", fusedActivationFunction=self.pick(*ACTIVATIONS), **fields
        )
        return self.file.pack([source], [target])

    def depthwise(self) -> bytes:
        height, width, depth = self.image()
        fields = self.window(height, width)
        multiplier = self.pick(1, 1, 1, 2, 3)
        channels = depth * multiplier
        out = (self.positions(fields, "h", height), self.positions(fields, "w", width))
        weight_scale = self.per_channel(channels)
        source = self.activation((1, height, width, depth))
        scale = self.file.tensors[source].quantization.scale[0]
        products = fields["filter_h"] * fields["filter_w"]
        shape = (1, fields.pop("filter_h"), fields.pop("filter_w"), channels)
        kernel = self.file.tensor(shape, dtype=self.weight_type, scale=weight_scale, axis=3, data=self.weights(shape))
        # TensorFlow Lite Micro crashes on a depthwise convolution whose bias is left out.
        inputs = [source, kernel, self.bias(channels, scale, weight_scale, optional=False)]
        target = self.activation((1, *out, channels), scale=self.output_scale(scale, products))
        self.file.op(
            "DEPTHWISE_CONV_2D",
            inputs,
            [target],
            "DepthwiseConv2DOptions",
            depthMultiplier=multiplier,
            fusedActivationFunction=self.pick(*ACTIVATIONS),
            **fields,
        )
        return self.file.pack([source], [target])

    def dense(self) -> bytes:
        batch, depth, units = self.pick(1, 1, 3), self.integer(1, 40), self.integer(1, 11)
        weight_scale = self.per_channel(units)
        if self.weight_type == "int4":  # TensorFlow Lite Micro takes no more than one scale then
            weight_scale = weight_scale[:1]
        source = self.activation((batch, depth))
        scale = self.file.tensors[source].quantization.scale[0]
        kernel_zero = self.pick(0, 0, self.integer(-20, 20)) if len(weight_scale) == 1 else 0
        kernel = self.file.tensor(
            (units, depth),
            dtype=self.weight_type,
            scale=weight_scale,
            zero_point=kernel_zero,
            data=self.weights((units, depth)),
        )
        inputs = [source, kernel, self.bias(units, scale, weight_scale)]
        target = self.activation((batch, units), scale=self.output_scale(scale, depth))
        self.file.op(
            "FULLY_CONNECTED",
            inputs,
            [target],
            "FullyConnectedOptions",
            fusedActivationFunction=self.pick(*ACTIVATIONS),
        )
        return self.file.pack([source], [target])

    def four_bits(self) -> bytes:
        self.weight_type = "int4"
        model: bytes = self.pick(self.conv, self.depthwise, self.dense)()
        return model

    def pool(self) -> bytes:
        height, width, depth = self.image()
        fields = self.window(height, width)
        fields["dilationHFactor"] = fields["dilationWFactor"] = 1
        out = (self.positions(fields, "h", height), self.positions(fields, "w", width))
        scale, zero_point = self.scale(), self.zero_point()
        source = self.activation((1, height, width, depth), scale=scale, zero_point=zero_point)
        target = self.activation((1, *out, depth), scale=scale, zero_point=zero_point)
        self.file.op(
            self.pick("AVERAGE_POOL_2D", "MAX_POOL_2D"),
            [source],
            [target],
            "Pool2DOptions",
            padding=fields["padding"],
            strideH=fields["strideH"],
            strideW=fields["strideW"],
            filterHeight=fields["filter_h"],
            filterWidth=fields["filter_w"],
            fusedActivationFunction=self.pick(*ACTIVATIONS),
        )
        return self.file.pack([source], [target])

    def binary(self) -> bytes:
        shape = (1, *self.image())
        name = self.pick("ADD", "SUB", "MUL")
        other = self.pick(shape, shape, (1, 1, 1, shape[3]), (1,), (1, shape[1], 1, 1), (1, shape[1], shape[2], 1))
        first, second = (shape, other) if self.rng.random() < 0.7 else (other, shape)
        a = self.activation(first)
        constant = self.rng.random() < 0.25
        b = self.activation(second, data=self.weights(second) if constant else None)
        scales = [self.file.tensors[i].quantization.scale[0] for i in (a, b)]
        spread = scales[0] * scales[1] * 100 if name == "MUL" else max(scales)
        target = self.activation(shape, scale=float(np.float32(spread * 2.0 ** self.rng.uniform(-2, 3))))
        kind = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[name]
        activation = self.pick(*ACTIVATIONS)
        self.file.op(name, [a, b], [target], kind, fusedActivationFunction=activation)
        return self.file.pack([a] if constant else [a, b], [target])

    def mean(self) -> bytes:
        shape = (1, *self.image())
        axes = self.pick([1, 2], [2, 1], [3], [1], [2], [-1, 1], [1, 2, 3])
        keep = bool(self.integer(0, 1))
        reduced = {axis % 4 for axis in axes}
        out = tuple(1 if i in reduced else size for i, size in enumerate(shape) if keep or i not in reduced)
        source = self.activation(shape)
        scale = self.file.tensors[source].quantization.scale[0]
        name = self.pick("MEAN", "MEAN", "SUM")
        target = self.activation(out, scale=float(np.float32(scale * 2.0 ** self.rng.uniform(-2, 3))))
        table = self.file.tensor((len(axes),), dtype="int32", data=np.array(axes, np.int32))
        self.file.op(name, [source, table], [target], "ReducerOptions", keepDims=keep)
        return self.file.pack([source], [target])

    def softmax(self) -> bytes:
        shape = self.pick((1, self.integer(1, 30)), (1, self.integer(1, 3), self.integer(2, 12)))
        source = self.activation(shape, scale=float(np.float32(2.0 ** self.rng.uniform(-9, 3))))
        target = self.activation(shape, scale=1 / 256, zero_point=-128)
        self.file.op("SOFTMAX", [source], [target], "SoftmaxOptions", beta=self.pick(1.0, 1.0, 0.5))
        return self.file.pack([source], [target])

    def unary(self) -> bytes:
        shape = (1, *self.image())
        name = self.pick("RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "QUANTIZE")
        source = self.activation(shape)
        quantization = self.file.tensors[source].quantization
        fixed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
        if name in fixed:
            scale, zero_point = fixed[name]
            target = self.activation(shape, scale=scale, zero_point=zero_point)
        elif name == "RELU6":
            target = self.activation(shape, scale=quantization.scale[0], zero_point=quantization.zeroPoint[0])
        else:
            scale = float(np.float32(quantization.scale[0] * 2.0 ** self.rng.uniform(-2, 2)))
            target = self.activation(shape, scale=scale)
        kind = {"LEAKY_RELU": "LeakyReluOptions", "QUANTIZE": "QuantizeOptions"}.get(name, "")
        options = {"alpha": float(self.rng.uniform(0.01, 0.9))} if name == "LEAKY_RELU" else {}
        self.file.op(name, [source], [target], kind, **options)
        return self.file.pack([source], [target])

    def real_ends(self) -> bytes:
        shape = (1, *self.image())
        source = self.file.tensor(shape, dtype="float32")
        middle = self.activation(shape)
        target = self.file.tensor(shape, dtype="float32")
        self.file.op("QUANTIZE", [source], [middle], "QuantizeOptions")
        self.file.op("DEQUANTIZE", [middle], [target], "DequantizeOptions")
        return self.file.pack([source], [target])

    def concatenation(self) -> bytes:
        shape = (1, *self.image())
        axis = self.pick(1, 2, 3, -1)
        alike = {"scale": self.scale(), "zero_point": self.zero_point()}
        pieces = [self.integer(1, 5) for _ in range(self.integer(1, 3))]
        inputs = []
        for number, size in enumerate(pieces):
            piece = tuple(size if i == axis % 4 else whole for i, whole in enumerate(shape))
            constant = number > 0 and self.rng.random() < 0.2
            inputs.append(self.activation(piece, data=self.weights(piece) if constant else None, **alike))
        out = tuple(sum(pieces) if i == axis % 4 else whole for i, whole in enumerate(shape))
        target = self.activation(out, **alike)
        self.file.op("CONCATENATION", inputs, [target], "ConcatenationOptions", axis=axis)
        return self.file.pack([i for i in inputs if self.file.tensors[i].buffer == 0], [target])

    def pad(self) -> bytes:
        shape = (1, *self.image())[self.integer(0, 3) :]
        margins = np.array([[self.integer(0, 3), self.integer(0, 3)] for _ in shape], np.int32)
        out = tuple(int(size + sum(pair)) for size, pair in zip(shape, margins.tolist(), strict=True))
        scale, zero_point = self.scale(), self.zero_point()
        source = self.activation(shape, scale=scale, zero_point=zero_point)
        target = self.activation(out, scale=scale, zero_point=zero_point)
        table = self.file.tensor(margins.shape, dtype="int32", data=margins)
        if self.rng.random() < 0.5:
            self.file.op("PAD", [source, table], [target], "PadOptions")
        else:
            value = self.activation((1,), scale=scale, zero_point=zero_point, data=self.weights((1,)))
            self.file.op("PADV2", [source, table, value], [target], "PadV2Options")
        return self.file.pack([source], [target])


KINDS = (
    *("trained_conv", "trained_depthwise"),
    *("conv", "depthwise", "dense", "four_bits", "pool", "binary", "mean", "softmax", "unary", "real_ends"),
    *("concatenation", "pad", "transpose_conv", "extremes", "prelu", "curves", "reduce", "arg_max", "log_softmax"),
    *("l2_normalization", "resize_bilinear", "batch_matmul", "cast", "transpose", "strided_slice", "slice", "split"),
    *(
        "pack",
        "depth_blocks",
        "batch_blocks",
        "cropped_blocks",
        "gather",
        "gather_computed",
        "mirror_pad",
        "resize_nearest",
    ),
    *("known_shape", "conv_16", "binary_16", "pool_16", "mean_16", "curves_16", "ends_16", "rescale"),
    *("transpose_conv_other", "integers", "extremes_real", "resize_real"),
    *("conv_real", "binary_real", "pool_real", "mean_real", "held_real"),
)
WITHIN_ULP = {"exponential_real": 4}
"""Kinds that call a function of the C library, and how many units in the last place they may differ by."""
NOT_IN_TFLM = ("padded_blocks",)
"""Kinds that TensorFlow Lite Micro computes from memory that nobody has set; LiteRT's reference kernels do not."""


def random_op(kind: str, seed: int, largest: int = 2**31) -> bytes:
    """A valid model of one op of a `kind` of KINDS; `largest` bounds its sizes."""
    model: bytes = getattr(RandomOp(seed, largest), kind)()
    return model


def shrunk(kind: str, wrong: Callable[[bytes], bool], *, seeds: Iterable[int] = range(60)) -> tuple[int, int] | None:
    """(seed, largest) of the first model of a kind that is wrong, sizes growing: the smallest counter-example found."""
    for largest in (1, 2, 3, 4, 6, 9):
        for seed in seeds:
            with contextlib.suppress(ValueError, ZeroDivisionError):  # no such model so small
                if wrong(random_op(kind, seed, largest)):
                    return seed, largest
    return None


@dataclasses.dataclass
class _Together(FileBuilder):
    """Collects what would be models of their own into one model of many inputs and outputs."""

    ends: tuple[list[int], list[int]] = dataclasses.field(default_factory=lambda: ([], []))

    def pack(self, inputs: list[int], outputs: list[int], *, subgraphs: int = 1) -> bytes:
        del subgraphs
        for collected, new in zip(self.ends, (inputs, outputs), strict=True):
            collected += new
        return b""


def random_ops(kinds: str | Iterable[str], seeds: Iterable[int]) -> tuple[bytes, list[int]]:
    """The ops of `random_op(kind, seed)` for all kinds and seeds side by side in one model, and each op's seed."""
    file = _Together()
    seed_of: list[int] = []
    wanted = (kinds,) if isinstance(kinds, str) else kinds
    for kind, seed in itertools.product(wanted, seeds):
        draws = RandomOp(seed)
        draws.file = file
        getattr(draws, kind)()
        seed_of += [seed] * (len(file.ops) - len(seed_of))
    return FileBuilder.pack(file, *file.ends), seed_of
