"""The last bit of a factor: on numbers that a product of scales in float32 and one in double take to other integers.

Random inputs meet such a number once in many thousand values. Here they are looked for, and the reference is asked.
"""

import numpy as np
import pytest
from file_builder import ACTIVATIONS, Draws
from native import NativeModel
from tflm import Reference

from firmware_tools import graph
from firmware_tools.codegen.numerics import quantize_multiplier

RELU6 = ACTIVATIONS[2]
COUNT = 8  # values of an op
OPS = 6  # ops of a model


def rescaled(numbers, factor):
    """`round(round(numbers * multiplier) * 2**shift)`, as both engines do it."""
    multiplier, shift = quantize_multiplier(factor)
    high = ((numbers << max(shift, 0)) * multiplier + (1 << 30)) >> 31
    halves = high - (high < 0)
    return high if shift >= 0 else (halves >> -shift) + ((halves >> (-shift - 1)) & 1)


def rescaled_wide(numbers, factor):
    """The same of a sum of 64 bits, by a multiplier of 16."""
    multiplier, shift = quantize_multiplier(factor)
    reduced = min((multiplier + (1 << 15)) >> 16, 0x7FFF)
    return (numbers * reduced + (1 << (14 - shift))) >> (15 - shift)


def telling(draws, numbers, low, high, rescaled=rescaled):
    """Scales a, b and c, and `COUNT` of the numbers that a * b / c takes to other integers if a * b is a float32."""
    while True:
        a, b, c = (np.float32(2.0 ** draws.uniform(-7, -1)) for _ in range(3))
        double, single = float(a) * float(b) / float(c), float(a * b) / float(c)
        within = numbers[np.abs(numbers * double) < high]
        made = [np.clip(rescaled(within, factor), low, high) for factor in (double, single)]
        apart = within[made[0] != made[1]]
        if len(apart):
            return float(a), float(b), float(c), np.resize(apart, COUNT)


def leaky_relu(file, draws, dtype):
    """`alpha` is the second factor, of numbers below zero."""
    info = np.iinfo(dtype)
    a, alpha, c, numbers = telling(draws, np.arange(info.min, 0), info.min, info.max)
    source, target = (file.tensor((1, COUNT), dtype=dtype, scale=scale, zero_point=0) for scale in (a, c))
    file.op("LEAKY_RELU", [source], [target], "LeakyReluOptions", alpha=alpha)
    return [source], target, [numbers.astype(dtype).reshape(1, COUNT)]


def weighted(shape, kernel, made, name, options, axis=None, **fields):
    """An op whose biases are the numbers; input and weights are zero. With an axis, each channel has a scale."""

    def build(file, draws, dtype):
        wide = dtype == "int16"
        numbers, info = draws.integers(-(2**20), 2**20, 2_000 if wide else 100_000), np.iinfo(dtype)
        a, b, c, numbers = telling(draws, numbers, info.min, info.max, rescaled_wide if wide else rescaled)
        source = file.tensor(shape, dtype=dtype, scale=a, zero_point=0)
        scales = b if axis is None else [b] * COUNT
        weights = file.tensor(kernel, scale=scales, zero_point=0, axis=axis or 0, data=np.zeros(kernel, np.int8))
        scales = np.float32(a) * np.float32(scales)
        bias_type = "int64" if wide else "int32"
        bias = file.tensor((COUNT,), dtype=bias_type, scale=scales.tolist(), data=numbers.astype(bias_type))
        target = file.tensor(made, dtype=dtype, scale=c, zero_point=0)
        file.op(name, [source, weights, bias], [target], options, **fields)
        return [source], target, [np.zeros(shape, dtype)]

    return build


_PIXEL = (1, 1, 1, COUNT)
fully_connected = weighted((1, 4), (COUNT, 4), (1, COUNT), "FULLY_CONNECTED", "FullyConnectedOptions")
conv = weighted((1, 1, 1, 4), (COUNT, 1, 1, 4), _PIXEL, "CONV_2D", "Conv2DOptions", 0, strideW=1, strideH=1)
depthwise = weighted(
    _PIXEL, _PIXEL, _PIXEL, "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", 3, strideW=1, strideH=1, depthMultiplier=1
)


def batch_matmul(file, draws, dtype):
    """Each number is a sum of products with 127, and what is left over with 1."""
    depth = 64
    a, b, c, numbers = telling(draws, draws.integers(-(2**19), 2**19, 100_000), -128, 127)
    whole, rest = np.divmod(np.abs(numbers), 127)
    sevens = np.clip(whole[:, np.newaxis] - 127 * np.arange(depth - 1), 0, 127)
    rows = np.sign(numbers)[:, np.newaxis] * np.column_stack([sevens, rest])
    column = np.full((depth, 1), 127)
    column[-1] = 1
    assert ((rows @ column)[:, 0] == numbers).all()
    sources = [file.tensor(shape, scale=s, zero_point=0) for shape, s in (((1, COUNT, depth), a), ((1, depth, 1), b))]
    target = file.tensor((1, COUNT, 1), scale=c, zero_point=0)
    file.op("BATCH_MATMUL", sources, [target], "BatchMatMulOptions")
    return sources, target, [rows.astype(dtype)[np.newaxis], column.astype(dtype)[np.newaxis]]


def multiply(file, draws, dtype):
    """Every product of two int8 is a number."""
    pairs = np.arange(-127, 128)
    products = np.multiply.outer(pairs, pairs)
    a, b, c, numbers = telling(draws, products.ravel(), -128, 127)
    places = [np.argwhere(products == number)[0] for number in numbers]
    sources = [file.tensor((1, COUNT), scale=scale, zero_point=0) for scale in (a, b)]
    target = file.tensor((1, COUNT), scale=c, zero_point=0)
    file.op("MUL", sources, [target], "MulOptions")
    return sources, target, list(pairs[np.array(places).T].astype(dtype)[:, np.newaxis])


def relu6_range(file, draws, dtype):
    """6 / scale ends in a half in float32 alone; the bias is far above it."""
    while True:
        scales = (6 / (draws.integers(20, 120, 100_000) + 0.5)).astype(np.float32)
        scales = np.nextafter(scales, np.float32(draws.choice([0, 1])))
        single, double = np.float32(6) / scales, 6 / scales.astype(np.float64)
        apart = scales[np.floor(single + np.float32(0.5)) != np.floor(double + 0.5)]
        if len(apart):
            break
    source = file.tensor((1, 4), scale=0.5, zero_point=0)
    weights = file.tensor((COUNT, 4), scale=0.5, zero_point=0, data=np.zeros((COUNT, 4), np.int8))
    bias = file.tensor((COUNT,), dtype="int32", scale=0.25, data=np.full(COUNT, 1000, np.int32))
    target = file.tensor((1, COUNT), scale=float(apart[0]), zero_point=0)
    operands = [source, weights, bias]
    file.op("FULLY_CONNECTED", operands, [target], "FullyConnectedOptions", fusedActivationFunction=RELU6)
    return [source], target, [np.zeros((1, 4), dtype)]


CASES = {
    "RELU6's range, int8": (relu6_range, "int8"),
    "LEAKY_RELU, int8": (leaky_relu, "int8"),
    "LEAKY_RELU, int16": (leaky_relu, "int16"),
    "FULLY_CONNECTED, int8": (fully_connected, "int8"),
    "FULLY_CONNECTED, int16": (fully_connected, "int16"),
    "CONV_2D, int8": (conv, "int8"),
    "CONV_2D, int16": (conv, "int16"),
    "DEPTHWISE_CONV_2D, int8": (depthwise, "int8"),
    "DEPTHWISE_CONV_2D, int16": (depthwise, "int16"),
    "BATCH_MATMUL, int8": (batch_matmul, "int8"),
    "MUL, int8": (multiply, "int8"),
}


@pytest.mark.parametrize("name", CASES)
def test_factors_are_those_of_tensorflow_lite_micro_to_the_last_bit(name, tmp_path):
    make, dtype = CASES[name]
    draws, file = np.random.default_rng(4), Draws(0).file
    made = [make(file, draws, dtype) for _ in range(OPS)]
    model = graph.load(file.pack([i for sources, *_ in made for i in sources], [target for _, target, _ in made]))
    inputs = [values for *_, given in made for values in given]
    expected, ours = Reference(model).run(*inputs), NativeModel(model, tmp_path / "model").run(*inputs)
    for index in model.outputs:
        np.testing.assert_array_equal(ours[index], expected[index])
