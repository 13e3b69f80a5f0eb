"""The C itself: no warning of any compiler, nothing beside its own memory, the same results from each compiler."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from native import WARNINGS, NativeModel
from sanitized import SanitizedModel, needs_gcc
from test_kernels import ALL_KINDS, DRAWS, MLPERF, differences
from tflite_files import KINDS, random_ops
from tflm import Reference, inputs_for

from firmware_tools import boards, build, codegen, graph
from firmware_tools.build import gcc, zig
from firmware_tools.devices.emulator import EmulatedBoard
from tfviz.errors import InputError

FIRMWARE = zig.FIRMWARE
needs_arm_gcc = pytest.mark.skipif(shutil.which(gcc.PROGRAM) is None, reason=f"{gcc.PROGRAM} is not installed")
MACROS = ("-DLINK_OUTPUTS=8", '-DLINK_ENGINE="e"', '-DLINK_BUILD="b"')
FREESTANDING = ("-ffreestanding", f"-I{FIRMWARE / 'ports' / 'freestanding'}")
ARM = [str(FIRMWARE / "ports" / name) for name in ("start_arm.c", "emulated/port.c", "freestanding/string.c")]
COMPILERS = {
    "zig": ([sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=undefined"], [], (FIRMWARE / "ports/posix/port.c",)),
    "gcc": (["gcc"], [], (FIRMWARE / "ports/posix/port.c",)),
    "arm-none-eabi-gcc": (
        [gcc.PROGRAM, "-mthumb", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
        FREESTANDING,
        ARM,
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("c")


@pytest.mark.parametrize("name", COMPILERS)
def test_link_ports_and_generated_c_compile_without_a_warning(name, tmp_path):
    """The kernels are compiled so by zig in test_kernels.py, and here by the others."""
    command, target, ports = COMPILERS[name]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    data, _ = random_ops(ALL_KINDS, (3,))
    for file, text in codegen.generate(graph.load(data)).files.items():
        (tmp_path / file).write_text(text)
    sources = [tmp_path / "model.c", *sorted((FIRMWARE / "link").glob("*.c")), *ports]
    if name != "zig":
        sources += sorted((FIRMWARE / "nn").glob("*.c"))
    includes = [f"-I{path}" for path in (tmp_path, FIRMWARE, FIRMWARE / "nn")]
    for source in sources:
        arguments = [*WARNINGS, "-O1", *target, *MACROS, *includes, "-c", str(source), "-o", str(tmp_path / "out.o")]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), source


def assert_clean(data, folder, *, compared=True, **options):
    """Every op keeps to its own tensors, has no undefined behaviour, and gives the reference's bytes."""
    model = graph.load(data)
    rounds = [inputs_for(model, seed, kind) for kind, seed in DRAWS]
    made = SanitizedModel(model, folder, **options).run(*rounds)
    expected = Reference(model) if compared else NativeModel(model, folder / "native")
    for inputs, ours in zip(rounds, made, strict=True):
        assert differences(model, ours, expected.run(*inputs)) == []


@needs_gcc
def test_no_kernel_touches_anything_but_its_own_tensors(folder):
    assert_clean(random_ops(ALL_KINDS, range(900, 902))[0], folder / "all", compared=False)
    wide = random_ops(("conv", "depthwise", "dense"), range(902, 912))[0]
    assert_clean(wide, folder / "wide", compared=False, wide_weights=True)


@needs_gcc
def test_the_sanitized_run_ends_where_a_kernel_reads_beside_its_tensors(folder):
    """The test above can fail: a reader of one value too many is caught within the arena."""
    model = graph.load(random_ops("softmax", (3,))[0])
    program = SanitizedModel(model, folder / "wrong")
    text = (folder / "wrong" / "model.c").read_text()
    wrong = re.sub(r"\.depth = (\d+)", lambda found: f".depth = {int(found[1]) + 16}", text)
    assert wrong != text
    (folder / "wrong" / "model.c").write_text(wrong)
    from sanitized import FLAGS, HERE, kernels
    from sanitized import gcc as compile_

    parts = [str(folder / "wrong" / "model.c"), str(HERE / "sanitized.c"), *kernels(folder / "sanitized_kernels")]
    compile_(*FLAGS, f"-I{folder / 'wrong'}", *parts, "-o", str(program.program))
    with pytest.raises(AssertionError, match=r"AddressSanitizer: (use-after-poison|global-buffer)"):
        program.run(inputs_for(model, 1))


@pytest.mark.slow
@needs_gcc
@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_random_suite_is_clean_under_the_sanitizers(kind, folder):
    for first in range(0, 120, 60):
        assert_clean(random_ops(kind, range(first, first + 60))[0], folder / f"{kind}_{first}")


@pytest.mark.slow
@needs_gcc
@pytest.mark.parametrize("name", MLPERF)
def test_real_models_are_clean_under_the_sanitizers(name, shared_data, folder):
    assert_clean(shared_data / f"mlperf_tiny/{name}.tflite", folder / name)


def assert_both_compilers_agree(board, data, folder):
    model = graph.load(data)
    path = folder / "model.tflite"
    folder.mkdir()
    path.write_bytes(data)
    made = []
    for compiler in build.COMPILERS:
        with EmulatedBoard(board, path, folder=folder / compiler, compiler=compiler) as device:
            assert compiler in device.build.compiler
            traces = []
            for kind, seed in DRAWS[1:3]:
                names = [model.tensors[index].name for index in model.inputs]
                traces.append(device.run(dict(zip(names, inputs_for(model, seed, kind), strict=True))))
            made.append(traces)
    for ours, theirs in zip(*made, strict=True):
        for one, other in zip(ours.steps, theirs.steps, strict=True):
            for a, b in zip(one.outputs, other.outputs, strict=True):
                np.testing.assert_array_equal(a.values, b.values)


@needs_arm_gcc
def test_zig_and_gcc_give_the_same_results(folder):
    assert_both_compilers_agree("nano33ble", random_ops(ALL_KINDS, (700,))[0], folder / "two")


@pytest.mark.slow
@needs_arm_gcc
@pytest.mark.parametrize("board", ["nano33ble", "pico", "pico2", "nucleo-h743zi"])
def test_zig_and_gcc_give_the_same_results_on_every_core(board, folder):
    assert_both_compilers_agree(board, random_ops(ALL_KINDS, range(710, 712))[0], folder / board)


def test_a_compiler_that_is_not_there_is_a_sentence(tmp_path, monkeypatch):
    from tiny_firmware import MODEL_C

    board = boards.load("nano33ble")
    with pytest.raises(InputError, match="no compiler 'clang'; there are zig, gcc"):
        build.compile_firmware({"model.c": MODEL_C}, (), board, tmp_path, compiler="clang")
    with pytest.raises(InputError, match="does not compile for rv32imc; build with --compiler zig"):
        build.compile_firmware({"model.c": MODEL_C}, (), boards.load("esp32c3"), tmp_path, compiler="gcc")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="arm-none-eabi-gcc is not installed"):
        build.compile_firmware({"model.c": MODEL_C}, (), board, tmp_path, compiler="gcc")


@pytest.mark.parametrize("compiler", ["zig", pytest.param("gcc", marks=needs_arm_gcc)])
def test_the_same_model_gives_the_same_firmware_wherever_it_is_built(compiler, tmp_path):
    data, _ = random_ops(("conv", "softmax"), (1,))
    made = [build.build(graph.load(data), "nano33ble", tmp_path / name, compiler=compiler).elf for name in ("a", "bb")]
    assert made[0].read_bytes() == made[1].read_bytes()
