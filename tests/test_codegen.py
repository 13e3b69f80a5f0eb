"""The generated C: the same bytes every time, the digest of what runs, no name unescaped, clear refusals."""

import re

import numpy as np
import pytest
from native import NativeModel, compile_c
from tflite_files import KINDS, NOT_IN_TFLM, WITHIN_ULP, FileBuilder, random_op

from firmware_tools import codegen, graph, memory
from firmware_tools.codegen import c, numerics
from firmware_tools.codegen.model import KERNELS
from firmware_tools.codegen.ops import elementwise
from tfviz.errors import InputError


def conv_model(name="conv", activation=0, weights_dtype="int8", **changes):
    file = FileBuilder()
    source = file.tensor((1, 4, 4, 2), scale=0.5, zero_point=-3, name=changes.get("input_name", "input"))
    kernel = file.tensor(
        (3, 2, 2, 2), dtype=weights_dtype, scale=0.01, data=np.ones((3, 2, 2, 2), weights_dtype), name="weights"
    )
    target = file.tensor((1, *changes.get("size", (4, 4)), 3), scale=0.25, zero_point=4, name=name)
    file.op(
        "CONV_2D",
        [source, kernel, -1],
        [target],
        "Conv2DOptions",
        strideH=changes.get("stride", 1),
        strideW=1,
        dilationHFactor=1,
        dilationWFactor=1,
        fusedActivationFunction=activation,
    )
    return graph.load(file.pack([source], [target]))


def test_the_same_model_gives_the_same_bytes():
    first, second = (codegen.generate(graph.load(random_op("conv", 4))) for _ in range(2))
    assert first.files == second.files
    assert first.digest == second.digest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("native")


@pytest.mark.parametrize("kind", KINDS)
def test_the_digest_that_the_compiled_bytes_have_is_the_one_told(kind, folder):
    model = NativeModel(graph.load(random_op(kind, 1)), folder / kind)
    assert model.digest() == model.sources.digest
    assert f"0x{model.sources.digest:08x}" in model.sources.files["model.h"]


def test_the_digest_tells_apart_weights_shapes_plans_and_quantisation():
    base = conv_model()
    others = [conv_model(activation=1), conv_model(activation=3)]
    digests = {codegen.generate(model).digest for model in (base, *others)}
    digests.add(codegen.generate(base, keep_input=True).digest)
    assert len(digests) == 4


def test_every_shape_struct_has_its_fields_in_the_generators_order():
    headers = "".join(path.read_text() for path in sorted(KERNELS.glob("*.h")))
    structs = {}
    for body, name in re.findall(r"typedef struct \{([^{}]*)\} (\w+_shape);", headers):
        without_comments = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
        fields = re.findall(r"int32_t ([^;]+);", without_comments)
        structs[name] = [word.strip() for line in fields for word in line.split(",")]
    from firmware_tools.codegen.registry import lower

    seen = set()
    for kind in (*KINDS, *NOT_IN_TFLM, *WITHIN_ULP):
        for seed in range(4):
            model = graph.load(random_op(kind, seed))
            for op in model.ops:
                for call in lower(model, op).calls:
                    assert list(call.shape) == structs[call.shape_type], call.function
                    seen.add(call.shape_type)
    assert seen == set(structs)


@pytest.mark.parametrize(
    "name",
    [
        "evil */ int main(void) { return 1; } /*",
        'quote " and \\',
        "line\nbreak\r#error",
        "tri??/graph",
        "ünïcode 層 \x00",
    ],
)
def test_names_from_a_model_cannot_leave_their_comment(name, folder, tmp_path):
    model = conv_model(name=name, input_name=name)
    text = codegen.generate(model).files["model.c"]
    assert text.isascii()
    assert not re.search(r"int main|#error", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    NativeModel(model, folder / "named")
    for_header = tmp_path / "user.c"
    for_header.write_text('#include "model.h"\nint size(void);\nint size(void) { return MODEL_INPUT_0_BYTES; }\n')
    compile_c("-c", f"-I{KERNELS}", f"-I{folder / 'named'}", str(for_header), "-o", str(tmp_path / "user.o"))


def test_the_header_tells_scales_and_zero_points():
    header = codegen.generate(conv_model()).files["model.h"]
    assert "#define MODEL_INPUT_0_SCALE 0.5f" in header
    assert "#define MODEL_INPUT_0_ZERO_POINT (-3)" in header
    assert "#define MODEL_OUTPUT_0_BYTES 48" in header


def test_only_the_kernels_in_use_are_named():
    kernels = ("conv_2d.c", "conv_2d_by.c")
    assert codegen.generate(conv_model()).kernels == kernels


def test_the_helpers_of_a_kernel_are_named_too():
    sources = codegen.generate(graph.load(random_op("dense", 0)), wide_weights=True)
    assert sources.kernels == (
        "fully_connected_by.c",
        "fully_connected_wide.c",
        "nn_dot_1x4_wide.c",
        "nn_finish.c",
        "nn_widen.c",
    )


def test_an_unknown_op_is_refused_by_name_with_its_layer():
    file = FileBuilder()
    source, target = file.tensor((1, 4), scale=0.5), file.tensor((1, 4), scale=0.5, name="net/wave/Sin")
    file.op("SIN", [source], [target])
    model = graph.load(file.pack([source], [target]))
    (refused,) = codegen.check(model)
    assert (refused.index, refused.op, refused.layer) == (0, "SIN", "wave")
    assert "replace the layer" in str(refused)
    with pytest.raises(InputError, match=r"SIN \(layer 'wave'\)"):
        codegen.generate(model)
    assert memory.plan(model).arena_bytes == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights_dtype": "float32"}, "--mode int8"),
        ({"activation": 4}, "fused activation TANH"),
        ({"size": (4, 5)}, "output width of 5"),
        ({"stride": 0}, "stride 0"),
        ({"stride": 2}, "output height of 4"),
    ],
)
def test_options_that_the_kernel_does_not_take_are_refused(changes, words):
    (refused,) = codegen.check(conv_model(**changes))
    assert words in refused.reason


def test_every_known_op_is_registered_once():
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "RESHAPE"} <= set(codegen.known_ops())
    assert len(codegen.known_ops()) == len(set(codegen.known_ops()))


@pytest.mark.parametrize(
    ("real", "multiplier", "shift"),
    [
        (0.0, 0, 0),
        (1.0, 1 << 30, 1),
        (0.5, 1 << 30, 0),
        (0.25, 1 << 30, -1),
        (0.75, 1610612736, 0),
        (2.0**31, 1 << 30, 32),
        (1 - 2.0**-40, 1 << 30, 1),
        (2.0**-32, 1 << 30, -31),
        (2.0**-33, 0, 0),
    ],
)
def test_multipliers_are_quantised_as_the_reference_does(real, multiplier, shift):
    assert numerics.quantize_multiplier(real) == (multiplier, shift)


def test_fixed_point_functions_are_close_to_the_real_ones():
    for x in np.linspace(-15.9, -1e-3, 400):
        assert abs(numerics.exp_of_negative(int(x * 2**26)) / 2**31 - np.exp(x)) < 5e-7
        assert abs(numerics.logistic(int(x * 2**27)) / 2**31 - 1 / (1 + np.exp(-x))) < 5e-7
        assert abs(numerics.tanh(int(x * 2**27)) / 2**31 - np.tanh(x)) < 5e-7
    assert numerics.exp_of_negative(0) == 2**31 - 1
    assert numerics.logistic(0) == 2**30


def test_broadcasts_are_merged_into_few_loops():
    assert elementwise.broadcast((1, 4, 4, 8), (1, 1, 1, 8)) == ([16, 8], [8, 1], [0, 1])
    assert elementwise.broadcast((2, 3), (2, 3)) == ([6], [1], [1])
    assert elementwise.broadcast((1, 4, 1, 8), (1, 1, 5, 8)) == ([4, 5, 8], [8, 0, 1], [0, 8, 1])
    assert elementwise.broadcast((2, 3), (4, 3)) is None


def test_literals_are_c_that_gives_the_number_back():
    assert list(c.values(np.array([-(2**31), 2**31 - 1], np.int32))) == ["INT32_MIN", "2147483647"]
    for value in (0.1, 1e-30, 1e15, 3.0, 1 / 255):
        literal = c.float32_literal(np.float32(value))
        assert np.float32(literal.rstrip("f")) == np.float32(value)
        assert any(mark in literal for mark in ".e")
