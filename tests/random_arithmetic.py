"""Random single ops that compute: beyond convolutions, dense layers and pooling."""

import numpy as np
from file_builder import ACTIVATIONS, Draws


class Arithmetic(Draws):
    """One method a kind; each gives a packed model."""

    def spread(self, scale: float, low: float = -2, high: float = 2) -> float:
        return float(np.float32(scale * 2.0 ** self.rng.uniform(low, high)))

    def scale_at(self, index: int) -> float:
        return float(self.file.tensors[index].quantization.scale[0])

    def transposed(self) -> tuple[tuple[int, int, int], list[int], tuple[int, ...], dict[str, int]]:
        """The image, the output's height and width, the kernel's shape, and the options of a transposed convolution."""
        height, width, depth = self.image()
        channels, size = self.integer(1, 5), (self.integer(1, 4), self.integer(1, 4))
        strides, padding = (self.integer(1, 3), self.integer(1, 3)), self.integer(0, 1)
        out = []
        for count, taps, stride in zip((height, width), size, strides, strict=True):
            # SAME takes any size that strides back to the input's.
            smallest = max((count - 1) * stride + 1, 1)
            least = (count - 1) * stride + taps
            out.append(
                self.integer(smallest, count * stride) if padding == 0 else self.integer(least, least + stride - 1)
            )
        options = {"padding": padding, "strideH": strides[0], "strideW": strides[1]}
        options["fusedActivationFunction"] = self.pick(*ACTIVATIONS)
        return (height, width, depth), out, (channels, *size, depth), options

    def transpose_conv(self) -> bytes:
        image, out, shape, options = self.transposed()
        channels = shape[0]
        weight_scale = self.per_channel(channels)
        source = self.activation((1, *image))
        kernel = self.file.tensor(shape, scale=weight_scale, data=self.weights(shape))
        told = self.file.tensor((4,), dtype="int32", data=np.array([1, *out, channels], np.int32))
        inputs = [told, kernel, source]
        if self.integer(0, 1):
            inputs.append(self.bias(channels, self.scale_at(source), weight_scale, optional=False))
        scale = self.output_scale(self.scale_at(source), int(np.prod(shape[1:])))
        target = self.activation((1, *out, channels), scale=scale)
        self.file.op("TRANSPOSE_CONV", inputs, [target], "TransposeConvOptions", **options)
        return self.file.pack([source], [target])

    def transpose_conv_other(self) -> bytes:
        """With 16-bit activations, and of real numbers."""
        image, out, shape, options = self.transposed()
        channels, real = shape[0], self.integer(0, 1)
        told = self.file.tensor((4,), dtype="int32", data=np.array([1, *out, channels], np.int32))
        if real:
            data = self.rng.normal(0, 1, shape).astype(np.float32)
            source, target = (self.file.tensor(size, dtype="float32") for size in ((1, *image), (1, *out, channels)))
            inputs = [told, self.file.tensor(shape, dtype="float32", data=data), source]
            bias, settings = self.rng.normal(0, 1, channels).astype(np.float32), {}
        else:
            scale, weight_scale = float(np.float32(2.0 ** self.rng.uniform(-14, -6))), self.per_channel(channels)
            source = self.file.tensor((1, *image), dtype="int16", scale=scale)
            inputs = [told, self.file.tensor(shape, scale=weight_scale, data=self.weights(shape)), source]
            spread = float(np.float32(scale * 0.6 * np.prod(shape[1:]) ** 0.5 * 2.0 ** self.rng.uniform(-1, 3)))
            target = self.file.tensor((1, *out, channels), dtype="int16", scale=spread)
            bias = self.rng.integers(-(2**24), 2**24, channels)
            settings = {"scale": np.float32(scale) * weight_scale}
        if self.integer(0, 1):
            inputs.append(self.file.tensor((channels,), dtype=bias.dtype.name, data=bias, **settings))
        self.file.op("TRANSPOSE_CONV", inputs, [target], "TransposeConvOptions", **options)
        return self.file.pack([source], [target])

    def integers(self) -> bytes:
        """Plain int32, and the larger or smaller of int16."""
        shape = (1, *self.image())
        other = self.pick(shape, (1, 1, 1, shape[3]), (1,), (1, shape[1], 1, 1))
        first, second = (shape, other) if self.integer(0, 1) else (other, shape)
        name = self.pick("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")
        dtype = self.pick("int16", "int32") if name.endswith("IMUM") else "int32"
        settings = {"scale": 0.25} if dtype == "int16" else {}
        a, b, target = (self.file.tensor(size, dtype=dtype, **settings) for size in (first, second, shape))
        kind = "MaximumMinimumOptions" if name.endswith("IMUM") else f"{name.title()}Options"
        self.file.op(name, [a, b], [target], kind)
        return self.file.pack([a, b], [target])

    def extremes(self) -> bytes:
        shape = (1, *self.image())
        other = self.pick(shape, (1, 1, 1, shape[3]), (1,), (1, shape[1], 1, 1), (1, shape[1], shape[2], 1))
        first, second = (shape, other) if self.integer(0, 1) else (other, shape)
        scale, zero_point = self.scale(), self.zero_point()
        constant = self.rng.random() < 0.3
        a = self.activation(first, scale=scale, zero_point=zero_point)
        b = self.activation(second, scale=scale, zero_point=zero_point, data=self.weights(second) if constant else None)
        target = self.activation(shape, scale=scale, zero_point=zero_point)
        self.file.op(self.pick("MAXIMUM", "MINIMUM"), [a, b], [target], "MaximumMinimumOptions")
        return self.file.pack([a] if constant else [a, b], [target])

    def prelu(self) -> bytes:
        shape = (1, *self.image())
        slopes = self.pick((1, 1, shape[3]), (shape[3],), shape[1:], (1,))
        source = self.activation(shape)
        alpha = self.activation(slopes, data=self.weights(slopes))
        target = self.activation(shape, scale=self.spread(self.scale_at(source)))
        self.file.op("PRELU", [source, alpha], [target])
        return self.file.pack([source], [target])

    def curves(self) -> bytes:
        shape = (1, *self.image())
        name = self.pick("ELU", "HARD_SWISH")
        source = self.activation(shape)
        low = -5 if name == "HARD_SWISH" else -2
        target = self.activation(shape, scale=self.spread(self.scale_at(source), low, 3))
        self.file.op(name, [source], [target], "HardSwishOptions" if name == "HARD_SWISH" else "")
        return self.file.pack([source], [target])

    def reduce(self) -> bytes:
        """MEAN and SUM over tensors of any rank, REDUCE_MAX and REDUCE_MIN."""
        rank = self.integer(1, 4)
        shape = tuple(self.integer(1, 6) for _ in range(rank))
        axes = self.rng.permutation(rank)[: self.integer(1, rank)].tolist()
        told = [axis - rank if self.integer(0, 1) else axis for axis in axes]
        keep = bool(self.integer(0, 1))
        name = self.pick("REDUCE_MAX", "REDUCE_MAX", "REDUCE_MIN", "MEAN", "SUM")
        out = tuple(1 if i in axes else size for i, size in enumerate(shape) if keep or i not in axes)
        source = self.activation(shape)
        settings = {"scale": self.scale_at(source), "zero_point": self.file.tensors[source].quantization.zeroPoint[0]}
        if name in ("MEAN", "SUM"):
            settings = {"scale": self.spread(self.scale_at(source))}
        target = self.activation(out, **settings)
        table = self.file.tensor((len(told),), dtype="int32", data=np.array(told, np.int32))
        self.file.op(name, [source, table], [target], "ReducerOptions", keepDims=keep)
        return self.file.pack([source], [target])

    def arg_max(self) -> bytes:
        shape = tuple(self.integer(1, 6) for _ in range(self.integer(1, 4)))
        axis = self.integer(-len(shape), len(shape) - 1)
        source = self.activation(shape)
        target = self.file.tensor(tuple(size for i, size in enumerate(shape) if i != axis % len(shape)), dtype="int32")
        told = self.file.tensor((), dtype="int32", data=np.array(axis, np.int32))
        name, kind = self.pick(("ARG_MAX", "ArgMaxOptions"), ("ARG_MIN", "ArgMinOptions"))
        self.file.op(name, [source, told], [target], kind, outputType=2)
        return self.file.pack([source], [target])

    def log_softmax(self) -> bytes:
        shape = self.pick((1, self.integer(1, 30)), (1, self.integer(1, 3), self.integer(2, 12)))
        source = self.activation(shape, scale=float(np.float32(2.0 ** self.rng.uniform(-9, 3))))
        target = self.activation(shape, scale=1 / 16, zero_point=127)
        self.file.op("LOG_SOFTMAX", [source], [target], "LogSoftmaxOptions")
        return self.file.pack([source], [target])

    def l2_normalization(self) -> bytes:
        shape = self.pick((1, self.integer(1, 60)), (1, *self.image()))
        source = self.activation(shape)
        target = self.activation(shape, scale=1 / 128, zero_point=0)
        self.file.op("L2_NORMALIZATION", [source], [target], "L2NormOptions")
        return self.file.pack([source], [target])

    def resize_bilinear(self) -> bytes:
        shape = (self.pick(1, 1, 2), *self.image())
        size = [self.integer(1, 13), self.integer(1, 13)]
        align, centres = self.pick((False, False), (True, False), (False, True))
        scale, zero_point = self.scale(), self.zero_point()
        source = self.activation(shape, scale=scale, zero_point=zero_point)
        target = self.activation((shape[0], *size, shape[3]), scale=scale, zero_point=zero_point)
        told = self.file.tensor((2,), dtype="int32", data=np.array(size, np.int32))
        options = {"alignCorners": align, "halfPixelCenters": centres}
        self.file.op("RESIZE_BILINEAR", [source, told], [target], "ResizeBilinearOptions", **options)
        return self.file.pack([source], [target])

    def batch_matmul(self) -> bytes:
        rows, depth, columns = (self.integer(1, 6) for _ in range(3))
        batches = self.pick((), (2,), (1,), (2, 3))
        a_batch, b_batch = self.pick((batches, batches), (batches, ()), ((), batches))
        adj_x, adj_y = bool(self.integer(0, 1)), bool(self.integer(0, 1))
        a = self.activation((*a_batch, *((depth, rows) if adj_x else (rows, depth))))
        shape = (*b_batch, *((columns, depth) if adj_y else (depth, columns)))
        constant = self.rng.random() < 0.3
        b = self.activation(shape, data=self.weights(shape) if constant else None)
        scale = self.spread(self.scale_at(a) * self.scale_at(b) * 50 * depth**0.5, -3, 2)
        target = self.activation((*batches, rows, columns), scale=scale)
        self.file.op("BATCH_MATMUL", [a, b], [target], "BatchMatMulOptions", adjX=adj_x, adjY=adj_y)
        return self.file.pack([a] if constant else [a, b], [target])

    def cast(self) -> bytes:
        shape = (1, *self.image())
        first, second = self.pick(
            ("int8", "float32"), ("int8", "int16"), ("int16", "int8"), ("int16", "float32"), ("int8", "int32"),
            ("int32", "float32"), ("int32", "int16"), ("float32", "int8"), ("float32", "int16"), ("float32", "int32"),
            ("float32", "float32"), ("float32", "bool"), ("int32", "bool"),
        )  # fmt: skip
        source, target = self.file.tensor(shape, dtype=first), self.file.tensor(shape, dtype=second)
        self.file.op("CAST", [source], [target], "CastOptions")
        return self.file.pack([source], [target])
