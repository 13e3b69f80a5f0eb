"""Random single ops of real numbers."""

import numpy as np
from file_builder import ACTIVATIONS, Draws


class Real(Draws):
    """One method a kind; each gives a packed model."""

    def real(self, shape: tuple[int, ...], *, constant: bool = False) -> int:
        data = self.rng.normal(0, 1, shape).astype(np.float32) if constant else None
        return self.file.tensor(shape, dtype="float32", data=data)

    def conv_real(self) -> bytes:
        height, width, depth = self.image()
        kind = self.pick("CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
        activation = self.pick(*ACTIVATIONS)
        if kind == "FULLY_CONNECTED":
            units = self.integer(1, 9)
            source, kernel = self.real((2, depth)), self.real((units, depth), constant=True)
            inputs = [source, kernel, self.pick(-1, self.real((units,), constant=True))]
            target = self.real((2, units))
            self.file.op(kind, inputs, [target], "FullyConnectedOptions", fusedActivationFunction=activation)
            return self.file.pack([source], [target])
        fields = self.window(height, width)
        out = (self.positions(fields, "h", height), self.positions(fields, "w", width))
        taps = (fields.pop("filter_h"), fields.pop("filter_w"))
        multiplier = self.pick(1, 1, 2)
        channels = self.integer(1, 6) if kind == "CONV_2D" else depth * multiplier
        source = self.real((1, height, width, depth))
        kernel = self.real((channels, *taps, depth) if kind == "CONV_2D" else (1, *taps, channels), constant=True)
        inputs = [source, kernel, self.real((channels,), constant=True)]
        target = self.real((1, *out, channels))
        options = {"depthMultiplier": multiplier} if kind != "CONV_2D" else {}
        name = "Conv2DOptions" if kind == "CONV_2D" else "DepthwiseConv2DOptions"
        self.file.op(kind, inputs, [target], name, fusedActivationFunction=activation, **options, **fields)
        return self.file.pack([source], [target])

    def binary_real(self) -> bytes:
        shape = (1, *self.image())
        other = self.pick(shape, shape, (1, 1, 1, shape[3]), (1,), (1, shape[1], 1, 1))
        name = self.pick("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU")
        swapped = self.integer(0, 1) and name != "PRELU"
        first, second = (other, shape) if swapped else (shape, other)
        a, b, target = self.real(first), self.real(second), self.real(shape)
        kinds = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}
        options = {"fusedActivationFunction": self.pick(*ACTIVATIONS)} if name in kinds else {}
        self.file.op(
            name, [a, b], [target], kinds.get(name, "" if name == "PRELU" else "MaximumMinimumOptions"), **options
        )
        return self.file.pack([a, b], [target])

    def pool_real(self) -> bytes:
        height, width, depth = self.image()
        fields = self.window(height, width)
        fields["dilationHFactor"] = fields["dilationWFactor"] = 1
        out = (self.positions(fields, "h", height), self.positions(fields, "w", width))
        source, target = self.real((1, height, width, depth)), self.real((1, *out, depth))
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

    def mean_real(self) -> bytes:
        shape = (1, *self.image())
        axes = self.pick([1, 2], [3], [1], [2], [-1, 1], [1, 2, 3])
        keep = bool(self.integer(0, 1))
        reduced = {axis % 4 for axis in axes}
        out = tuple(1 if i in reduced else size for i, size in enumerate(shape) if keep or i not in reduced)
        source, target = self.real(shape), self.real(out)
        table = self.file.tensor((len(axes),), dtype="int32", data=np.array(axes, np.int32))
        self.file.op(self.pick("MEAN", "SUM"), [source, table], [target], "ReducerOptions", keepDims=keep)
        return self.file.pack([source], [target])

    def extremes_real(self) -> bytes:
        """Where the largest value stands, and which it is."""
        shape = tuple(self.integer(1, 6) for _ in range(self.integer(1, 4)))
        axis = self.integer(-len(shape), len(shape) - 1)
        out = tuple(size for i, size in enumerate(shape) if i != axis % len(shape))
        name = self.pick("ARG_MAX", "ARG_MIN", "REDUCE_MAX", "REDUCE_MIN")
        source = self.real(shape)
        if name.startswith("ARG"):
            told = self.file.tensor((), dtype="int32", data=np.array(axis, np.int32))
            target = self.file.tensor(out, dtype="int32")
            self.file.op(
                name, [source, told], [target], "ArgMaxOptions" if name == "ARG_MAX" else "ArgMinOptions", outputType=2
            )
        else:
            told = self.file.tensor((1,), dtype="int32", data=np.array([axis], np.int32))
            target = self.real(out)
            self.file.op(name, [source, told], [target], "ReducerOptions", keepDims=False)
        return self.file.pack([source], [target])

    def resize_real(self) -> bytes:
        shape = (self.pick(1, 1, 2), *self.image())
        size = [self.integer(1, 13), self.integer(1, 13)]
        align, centres = self.pick((False, False), (True, False), (False, True))
        source, target = self.real(shape), self.real((shape[0], *size, shape[3]))
        told = self.file.tensor((2,), dtype="int32", data=np.array(size, np.int32))
        options = {"alignCorners": align, "halfPixelCenters": centres}
        self.file.op("RESIZE_BILINEAR", [source, told], [target], "ResizeBilinearOptions", **options)
        return self.file.pack([source], [target])

    def held_real(self) -> bytes:
        shape = (1, *self.image())
        name = self.pick("RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH")
        source, target = self.real(shape), self.real(shape)
        kind = {"LEAKY_RELU": "LeakyReluOptions", "HARD_SWISH": "HardSwishOptions"}.get(name, "")
        options = {"alpha": float(self.rng.uniform(0.01, 0.9))} if name == "LEAKY_RELU" else {}
        self.file.op(name, [source], [target], kind, **options)
        return self.file.pack([source], [target])

    def exponential_real(self) -> bytes:
        shape = self.pick((1, self.integer(1, 30)), (1, *self.image()))
        name = self.pick("LOGISTIC", "TANH", "ELU", "SOFTMAX")
        source, target = self.real(shape), self.real(shape)
        options = {"beta": self.pick(1.0, 1.0, 0.5)} if name == "SOFTMAX" else {}
        self.file.op(name, [source], [target], "SoftmaxOptions" if name == "SOFTMAX" else "", **options)
        return self.file.pack([source], [target])
