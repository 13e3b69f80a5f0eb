"""Every op's output on this machine equals TensorFlow Lite Micro's, bit for bit."""

import ctypes
import hashlib
import os
import tempfile

import numpy as np
import pytest
from native import WARNINGS, NativeModel, all_kernels, compile_c
from tflite_files import KINDS, NOT_IN_TFLM, WITHIN_ULP, random_op, random_ops, shrunk
from tflm import Reference, inputs_for

from firmware_tools import graph
from firmware_tools.codegen import numerics, weights
from firmware_tools.codegen.model import KERNELS

MLPERF = ("pretrainedResnet_quant", "kws_ref_model", "vww_96_int8", "ad01_int8")
DRAWS = (("random", 1), ("random", 2), ("edges", 3), ("low", 0), ("high", 0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("native")


def differences(model, ours, theirs) -> list[str]:
    return [
        f"op {op.index} {op.name}: {np.count_nonzero(ours[index] != theirs[index])} of {ours[index].size} values"
        for op in model.ops
        for index in op.outputs
        if not np.array_equal(ours[index], theirs[index])
    ]


def assert_exact(data, folder, draws=DRAWS, **options):
    model = graph.load(data)
    reference, native = Reference(model), NativeModel(model, folder, **options)
    for kind, seed in draws:
        inputs = inputs_for(model, seed, kind)
        assert differences(model, native.run(*inputs), reference.run(*inputs)) == [], (kind, seed)


@pytest.mark.parametrize("name", MLPERF)
def test_every_tensor_of_the_mlperf_models_is_exact(name, shared_data, folder):
    assert_exact(shared_data / f"mlperf_tiny/{name}.tflite", folder / name)


@pytest.mark.parametrize("name", MLPERF)
def test_a_forced_run_of_an_exact_engine_is_exact_too(name, shared_data, folder):
    model = graph.load(shared_data / f"mlperf_tiny/{name}.tflite")
    inputs = inputs_for(model, 5)
    expected = Reference(model).run(*inputs)
    native = NativeModel(model, folder / f"{name}_forced", keep_input=True)
    assert differences(model, native.run(*inputs, forced=expected), expected) == []
    np.testing.assert_array_equal(native.read(native.model.inputs[0]), inputs[0])


def wrong_seeds(kind, seeds, folder, draws=DRAWS, **options) -> dict[int, str]:
    """Which of the seeds' single ops differ from the reference, and how; all of them are run as one model."""
    data, seed_of = random_ops(kind, seeds)
    model = graph.load(data)
    reference, native = Reference(model), NativeModel(model, folder, **options)
    wrong = {}
    for name, seed in draws:
        inputs = inputs_for(model, seed, name)
        for difference in differences(model, native.run(*inputs), reference.run(*inputs)):
            wrong.setdefault(seed_of[int(difference.split()[1])], f"{name}: {difference}")
    return wrong


def assert_all_exact(kind, seeds, folder):
    """No seed's op differs; where one does, the failure names the smallest of its kind that does too."""
    wrong = wrong_seeds(kind, seeds, folder)
    if wrong:
        one = folder.parent / f"{folder.name}_shrunk"
        small = shrunk(kind, lambda data: is_wrong(data, one / hashlib.sha256(data).hexdigest()[:16]))
        pytest.fail(f"{kind}: {wrong}; smallest: RandomOp(seed, largest) = {small}; keep it in COUNTER_EXAMPLES")


def is_wrong(data, folder):
    model = graph.load(data)
    reference, native = Reference(model), NativeModel(model, folder)
    rounds = [inputs_for(model, seed, kind) for kind, seed in DRAWS]
    return any(differences(model, native.run(*inputs), reference.run(*inputs)) for inputs in rounds)


def test_a_counter_example_is_shrunk():
    """Wrong is here what has more than 7 values: no other model of its seeds is smaller."""

    def wrong(data):
        model = graph.load(data)
        return model.tensors[model.inputs[0]].elements > 7

    seed, largest = shrunk("unary", wrong)
    sizes = [graph.load(random_op("unary", seed, bound)).tensors[0].elements for bound in range(1, largest + 1)]
    assert largest < 4
    assert max(sizes[:-1], default=0) <= 7 < sizes[-1] < 60
    assert shrunk("unary", lambda _: False) is None


@pytest.mark.parametrize("kind", KINDS)
def test_random_single_ops_are_exact(kind, folder):
    assert_all_exact(kind, range(1000, 1016), folder / kind)


# Single ops that were once wrong: (kind, seed) and what they taught.
COUNTER_EXAMPLES = {
    ("conv_16", 326): "16-bit dense layers multiply their scales in double, 8-bit ones in float32",
}


@pytest.mark.parametrize(("kind", "seed"), COUNTER_EXAMPLES)
def test_what_was_once_wrong_stays_right(kind, seed, folder):
    assert wrong_seeds(kind, (seed,), folder / f"{kind}_{seed}") == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_random_single_ops_are_exact(kind, folder):
    many = int(os.environ.get("TFVIZ_RANDOM_MODELS", "120"))
    for first in range(0, many, 50):
        seeds = range(first, min(first + 50, many))
        assert_all_exact(kind, seeds, folder / "many" / f"{kind}_{first}")


def ulps(ours, theirs) -> int:
    """Largest distance of two float32 arrays in units in the last place: floats in order are integers in order."""
    a, b = (values.view(np.int32).astype(np.int64) for values in (ours, theirs))
    a, b = (np.where(bits < 0, -(2**31) - bits, bits) for bits in (a, b))
    return int(np.abs(a - b).max())


@pytest.mark.parametrize("kind", sorted(WITHIN_ULP))
def test_functions_of_real_numbers_stay_within_their_tolerance(kind, folder):
    data, _ = random_ops(kind, range(40))
    model = graph.load(data)
    reference, native = Reference(model), NativeModel(model, folder / kind)
    for factor in (0.001, 0.3, 1.0, 10.0, 100.0):
        inputs = [np.float32(factor) * values for values in inputs_for(model, int(1000 * factor))]
        ours, theirs = native.run(*inputs), reference.run(*inputs)
        for op in model.ops:
            assert ulps(ours[op.outputs[0]], theirs[op.outputs[0]]) <= WITHIN_ULP[kind], (op.name, factor)


@pytest.mark.parametrize("kind", NOT_IN_TFLM)
def test_what_the_exact_reference_leaves_undefined_is_as_litert_has_it(kind, folder):
    from firmware_tools.reference import litert

    data, _ = random_ops(kind, range(24))
    model = graph.load(data)
    native, engine = NativeModel(model, folder / kind), litert(model)
    for name, seed in DRAWS:
        inputs = inputs_for(model, seed, name)
        names = [model.tensors[index].name for index in model.inputs]
        trace = engine.run(dict(zip(names, inputs, strict=True)))
        theirs = {model.ops[step.index].outputs[0]: step.outputs[0].values for step in trace.steps}
        assert differences(model, native.run(*inputs), theirs) == []


def assert_exact_on(board, data, folder, optimize="O2"):
    """Every op on an emulated core equals the same C on this machine."""
    from firmware_tools.devices.emulator import EmulatedBoard

    model = graph.load(data)
    native = NativeModel(model, folder / "native")
    path = folder / "model.tflite"
    path.write_bytes(data)
    with EmulatedBoard(board, path, folder=folder / "firmware", optimize=optimize) as device:
        for kind, seed in DRAWS[1:3]:
            inputs = inputs_for(model, seed, kind)
            ours = native.run(*inputs)
            names = [model.tensors[index].name for index in model.inputs]
            trace = device.run(dict(zip(names, inputs, strict=True)))
            for step in trace.steps:
                for index, tensor in zip(model.ops[step.index].outputs, step.outputs, strict=True):
                    np.testing.assert_array_equal(tensor.values, ours[index])


ALL_KINDS = (*KINDS, *NOT_IN_TFLM, *WITHIN_ULP)


@pytest.mark.parametrize("board", ["nano33ble", "pico"])
def test_cores_with_and_without_dual_macs_give_the_same_bytes(board, folder):
    data, _ = random_ops(ALL_KINDS, (500,))
    assert_exact_on(board, data, folder / board)


# The kernels with loops in the core's own instructions, whose C twins run on this machine.
MULTIPLYING = ("trained_conv", "trained_depthwise", "conv", "depthwise", "dense", "binary")


@pytest.mark.parametrize("optimize", ["O2", "Os", "speed"])
def test_instructions_and_their_c_twins_give_the_same_bytes(optimize, folder):
    data, _ = random_ops(MULTIPLYING, range(700, 708))
    assert_exact_on("nano33ble", data, folder / f"twins-{optimize}", optimize)


def test_channels_without_weights_are_given_numbers_that_the_quick_way_can_take():
    rng = np.random.default_rng(4)
    sizes = np.array([0, 0, 0, 9, 0])
    bias = np.array([2**30 + 128, -(2**30), 77, 5, 12])
    scales = np.array([[2**30, -22], [2**31 - 1, -22], [2**30 + 5, -3], [0, 0], [0, 0]])
    new_bias, new_scales = weights.settled(sizes, bias, scales)
    assert weights.quick(sizes, new_bias, new_scales, -128, 127)
    for channel in range(5):
        product = 0 if channel != 3 else int(rng.integers(-1000, 1000))
        before = weights.requantized(int(bias[channel]) + product, *scales[channel].tolist())
        after = weights.requantized(int(new_bias[channel]) + product, *new_scales[channel].tolist())
        assert before == after


@pytest.mark.parametrize("kind", ["trained_conv", "conv", "dense"])
def test_widened_weights_give_the_same_bytes(kind, folder):
    assert wrong_seeds(kind, range(1000, 1008), folder / f"wide-{kind}", wide_weights=True) == {}


@pytest.mark.slow
@pytest.mark.parametrize("board", ["nano33ble", "pico", "pico2", "nucleo-h743zi", "esp32c3"])
def test_all_cores_give_the_same_bytes(board, folder):
    for first in range(600, 604, 2):
        data, _ = random_ops(ALL_KINDS, range(first, first + 2))
        assert_exact_on(board, data, folder / f"{board}_{first}")


def small_cnn(seed):
    """A random small CNN through the real converter: int8 with calibration data."""
    import keras
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((int(rng.integers(8, 17)), int(rng.integers(8, 17)), int(rng.integers(1, 4))), batch_size=1)
    x = inputs
    for _ in range(int(rng.integers(1, 4))):
        channels = int(rng.choice([3, 4, 8]))
        kind = rng.choice(["conv", "separable", "residual"])
        activation = str(rng.choice(["relu", "relu6", "linear"]))
        padding = str(rng.choice(["same", "valid"]))
        if kind == "conv" and min(x.shape[1:3]) >= 3:
            x = keras.layers.Conv2D(channels, 3, padding=padding, activation=activation)(x)
        elif kind == "separable":
            x = keras.layers.DepthwiseConv2D(3, padding="same", activation=activation)(x)
            x = keras.layers.Conv2D(channels, 1, activation=activation)(x)
        else:
            y = keras.layers.Conv2D(x.shape[-1], 3, padding="same")(x)
            x = keras.layers.ReLU()(keras.layers.Add()([x, y]))
        if rng.random() < 0.5 and min(x.shape[1:3]) >= 2:
            x = rng.choice([keras.layers.MaxPooling2D, keras.layers.AveragePooling2D])(2)(x)
    x = keras.layers.GlobalAveragePooling2D()(x) if rng.random() < 0.5 else keras.layers.Flatten()(x)
    if rng.random() < 0.5:
        x = keras.layers.Dense(9, activation="relu")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation=rng.choice(["softmax", "linear", "sigmoid"]))(x))
    with tempfile.TemporaryDirectory() as saved:
        archive = keras.export.ExportArchive()
        archive.track(model)
        signature = [tf.TensorSpec(inputs.shape, tf.float32)]
        archive.add_endpoint("serve", lambda image: model(image, training=False), input_signature=signature)
        archive.write_out(saved, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=["serve"])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        images = rng.normal(0, 1, (8, *inputs.shape)).astype(np.float32)
        converter.representative_dataset = lambda: ([image] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return converter.convert()


@pytest.mark.parametrize("seed", range(4))
def test_small_cnns_from_the_real_converter_are_exact(seed, folder):
    assert_exact(small_cnn(seed), folder / f"cnn_{seed}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 30))
def test_many_small_cnns_from_the_real_converter_are_exact(seed, folder):
    assert_exact(small_cnn(seed), folder / f"cnn_{seed}")


@pytest.fixture(scope="module")
def arithmetic(folder):
    """The shared integer arithmetic as callable functions."""
    source = folder / "arithmetic.c"
    source.write_text(
        '#include "nn_math.h"\n'
        "int32_t high(int32_t a, int32_t b);\nint32_t high(int32_t a, int32_t b)"
        " { return nn_doubling_high_multiply(a, b); }\n"
        "int32_t shift(int32_t x, int32_t e);\nint32_t shift(int32_t x, int32_t e)"
        " { return nn_rounding_shift(x, e); }\n"
        "int32_t requantize(int32_t x, int32_t m, int32_t s);\n"
        "int32_t requantize(int32_t x, int32_t m, int32_t s)\n"
        "{\n    const nn_scale scale = {m, s};\n    return nn_requantize(x, scale);\n}\n"
    )
    library = folder / "arithmetic.so"
    compile_c("-shared", "-fPIC", "-O2", f"-I{KERNELS}", str(source), "-o", str(library))
    return ctypes.CDLL(str(library))


def reference_high(a, b):
    """gemmlowp's definition, word for word in integers: nudge by the product's sign, divide towards zero."""
    product = a * b
    total = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    return total // 2**31 if total >= 0 else -(-total // 2**31)


def reference_shift(x, exponent):
    """gemmlowp's definition: a remainder above the threshold rounds up."""
    mask = (1 << exponent) - 1
    return (x >> exponent) + int((x & mask) > (mask >> 1) + int(x < 0))


def test_the_high_multiply_rounds_as_gemmlowp_does(arithmetic):
    edges = [0, 1, -1, 2**30, -(2**30), 2**31 - 1, -(2**31), 3, -3]
    rng = np.random.default_rng(0)
    pairs = [(a, b) for a in edges for b in (0, 1, 2**30, 2**31 - 1, 2**30 + 1)]
    pairs += list(
        zip(rng.integers(-(2**31), 2**31, 500).tolist(), rng.integers(2**30, 2**31, 500).tolist(), strict=True)
    )
    for a, b in pairs:
        assert arithmetic.high(a, b) == reference_high(a, b) == numerics.doubling_high_multiply(a, b)
    assert numerics.doubling_high_multiply(-(2**31), -(2**31)) == 2**31 - 1


def test_the_rounding_shift_takes_ties_away_from_zero(arithmetic):
    rng = np.random.default_rng(1)
    values = [0, 1, -1, 2, -2, 3, -3, 5, -5, 2**31 - 1, -(2**31) + 1, *rng.integers(-(2**31) + 1, 2**31, 200).tolist()]
    for x in values:
        for exponent in (0, 1, 2, 7, 15, 30, 31):
            assert arithmetic.shift(x, exponent) == reference_shift(x, exponent) == numerics.rounding_shift(x, exponent)
    assert [arithmetic.shift(x, 1) for x in (-3, -1, 1, 3)] == [-2, -1, 1, 2]


def test_rescaling_is_the_two_roundings_one_after_the_other(arithmetic):
    rng = np.random.default_rng(2)
    for _ in range(500):
        x, multiplier = int(rng.integers(-(2**31), 2**31)), int(rng.integers(2**30, 2**31))
        shift = int(rng.integers(-31, 8))
        assert arithmetic.requantize(x, multiplier, shift) == numerics.requantize(x, multiplier, shift)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "-target thumb-freestanding-eabi -mcpu=cortex_m0plus -ffreestanding",
        "-target thumb-freestanding-eabihf -mcpu=cortex_m4+vfp4d16sp -ffreestanding",
        "-target riscv32-freestanding -mcpu=generic_rv32+m+c -ffreestanding",
    ],
)
def test_all_kernels_compile_without_a_warning(target, tmp_path):
    assert "-Werror" in WARNINGS
    compile_c("-r", "-nostdlib", "-O2", *target.split(), *all_kernels(), "-o", str(tmp_path / "kernels.o"))


@pytest.mark.parametrize("kind", KINDS)
def test_no_input_makes_undefined_behaviour(kind, folder):
    """Kernels under the sanitizer, which traps: single ops on extreme inputs still give the reference's bytes."""
    flags = ("-fsanitize=undefined", "-fsanitize-trap=undefined")
    assert wrong_seeds(kind, range(77, 81), folder / "sanitized" / kind, flags=flags) == {}
