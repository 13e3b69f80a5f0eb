"""Each core really is that core: what the emulator lets pass is looked for in the code, and in the second emulator."""

import dataclasses
import re
import shutil
import subprocess

import numpy as np
import pytest
from native import NativeModel
from test_kernels import ALL_KINDS, DRAWS, assert_exact_on
from tflite_files import random_ops
from tflm import inputs_for

from firmware_tools import boards, build, graph
from firmware_tools.boards.cores import CORES
from firmware_tools.build import elf
from firmware_tools.devices.qemu import PROGRAM, QemuBoard

OBJDUMP = "arm-none-eabi-objdump"
# ARMv7E-M's DSP extension and the floating-point unit, which a Cortex-M3 lacks and neither emulator refuses it.
NOT_ON_M3 = re.compile(
    r"^(s|u|q|sh|uh|uq)(add|sub)(8|16)|^(asx|sax)|^smla[bdtw]|^smlal[bdt]|^smls[dl]|^smmul|^smmla|^smu[as]d|^smul[bwt]"
    r"|^[su]xt(a?)b16|^[su]xtab|^[su]xtah|^pkh|^qd?(add|sub)$|^[su]sat16|^umaal|^usad|^sel$|^v(?!ectors)"
)


def cortex_m3():
    return dataclasses.replace(boards.load("nucleo-f446re"), name="cortex-m3", core=CORES["cortex-m3"])


@pytest.fixture(scope="module")
def every_op():
    return random_ops(ALL_KINDS, (505,))[0]


def firmware(board, data, folder):
    return build.build(graph.load(data), board, folder).elf


def mnemonics(path):
    done = subprocess.run([OBJDUMP, "-d", "-j", ".text", str(path)], capture_output=True, text=True, check=True)
    return {found[1] for found in re.finditer(r"^ *[0-9a-f]+:\t[0-9a-f ]+\t([a-z0-9.]+)", done.stdout, re.MULTILINE)}


@pytest.mark.skipif(shutil.which(OBJDUMP) is None, reason=f"{OBJDUMP} is not installed")
def test_code_for_a_cortex_m3_has_no_instruction_that_it_lacks(every_op, tmp_path):
    def foreign(board):
        words = mnemonics(firmware(board, every_op, tmp_path / board.name))
        assert len(words) > 60
        return {word for word in words if NOT_ON_M3.match(word)}

    assert foreign(cortex_m3()) == set()
    assert {"smlad", "sxtb16", "vadd.f32"} <= foreign(boards.load("nucleo-f446re"))  # the pattern can find them


def test_code_for_rv32imc_has_no_atomic_and_no_floating_point_instruction(every_op, tmp_path):
    """Opcode in the lower 7 bits of what is no compressed instruction; RISC-V ISA manual, table 70."""
    foreign = {0x2F: "atomic", 0x07: "float load", 0x27: "float store", 0x53: "float", 0x43: "float multiply-add"}
    image = elf.read(firmware(boards.load("esp32c3"), every_op, tmp_path))
    (section,) = [section for section in image.sections if section.name == ".text"]
    (segment,) = [s for s in image.segments if s.address <= section.address < s.address + len(s.data)]
    code = segment.data[section.address - segment.address :][: section.bytes]
    at, opcodes = 0, set()
    while at < len(code):
        wide = code[at] & 3 == 3
        opcodes |= {code[at] & 0x7F} if wide else set()
        at += 4 if wide else 2
    assert {0x33, 0x13, 0x63, 0x67} <= opcodes  # arithmetic, branches: this is code
    assert {foreign[code] for code in opcodes & foreign.keys()} == set()


@pytest.mark.slow
def test_a_cortex_m3_gives_the_same_bytes(tmp_path):
    for first in range(600, 604, 2):
        folder = tmp_path / str(first)
        folder.mkdir()
        assert_exact_on(cortex_m3(), random_ops(ALL_KINDS, range(first, first + 2))[0], folder)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=f"{PROGRAM} is not installed")
@pytest.mark.parametrize("machine", ["mps2-an386", "mps2-an500"])
def test_the_second_emulator_which_traps_unaligned_pairs_gives_the_same_bytes(machine, tmp_path, every_op):
    model = graph.load(every_op)
    native = NativeModel(model, tmp_path / "native")
    path = tmp_path / "model.tflite"
    path.write_bytes(every_op)
    with QemuBoard(machine, path, folder=tmp_path / machine) as device:
        for kind, seed in DRAWS[1:3]:
            inputs = inputs_for(model, seed, kind)
            ours = native.run(*inputs)
            names = [model.tensors[index].name for index in model.inputs]
            for step in device.run(dict(zip(names, inputs, strict=True))).steps:
                for index, tensor in zip(model.ops[step.index].outputs, step.outputs, strict=True):
                    np.testing.assert_array_equal(tensor.values, ours[index])
