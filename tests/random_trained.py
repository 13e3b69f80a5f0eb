"""Random convolutions as trained networks have them: the ones that the engine's quickest loops take."""

import numpy as np
from file_builder import Array, Draws

from firmware_tools.codegen.windows import outputs_and_padding


class Trained(Draws):
    """One method a kind; each gives a packed model."""

    def trained_conv(self) -> bytes:
        groups = self.pick(1, 1, 1, 2)
        depth, channels = groups * self.pick(1, 3, 4, 7, 8, 12), groups * self.pick(2, 4, 6, 10)
        size = self.pick((1, 1), (1, 1), (3, 3), (3, 3), (5, 2), (2, 4), (1, 7))
        shape = (channels, *size, depth // groups)
        options = {"dilationHFactor": self.pick(1, 1, 2), "dilationWFactor": self.pick(1, 1, 2)}
        return self.convolution("CONV_2D", "Conv2DOptions", shape, depth, channels, **options)

    def trained_depthwise(self) -> bytes:
        depth = self.pick(1, 2, 3, 8)
        return self.convolution(
            "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", (1, 3, 3, depth), depth, depth, depthMultiplier=1
        )

    def convolution(
        self, name: str, kind: str, kernel_shape: tuple[int, ...], depth: int, channels: int, **options: int
    ) -> bytes:
        """Zero point and range of the output as a converter sets them: a fused ReLU's begins at -128."""
        depthwise = name != "CONV_2D"
        _, height, width, _ = kernel_shape
        down = self.pick(1, 1, 2)
        across = down if depthwise else self.pick(1, 2, 3)
        padding, out, image = self.pick("SAME", "VALID"), [], []
        for taps, stride, dilation in (
            (height, down, options.get("dilationHFactor", 1)),
            (width, across, options.get("dilationWFactor", 1)),
        ):
            window = (taps - 1) * dilation + 1
            image.append(self.integer(window if padding == "VALID" else 1, window + 8))
            out.append(outputs_and_padding(padding, image[-1], window, stride)[0])
        weights = self.trained_weights(kernel_shape, channels, 3 if depthwise else 0)
        scales = np.exp2(self.rng.uniform(-12, -6, channels)).astype(np.float32)
        source = self.activation((1, *image, depth))
        scale = self.file.tensors[source].quantization.scale[0]
        kernel = self.file.tensor(kernel_shape, scale=scales, axis=3 if depthwise else 0, data=weights)
        bias = self.rng.integers(-(2 ** self.integer(4, 18)), 2 ** self.integer(4, 18), channels).astype(np.int32)
        told = self.file.tensor((channels,), dtype="int32", scale=scale * scales, data=bias)
        fused = self.pick(0, 1)
        spread = 100.0 * np.sqrt(weights.size // channels) * scale * float(scales.max())
        target = self.activation(
            (1, *out, channels),
            scale=float(np.float32(spread * 2.0 ** self.rng.uniform(-1, 4))),
            **({"zero_point": -128} if fused else {}),
        )
        settings = {"padding": int(padding == "VALID"), "strideH": down, "strideW": across, **options}
        self.file.op(name, [source, kernel, told], [target], kind, fusedActivationFunction=fused, **settings)
        return self.file.pack([source], [target])

    def trained_weights(self, shape: tuple[int, ...], channels: int, axis: int) -> Array:
        """Now and then with a dead channel, whose weights are all zero."""
        weights = self.weights(shape)
        if self.rng.random() < 0.2:
            np.moveaxis(weights, axis, 0)[self.integer(0, channels - 1)] = 0
        return weights
