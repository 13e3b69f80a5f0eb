"""Random single ops with 16-bit activations."""

import numpy as np
from file_builder import ACTIVATIONS, Draws


class Wide(Draws):
    """One method a kind; each gives a packed model."""

    def wide(self, shape: tuple[int, ...], scale: float | None = None, **options) -> int:
        low, high = -14, -6
        chosen = float(np.float32(2.0 ** self.rng.uniform(low, high))) if scale is None else float(np.float32(scale))
        return self.file.tensor(shape, dtype="int16", scale=chosen, zero_point=0, **options)

    def wide_bias(self, channels: int, scale: float, weight_scale, dtype: str) -> int:
        data = self.rng.integers(-(2**24), 2**24, channels).astype(dtype)
        return self.file.tensor((channels,), dtype=dtype, scale=np.float32(scale) * weight_scale, data=data)

    def conv_16(self) -> bytes:
        height, width, depth = self.image()
        fields = self.window(height, width)
        kind = self.pick("CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
        if kind == "FULLY_CONNECTED":
            return self.dense_16()
        out = (self.positions(fields, "h", height), self.positions(fields, "w", width))
        taps = (fields.pop("filter_h"), fields.pop("filter_w"))
        groups = self.pick(1, 1, depth) if kind == "CONV_2D" else 1
        multiplier = self.pick(1, 1, 2)
        channels = groups * self.integer(1, 5) if kind == "CONV_2D" else depth * multiplier
        weight_scale = self.per_channel(channels)
        source = self.wide((1, height, width, depth))
        scale = self.file.tensors[source].quantization.scale[0]
        shape = (channels, *taps, depth // groups) if kind == "CONV_2D" else (1, *taps, channels)
        axis = 0 if kind == "CONV_2D" else 3
        kernel = self.file.tensor(shape, scale=weight_scale, axis=axis, data=self.weights(shape))
        products = taps[0] * taps[1] * (depth // groups if kind == "CONV_2D" else 1)
        dtype = self.pick("int64", "int64", "int32") if kind == "CONV_2D" else "int64"
        inputs = [source, kernel, self.wide_bias(channels, scale, weight_scale, dtype)]
        spread = scale * 0.01 * 60 * products**0.5
        target = self.wide((1, *out, channels), spread * 2.0 ** self.rng.uniform(-1, 3))
        options = {"depthMultiplier": multiplier} if kind != "CONV_2D" else {}
        name = "Conv2DOptions" if kind == "CONV_2D" else "DepthwiseConv2DOptions"
        activation = self.pick(*ACTIVATIONS)
        self.file.op(kind, inputs, [target], name, fusedActivationFunction=activation, **options, **fields)
        return self.file.pack([source], [target])

    def dense_16(self) -> bytes:
        batch, depth, units = self.pick(1, 1, 3), self.integer(1, 40), self.integer(1, 11)
        weight_scale = self.per_channel(1)
        source = self.wide((batch, depth))
        scale = self.file.tensors[source].quantization.scale[0]
        kernel = self.file.tensor((units, depth), scale=weight_scale, data=self.weights((units, depth)))
        bias = -1 if self.rng.random() < 0.2 else self.wide_bias(units, scale, weight_scale, "int64")
        target = self.wide((batch, units), scale * 0.6 * depth**0.5 * 2.0 ** self.rng.uniform(-1, 3))
        activation = self.pick(*ACTIVATIONS)
        inputs = [source, kernel, bias]
        self.file.op("FULLY_CONNECTED", inputs, [target], "FullyConnectedOptions", fusedActivationFunction=activation)
        return self.file.pack([source], [target])

    def binary_16(self) -> bytes:
        shape = (1, *self.image())
        name = self.pick("ADD", "SUB", "MUL")
        other = self.pick(shape, shape, (1, 1, 1, shape[3]), (1,), (1, shape[1], 1, 1))
        first, second = (shape, other) if self.integer(0, 1) else (other, shape)
        a, b = self.wide(first), self.wide(second)
        scales = [self.file.tensors[i].quantization.scale[0] for i in (a, b)]
        spread = scales[0] * scales[1] * 2**14 if name == "MUL" else max(scales)
        target = self.wide(shape, spread * 2.0 ** self.rng.uniform(-2, 3))
        kind = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[name]
        options = {} if name == "MUL" else {"potScaleInt16": False}
        activation = self.pick(*ACTIVATIONS)
        self.file.op(name, [a, b], [target], kind, fusedActivationFunction=activation, **options)
        return self.file.pack([a, b], [target])

    def pool_16(self) -> bytes:
        height, width, depth = self.image()
        fields = self.window(height, width)
        fields["dilationHFactor"] = fields["dilationWFactor"] = 1
        out = (self.positions(fields, "h", height), self.positions(fields, "w", width))
        source = self.wide((1, height, width, depth))
        target = self.wide((1, *out, depth), self.file.tensors[source].quantization.scale[0])
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

    def mean_16(self) -> bytes:
        shape = (1, *self.image())
        axes = self.pick([1, 2], [3], [1], [2], [-1, 1], [1, 2, 3])
        keep = bool(self.integer(0, 1))
        reduced = {axis % 4 for axis in axes}
        out = tuple(1 if i in reduced else size for i, size in enumerate(shape) if keep or i not in reduced)
        source = self.wide(shape)
        scale = self.file.tensors[source].quantization.scale[0]
        target = self.wide(out, scale * 2.0 ** self.rng.uniform(-2, 3))
        table = self.file.tensor((len(axes),), dtype="int32", data=np.array(axes, np.int32))
        self.file.op(self.pick("MEAN", "SUM"), [source, table], [target], "ReducerOptions", keepDims=keep)
        return self.file.pack([source], [target])

    def curves_16(self) -> bytes:
        shape = self.pick((1, self.integer(1, 30)), (1, *self.image()))
        name = self.pick("LOGISTIC", "TANH", "SOFTMAX")
        source = self.wide(shape, self.pick(None, None, 2.0**-12, 2.0**-11))
        target = self.wide(shape, 2.0**-15)
        options = {"beta": self.pick(1.0, 1.0, 0.5)} if name == "SOFTMAX" else {}
        self.file.op(name, [source], [target], "SoftmaxOptions" if name == "SOFTMAX" else "", **options)
        return self.file.pack([source], [target])

    def ends_16(self) -> bytes:
        shape = (1, *self.image())
        source, target = (self.file.tensor(shape, dtype="float32") for _ in range(2))
        middle, rescaled = self.wide(shape), self.wide(shape)
        self.file.op("QUANTIZE", [source], [middle], "QuantizeOptions")
        self.file.op("QUANTIZE", [middle], [rescaled], "QuantizeOptions")
        self.file.op("DEQUANTIZE", [rescaled], [target], "DequantizeOptions")
        return self.file.pack([source], [target])

    def rescale(self) -> bytes:
        """Integers of one size and scale as those of another, and the activations with 16 bits."""
        shape = (1, *self.image())
        name = self.pick("QUANTIZE", "QUANTIZE", "RELU", "RELU6", "LEAKY_RELU")
        first, second = ("int16", "int16")
        if name == "QUANTIZE":
            first, second = self.pick(
                *(("int8", "int16"), ("int16", "int8"), ("int16", "int16"), ("int8", "int32")),
                *(("int16", "int32"), ("int32", "int8"), ("int32", "int16")),
            )
        scales = [self.pick(1.0, 2.0**-8) * 2.0 ** self.rng.uniform(-6, 0) for _ in range(2)]
        source, target = (
            self.file.tensor(
                shape,
                dtype=dtype,
                scale=float(np.float32(scale)),
                zero_point=self.zero_point() if dtype == "int8" else 0,
            )
            for dtype, scale in zip((first, second), scales, strict=True)
        )
        options = {"alpha": float(self.pick(1, 1, -1) * self.rng.uniform(0.01, 0.9))} if name == "LEAKY_RELU" else {}
        kind = {"QUANTIZE": "QuantizeOptions", "LEAKY_RELU": "LeakyReluOptions"}.get(name, "")
        self.file.op(name, [source], [target], kind, **options)
        return self.file.pack([source], [target])
