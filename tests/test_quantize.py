"""Images to the model's integers: the rounding is TensorFlow Lite's own, and nothing is lost where nothing need be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_tools.graph import GraphTensor
from firmware_tools.quantize import dequantize, model_input, quantize
from tfviz.errors import InputError
from tfviz.preprocess import Preprocess


def tensor(*, shape=(1, 4, 4, 3), dtype="int8", scale=1.0, zero_point=-128) -> GraphTensor:
    scales = np.array([] if scale is None else [scale], np.float32)
    return GraphTensor(0, "image", shape, dtype, scales, np.full(len(scales), zero_point), 0, None)


def test_halves_go_away_from_zero_and_the_ends_saturate():
    values = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999997, 1e9, -1e9, np.inf, -np.inf]
    made = quantize(values, scale=1.0, zero_point=0, dtype=np.int8)
    assert made.tolist() == [-3, -2, -1, 1, 2, 3, 0, 127, -128, 127, -128]


def test_the_quantize_op_of_litert_gives_the_same_integers():
    """A float model input with QUANTIZE behind it, as TensorFlow Lite's reference kernel computes it."""
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers import Builder

    scale, zero_point = np.float32(0.0173), 5
    values = np.concatenate(
        [np.linspace(-4, 4, 4001), (np.arange(-200, 200) + 0.5) * scale, np.arange(-200, 200) * scale]
    ).astype(np.float32)

    def described(name: bytes, kind: int, quantised: bool):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, [1, len(values)], kind, 0
        if quantised:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [zero_point]
        return made

    code, op, graph, model = schema.OperatorCodeT(), schema.OperatorT(), schema.SubGraphT(), schema.ModelT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    op.inputs, op.outputs = [0], [1]
    graph.tensors = [described(b"x", schema.TensorType.FLOAT32, False), described(b"q", schema.TensorType.INT8, True)]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [op]
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")

    from firmware_tools import reference

    for make in (reference.litert, reference.tflm):
        with make(bytes(builder.Output())) as engine:
            theirs = engine.run({"x": values[None]}).outputs[0].values
        ours = quantize(values[None], scale=float(scale), zero_point=zero_point, dtype=np.int8)
        np.testing.assert_array_equal(ours, theirs)


def test_a_pixel_minus_128_is_exact_for_every_pixel():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    described = tensor(shape=(1, 16, 16, 1))
    np.testing.assert_array_equal(model_input(pixels, described), pixels.astype(int) - 128)
    unit = tensor(shape=(1, 16, 16, 1), scale=1 / 255)
    np.testing.assert_array_equal(
        model_input(pixels, unit, preprocess=Preprocess(scale=1 / 255, colour="grey")), pixels.astype(int) - 128
    )


@given(st.integers(-128, 127), st.floats(1e-4, 10), st.integers(-128, 127))
def test_integers_come_back_from_real_numbers(value, scale, zero_point):
    integers = np.array([value], np.int8)
    real = dequantize(integers, scale=scale, zero_point=zero_point)
    assert quantize(real, scale=scale, zero_point=zero_point, dtype=np.int8).tolist() == [value]


def test_quantised_data_pass_as_they_are():
    integers = np.random.default_rng(0).integers(-128, 128, (2, 4, 4, 3)).astype(np.int8)
    assert model_input(integers, tensor(scale=0.01, zero_point=3)) is integers
    flat = model_input(integers[..., :1], tensor(shape=(1, 4, 4)))
    np.testing.assert_array_equal(flat, integers[..., 0])


def test_what_does_not_fit_is_refused_in_a_sentence():
    with pytest.raises(InputError, match="4 x 4 x 1 but the model's input image is 4 x 4 x 3"):
        model_input(np.zeros((1, 4, 4, 1), np.uint8), tensor())
    with pytest.raises(InputError, match="already quantised"):
        model_input(np.zeros((1, 4, 4, 3), np.int8), tensor(scale=None, dtype="float32"))
    with pytest.raises(InputError, match="NaN"):
        quantize([np.nan], scale=1.0, zero_point=0, dtype=np.int8)
    with pytest.raises(InputError, match="positive finite"):
        quantize([1.0], scale=0.0, zero_point=0, dtype=np.int8)
