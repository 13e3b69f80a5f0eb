"""Ops beyond the single-op generator: what is known beforehand, what is refused, whole networks never seen before."""

import struct

import numpy as np
import pytest
from native import NativeModel
from test_kernels import DRAWS, assert_exact, ulps
from tflite_files import KINDS, FileBuilder, random_op, random_ops
from tflm import Reference, inputs_for

from firmware_tools import codegen, graph, reference
from firmware_tools.codegen import fold
from firmware_tools.codegen.ops import resize
from tfviz.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("native")


def numbers(file, values, shape=None):
    data = np.array(values, np.int32)
    return file.tensor(data.shape if shape is None else shape, dtype="int32", data=data)


def one_op(name, shape, out, kind="", extra=(), settings=None, **options):
    """A model of one int8 op; `extra` are tables of numbers behind its input."""
    file = FileBuilder()
    both = {"scale": 0.5, "zero_point": 3} if settings is None else settings
    source, target = file.tensor(shape, **both), file.tensor(out, **both)
    file.op(name, [source, *(numbers(file, values) for values in extra)], [target], kind, **options)
    return graph.load(file.pack([source], [target]))


def test_arithmetic_on_shapes_is_done_beforehand():
    model = graph.load(random_op("known_shape", 3))
    known = fold.folded(model)
    values = [known.tensors[op.outputs[0]].data for op in model.ops]
    shape = model.tensors[model.inputs[0]].shape
    assert values[0].tolist() == list(shape)
    assert values[1] == shape[0]
    assert values[2].tolist() == [shape[0], -1]
    assert values[3] is None
    assert set(codegen.generate(model).kernels) == {"copy.c"}


def test_a_constant_that_feeds_an_op_is_taken_for_one(folder):
    """TRANSPOSE reads a permutation that PACK makes of constants."""
    file = FileBuilder()
    source = file.tensor((1, 2, 3), scale=0.5)
    order = file.tensor((3,), dtype="int32")
    target = file.tensor((3, 1, 2), scale=0.5)
    file.op("PACK", [numbers(file, value, ()) for value in (2, 0, 1)], [order], "PackOptions", valuesCount=3)
    file.op("TRANSPOSE", [source, order], [target], "TransposeOptions")
    model = graph.load(file.pack([source], [target]))
    image = np.arange(6, dtype=np.int8).reshape(1, 2, 3)
    made = NativeModel(model, folder / "permuted").run(image)
    np.testing.assert_array_equal(made[order], [2, 0, 1])
    np.testing.assert_array_equal(made[target], image.transpose(2, 0, 1))


def test_constants_that_do_not_fit_their_tensor_are_not_folded():
    file = FileBuilder()
    source, told, target = (
        file.tensor((1, 4), scale=0.5),
        file.tensor((3,), dtype="int32"),
        file.tensor((4,), scale=0.5),
    )
    file.op("SHAPE", [source], [told], "ShapeOptions")
    file.op("RESHAPE", [source, told], [target], "ReshapeOptions")
    model = graph.load(file.pack([source], [target]))
    assert fold.folded(model).tensors[told].data is None
    (refused,) = codegen.check(model)
    assert refused.op == "SHAPE"


def test_many_inputs_and_outputs_run_side_by_side(folder):
    data, _ = random_ops("split", range(6))
    model = graph.load(data)
    assert len(model.inputs) == 6
    assert len(model.outputs) > 6
    header = codegen.generate(model).files["model.h"]
    assert "#define MODEL_INPUT_5_BYTES" in header
    assert f"#define MODEL_OUTPUT_{len(model.outputs) - 1}_BYTES" in header
    assert_exact(data, folder / "side_by_side", draws=DRAWS[:1])


REFUSALS = {
    "ellipsis": (
        lambda: one_op(
            "STRIDED_SLICE", (2, 2), (2, 2), "StridedSliceOptions", ([0, 0], [2, 2], [1, 1]), ellipsisMask=1
        ),
        "ellipsis",
    ),
    "slice": (lambda: one_op("SLICE", (4,), (3,), "SliceOptions", ([2], [3])), "from [2] to [5]"),
    "permutation": (lambda: one_op("TRANSPOSE", (2, 3), (3, 2), "TransposeOptions", ([0, 0],)), "permutes"),
    "gather": (lambda: one_op("GATHER", (3,), (1,), "GatherOptions", ([7],)), "outside of its axis of 3"),
    "mirror": (
        lambda: one_op("MIRROR_PAD", (2,), (6,), "MirrorPadOptions", ([[2, 2]],), mode=0),
        "pads [2] by [[2, 2]]",
    ),
    "resize": (
        lambda: one_op("RESIZE_BILINEAR", (1, 1, 1, 1), (1, 55, 1, 1), "ResizeBilinearOptions", ([55, 1],)),
        "beyond the image",
    ),
    "log_softmax": (lambda: one_op("LOG_SOFTMAX", (1, 4), (1, 4), "LogSoftmaxOptions"), "expected 1/16 and 127"),
    "l2": (lambda: one_op("L2_NORMALIZATION", (1, 4), (1, 4), "L2NormOptions"), "expected 1/128 and 0"),
    "depth": (lambda: one_op("SPACE_TO_DEPTH", (1, 4, 4, 1), (1, 2, 2, 4), "SpaceToDepthOptions", blockSize=3), "of 3"),
    "blocks": (
        lambda: one_op(
            "SPACE_TO_BATCH_ND", (1, 4, 4, 1), (4, 2, 2, 1), "SpaceToBatchNDOptions", ([2, 3], [[0, 0]] * 2)
        ),
        "blocks of [2, 3]",
    ),
}


@pytest.mark.parametrize("case", sorted(REFUSALS))
def test_options_outside_are_refused_in_a_sentence(case):
    make, words = REFUSALS[case]
    (refused,) = codegen.check(make())
    assert words in str(refused)
    assert "layer" in str(refused)


def test_pieces_of_other_scales_are_not_joined():
    file = FileBuilder()
    a, b = file.tensor((1, 2), scale=0.5), file.tensor((1, 2), scale=0.25)
    out = file.tensor((1, 4), scale=0.5)
    file.op("CONCATENATION", [a, b], [out], "ConcatenationOptions", axis=1)
    (refused,) = codegen.check(graph.load(file.pack([a, b], [out])))
    assert "equal ones only" in refused.reason


def test_nearest_neighbours_and_weights_are_the_published_ones():
    # TensorFlow's resize operations with half-pixel centres: rows 0, 0, 1, 1; weights of a doubling are quarters.
    assert resize.nearest(2, 4, align=False, centres=True).tolist() == [0, 0, 1, 1]
    assert resize.nearest(4, 2, align=True, centres=False).tolist() == [0, 3]
    assert resize.between(2, 4, align=False, centres=True).tolist() == [
        [0, 0, -256],
        [0, 1, 256],
        [0, 1, 768],
        [1, 1, 256],
    ]


def test_positions_that_a_model_computes_never_leave_their_axis(folder):
    file = FileBuilder()
    positions = file.tensor((3,), dtype="int32")
    source, target = file.tensor((4, 2), scale=0.5), file.tensor((3, 2), scale=0.5)
    file.op("GATHER", [source, positions], [target], "GatherOptions", axis=0)
    native = NativeModel(graph.load(file.pack([positions, source], [target])), folder / "gather")
    rows = np.arange(8, dtype=np.int8).reshape(4, 2)
    made = native.run(np.array([-(2**31), 2, 2**31 - 1], np.int32), rows)
    np.testing.assert_array_equal(made[target], rows[[0, 2, 3]])


def test_mutated_files_are_generated_or_refused_but_never_crash():
    chance = np.random.default_rng(11)
    files = [bytearray(random_op(kind, 5)) for kind in KINDS]
    outcomes = {"generated": 0, "refused": 0}
    for trial in range(3000):
        data = bytearray(files[trial % len(files)])
        for _ in range(int(chance.integers(1, 4))):
            word = int(chance.choice([0, 1, 2, 3, 255, 2**15, 2**24, 2**31 - 1, 2**31, 2**32 - 1]))
            struct.pack_into("<I", data, int(chance.integers(0, len(data) - 4)), word)
        try:
            codegen.generate(graph.load(bytes(data)))
            outcomes["generated"] += 1
        except InputError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 100


def depthwise_without_bias():
    """A depthwise convolution whose bias is named as left out: the wheel alone would end this process."""
    file = FileBuilder()
    source = file.tensor((1, 4, 4, 2), scale=0.5, zero_point=3)
    kernel = file.tensor((1, 2, 2, 2), scale=[0.1, 0.2], axis=3, data=np.arange(8, dtype=np.int8).reshape(1, 2, 2, 2))
    target = file.tensor((1, 4, 4, 2), scale=0.25)
    file.op(
        "DEPTHWISE_CONV_2D",
        [source, kernel, -1],
        [target],
        "DepthwiseConv2DOptions",
        strideH=1,
        strideW=1,
        dilationHFactor=1,
        dilationWFactor=1,
        depthMultiplier=1,
    )
    return graph.load(file.pack([source], [target]))


def test_a_depthwise_convolution_without_a_bias_does_not_end_the_process(folder):
    pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="tflite-micro has no wheel here")
    model = depthwise_without_bias()
    image = inputs_for(model, 4)[0]
    name = model.tensors[model.inputs[0]].name
    made = NativeModel(model, folder / "no_bias").run(image)[model.outputs[0]]
    with reference.tflm(model) as engine:
        trace = engine.run({name: image})
        np.testing.assert_array_equal(trace.outputs[0].values, made)
        forced = engine.run({name: image}, reference=trace, forced=True)
        np.testing.assert_array_equal(forced.outputs[0].values, made)
    assert np.unique(made).size > 5


def family(name):
    """A small network of a published family: random weights, statistics that make the layers differ."""
    import keras

    keras.utils.set_random_seed(0)
    build, shape = {
        "MobileNet": (lambda **given: keras.applications.MobileNet(alpha=0.25, **given), (32, 32, 3)),
        "MobileNetV2": (lambda **given: keras.applications.MobileNetV2(alpha=0.35, **given), (32, 32, 3)),
        "MobileNetV3": (
            lambda **given: keras.applications.MobileNetV3Small(alpha=0.75, include_preprocessing=False, **given),
            (64, 64, 3),
        ),
        "EfficientNetB0": (keras.applications.EfficientNetB0, (32, 32, 3)),
        "DenseNet121": (keras.applications.DenseNet121, (32, 32, 3)),
    }[name]
    model = build(input_shape=shape, weights=None, classes=10)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2, weight.shape))
        elif weight.path.endswith(("moving_mean", "beta", "bias")):
            weight.assign(rng.normal(0, 0.3, weight.shape))
    return model, shape


def assert_family_exact(name, tmp_path):
    from firmware_tools.convert import convert

    model, shape = family(name)
    images = np.random.default_rng(1).uniform(-1, 1, (6, *shape)).astype(np.float32)
    path = convert(model, images, out=tmp_path / f"{name}.tflite")
    assert_exact(path, tmp_path / "native", draws=DRAWS[1:3])


def small_network():
    """Layers of every kind that has 16-bit and real kernels."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1)
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    x = layers.Add()([x, layers.Conv2D(8, 1)(x)])
    x = layers.ZeroPadding2D(1)(layers.AveragePooling2D(2)(x))
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Conv2D(8, 3, activation="tanh")(layers.Multiply()([x, gate]))
    x = layers.Dense(10, activation="relu")(layers.Flatten()(layers.MaxPooling2D(2)(x)))
    return keras.Model(image, layers.Softmax()(layers.Dense(4)(x)))


def converted(model, mode, path):
    from firmware_tools.convert import convert

    shape = model.input_shape[1:]
    images = np.random.default_rng(0).uniform(0, 1, (8, *shape)).astype(np.float32)
    return convert(model, images, mode=mode, out=path / f"{mode}.tflite")


def test_a_network_of_16_bit_activations_is_exact(tmp_path):
    path = converted(small_network(), "int16x8", tmp_path)
    assert "int16" in {tensor.dtype for tensor in graph.load(path).tensors}
    assert_exact(path, tmp_path / "native", draws=DRAWS[1:])


def test_each_op_of_a_real_network_stays_within_its_tolerance(tmp_path):
    model = graph.load(converted(small_network(), "float32", tmp_path))
    inputs = inputs_for(model, 3)
    expected = Reference(model).run(*inputs)
    made = NativeModel(model, tmp_path / "native").run(*inputs, forced=expected)
    for op in model.ops:
        allowed = 4 if op.name in ("LOGISTIC", "TANH", "SOFTMAX") else 0
        assert ulps(made[op.outputs[0]], expected[op.outputs[0]]) <= allowed, op.name


def test_what_an_encoder_and_decoder_are_made_of_is_exact(tmp_path):
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(2)
    image = keras.Input((16, 16, 3))
    wide = layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(8, 3, padding="same", activation="hard_silu")(layers.MaxPooling2D(2)(wide))
    x = layers.PReLU(alpha_initializer="uniform", shared_axes=[1, 2])(
        layers.Conv2DTranspose(6, 3, strides=2, padding="same")(x)
    )
    x = layers.Resizing(24, 24)(layers.Concatenate()([wide, x]))
    x = layers.Cropping2D(2)(layers.Resizing(30, 30, interpolation="nearest")(x))
    x = layers.Permute((2, 1, 3))(layers.Maximum()([x, layers.ReLU()(x)]))
    model = keras.Model(image, layers.Dense(5)(layers.GlobalMaxPooling2D()(x)))
    path = converted(model, "int8", tmp_path)
    names = {op.name for op in graph.load(path).ops}
    wanted = {"TRANSPOSE_CONV", "HARD_SWISH", "PRELU", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"}
    assert wanted | {"STRIDED_SLICE", "TRANSPOSE", "REDUCE_MAX", "MAXIMUM"} <= names
    assert_exact(path, tmp_path / "native", draws=DRAWS[1:])


def test_a_mobilenet_v2_through_the_real_converter_is_exact(tmp_path):
    assert_family_exact("MobileNetV2", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV3", "EfficientNetB0", "DenseNet121"])
def test_published_networks_through_the_real_converter_are_exact(name, tmp_path):
    assert_family_exact(name, tmp_path)


def four_bit_dense(activations="int8", data=None, scale=0.5):
    """A dense layer of three inputs and one unit, whose weights of four bits are 7, -8 and -1."""
    file = FileBuilder()
    source = file.tensor((1, 3), dtype=activations, scale=0.5)
    weights = file.tensor((1, 3), dtype="int4", scale=scale, axis=1, data=np.array([7, -8, -1], np.int8))
    target = file.tensor((1, 1), dtype=activations, scale=0.25)
    if data is not None:
        file.buffers[file.tensors[weights].buffer].data = data
    file.op("FULLY_CONNECTED", [source, weights, -1], [target], "FullyConnectedOptions")
    return file.pack([source], [target])


def test_weights_of_four_bits_are_read_lower_half_first(folder):
    model = graph.load(four_bit_dense())
    assert model.tensors[1].data.tolist() == [[7, -8, -1]]
    assert model.tensors[1].bytes == 2
    image = np.array([[3, 2, -4]], np.int8)
    ours, theirs = NativeModel(model, folder / "four_bits").run(image), Reference(model).run(image)
    assert ours[2].tolist() == theirs[2].tolist() == [[7 * 3 - 8 * 2 + 4]]


def test_weights_of_four_bits_that_tflm_does_not_run_are_refused():
    with pytest.raises(InputError, match=r"needs 2 bytes, has 1"):
        graph.load(four_bit_dense(data=np.zeros(1, np.uint8)))
    (refused,) = codegen.check(graph.load(four_bit_dense("int16")))
    assert "not constant int8" in refused.reason
    (refused,) = codegen.check(graph.load(four_bit_dense(scale=[0.5, 0.25, 0.5])))
    assert "TensorFlow Lite Micro refuses too" in refused.reason
