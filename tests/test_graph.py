"""Reading `.tflite`: what a sound file says, and that a bad one is refused in a sentence."""

import dataclasses
import struct
import time

import numpy as np
import pytest
from tflite_files import FileBuilder, random_op

from firmware_tools import graph
from tfviz.errors import InputError


def small_file(**changes):
    """A dense layer of four inputs and two units; `changes` spoil one thing each."""
    file = FileBuilder()
    source = file.tensor((1, 4), scale=changes.get("scale", 0.5), zero_point=3, name="input")
    shape = changes.get("shape", (2, 4))
    weights = file.tensor((2, 4), scale=[0.1, 0.2], zero_point=0, data=np.arange(8, dtype=np.int8))
    file.tensors[weights].shape = list(shape)
    target = file.tensor((1, 2), scale=0.25, zero_point=-128, name="net/dense_7/MatMul;net/dense_7/BiasAdd")
    file.op("FULLY_CONNECTED", [source, weights, -1], [target], "FullyConnectedOptions", fusedActivationFunction=1)
    return file, source, weights, target


def refusal(data) -> str:
    with pytest.raises(InputError) as caught:
        graph.load(data)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_ops_tensors_and_options_are_what_the_file_says():
    file, source, weights, target = small_file()
    model = graph.load(file.pack([source], [target]))
    (op,) = model.ops
    assert (op.index, op.name, op.layer) == (0, "FULLY_CONNECTED", "dense_7")
    assert op.inputs == (source, weights, -1)
    assert op.outputs == (target,)
    assert op.options["fused_activation_function"] == "RELU"
    assert model.inputs == (source,)
    assert model.outputs == (target,)
    tensor = model.tensors[weights]
    np.testing.assert_array_equal(tensor.data, np.arange(8).reshape(2, 4))
    np.testing.assert_allclose(tensor.scale, [0.1, 0.2], rtol=1e-6)
    assert (tensor.dtype, tensor.bytes, tensor.is_constant) == ("int8", 8, True)
    assert model.tensors[source].zero_point.tolist() == [3]
    assert model.macs == model.op_macs(op) == 8


def test_a_loaded_graph_cannot_be_changed():
    file, source, _, target = small_file()
    model = graph.load(file.pack([source], [target]))
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.ops[0].name = "ADD"
    with pytest.raises(TypeError):
        model.ops[0].options["padding"] = "SAME"
    with pytest.raises(ValueError, match="read-only"):
        model.tensors[1].data[0, 0] = 1


def test_the_fingerprint_is_the_sha256_of_the_file():
    data = random_op("conv", 1)
    import hashlib

    assert graph.load(data).fingerprint == hashlib.sha256(data).hexdigest()


def test_macs_of_the_mlperf_models_are_the_published_ones(shared_data):
    expected = {"pretrainedResnet_quant": 12_501_632, "kws_ref_model": 2_656_768, "ad01_int8": 264_192}
    for name, macs in expected.items():
        assert graph.load(shared_data / f"mlperf_tiny/{name}.tflite").macs == macs


def test_an_odd_quantised_dimension_of_a_single_scale_is_tolerated():
    file, source, weights, target = small_file()
    file.tensors[source].quantization.quantizedDimension = 3
    assert graph.load(file.pack([source], [target])).tensors[source].quantized_dimension == 3
    file.tensors[weights].quantization.quantizedDimension = 3
    assert "dimension 3" in refusal(file.pack([source], [target]))


def test_a_missing_file_and_a_wrong_file_are_refused(tmp_path):
    assert "nowhere.tflite" in refusal(tmp_path / "nowhere.tflite")
    assert "identifier" in refusal(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert "identifier" in refusal(b"")


def test_a_truncated_file_is_refused_wherever_it_ends():
    data = random_op("conv", 3)
    for length in range(8, len(data) - 4, 7):
        try:
            graph.load(data[:length])
        except InputError:
            continue
        pytest.fail(f"a file cut to {length} of {len(data)} bytes was taken")


@pytest.mark.parametrize(
    ("scale", "shape", "words"),
    [
        (float("nan"), (2, 4), "scale"),
        (float("inf"), (2, 4), "scale"),
        (0.0, (2, 4), "scale"),
        (-1.0, (2, 4), "scale"),
        (0.5, (2, 5), "bytes"),
        (0.5, (-2, -4), "fixed"),
        (0.5, (0, 4), "fixed"),
        (0.5, (2, 2**31 - 1, 2**31 - 1), "elements"),
        (0.5, (1,) * 9, "dimensions"),
    ],
)
def test_bad_scales_and_shapes_are_refused(scale, shape, words):
    file, source, _, target = small_file(scale=scale, shape=shape)
    assert words in refusal(file.pack([source], [target]))


def test_a_zero_point_outside_of_the_type_is_refused():
    file, source, _, target = small_file()
    file.tensors[source].quantization.zeroPoint = [128]
    assert "zero point outside of int8" in refusal(file.pack([source], [target]))


def test_dangling_cyclic_and_doubly_made_tensors_are_refused():
    file, source, weights, target = small_file()
    file.ops[0].inputs = [99, weights, -1]
    assert "tensor 99" in refusal(file.pack([source], [target]))
    file.ops[0].inputs = [target, weights, -1]
    assert "before any op made it" in refusal(file.pack([source], [target]))
    file.ops[0].inputs = [source, weights, -1]
    file.ops[0].outputs = [source]
    assert "exists already" in refusal(file.pack([source], [target]))
    file.ops[0].outputs = []
    assert "no output" in refusal(file.pack([source], [target]))


def test_ends_that_are_not_made_are_refused():
    file, source, weights, target = small_file()
    assert "no input or no output" in refusal(file.pack([], [target]))
    assert "constant" in refusal(file.pack([source, weights], [target]))
    unused = file.tensor((1, 2), scale=1.0)
    assert "not made" in refusal(file.pack([source], [unused]))
    assert "twice" in refusal(file.pack([source, source], [target]))


def test_a_missing_buffer_an_unknown_code_and_several_subgraphs_are_refused():
    file, source, weights, target = small_file()
    file.tensors[weights].buffer = 7
    assert "buffer 7" in refusal(file.pack([source], [target]))
    file, source, weights, target = small_file()
    file.ops[0].opcodeIndex = 5
    assert "operator code 5" in refusal(file.pack([source], [target]))
    file, source, weights, target = small_file()
    assert "2 subgraphs" in refusal(file.pack([source], [target], subgraphs=2))
    file.tensors[source].isVariable = True
    assert "variable" in refusal(file.pack([source], [target]))


def test_mutated_files_are_taken_or_refused_but_never_crash():
    rng = np.random.default_rng(7)
    files = [random_op(kind, 2) for kind in ("conv", "dense", "binary", "mean", "concatenation")]
    words = [0, 1, 2**31 - 1, 2**31, 2**32 - 1]
    started = time.monotonic()
    outcomes = {"taken": 0, "refused": 0}
    for trial in range(1500):
        data = bytearray(files[trial % len(files)])
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(0, len(data) - 4))
            struct.pack_into("<I", data, at, words[int(rng.integers(len(words)))])
        try:
            graph.load(bytes(data))
            outcomes["taken"] += 1
        except InputError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 200
    assert outcomes["taken"] > 20
    assert time.monotonic() - started < 30
