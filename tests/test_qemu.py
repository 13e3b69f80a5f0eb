"""QEMU's machines: the same sources through real serial ports, the same bytes, and nothing left running."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import chain
import numpy as np
import pytest
from tiny_firmware import DIGEST, MODEL_C, same_steps, tiny_graph, tiny_input, tiny_trace

from firmware_tools import boards, build, engines
from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import EmulatedBoard
from firmware_tools.devices.qemu import MACHINES, PROGRAM, QemuBoard, QemuTransport, machine_board
from tfviz.errors import InputError, LinkError

needs_qemu = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=f"{PROGRAM} is not installed")
X = tiny_input(5)


def tiny_image(machine: str, folder: Path) -> Path:
    board = machine_board(machine)
    port = MACHINES[machine].port
    return build.compile_firmware({"model.c": MODEL_C}, (), board, folder, digest=DIGEST, port=port).elf


def alive(program: str, word: str) -> list[int]:
    """Processes of `program` with `word` in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(program.encode()) and any(word.encode() in part for part in words):
            found.append(int(entry.parent.name))
    return found


def eventually_gone(word: str) -> bool:
    deadline = time.monotonic() + 10
    while alive(PROGRAM, word) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(PROGRAM, word)


def test_a_machine_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputError, match=r"no QEMU machine 'mps2'.*mps2-an386, mps2-an500, netduinoplus2"):
        machine_board("mps2")


def test_without_qemu_one_sentence_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        InputError, match=r"qemu-system-arm is not installed .*emulator:BOARD:FILE needs no such program"
    ):
        QemuBoard("mps2-an386", tmp_path / "model.tflite")


def test_an_engine_name_takes_machine_and_file_apart():
    spec = engines.parse("qemu:netduinoplus2:C:\\models\\dog.tflite")
    assert (spec.kind, spec.board, spec.file) == ("qemu", "netduinoplus2", "C:\\models\\dog.tflite")
    assert spec.is_tflite


def test_the_stm32f4_image_keeps_to_the_chips_memory_and_its_usart(tmp_path):
    elf = tiny_image("netduinoplus2", tmp_path)
    image = build.elf.read(elf)
    for section in image.sections:
        assert 0x0800_0000 <= section.address < 0x0810_0000 or 0x2000_0000 <= section.address < 0x2002_0000
    assert image.symbol("vectors").address % 512 == 0 or image.symbol("vectors").address == 0x0800_0000


def test_a_real_port_is_built_where_the_chip_has_one_and_refused_in_a_sentence_where_not():
    assert build.port_of(boards.load("nucleo-f446re"), real=True) == "stm32f4"
    assert build.port_of(boards.load("nucleo-f446re"), real=False) == "emulated"
    with pytest.raises(InputError, match=r"no port for the serial port of pico \(RP2040\) yet"):
        build.port_of(boards.load("pico"), real=True)


@pytest.mark.parametrize("usart", [1, 2, 6])
def test_the_stm32f4_port_compiles_without_a_warning_for_each_of_its_lines(usart, tmp_path):
    board = dataclasses.replace(boards.load("nucleo-f446re"), port_options=(f"STM32F4_USART={usart}",))
    made = build.compile_firmware({"model.c": MODEL_C}, (), board, tmp_path, digest=DIGEST, port="stm32f4")
    port = build.zig.FIRMWARE / "ports" / "stm32f4" / "port.c"
    strict = ["--target=thumb-freestanding-eabihf", "-mcpu=cortex_m4", "-std=c99", "-Wall", "-Wextra", "-Werror"]
    include = f"-I{build.zig.FIRMWARE / 'ports' / 'freestanding'}"
    command = [sys.executable, "-m", "ziglang", "cc", *strict, include, f"-DSTM32F4_USART={usart}", "-c", str(port)]
    done = subprocess.run([*command, "-o", str(tmp_path / "port.o")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert made.flash_bytes < 16_384


def test_every_board_that_names_a_port_has_one():
    for name in boards.names():
        port = boards.load(name).port
        assert port is None or (build.zig.FIRMWARE / "ports" / port / "port.c").is_file()


@pytest.mark.slow
@needs_qemu
@pytest.mark.parametrize("machine", MACHINES)
def test_every_machine_computes_the_same_bytes_read_written_and_forced(machine, tmp_path):
    reference = tiny_trace(X, wrong_op=2)
    with Device(QemuTransport(machine, tiny_image(machine, tmp_path)), tiny_graph(), digest=DIGEST) as device:
        assert same_steps(device.run({"t0": X}), tiny_trace(X))
        forced = device.run({"t0": X}, reference=reference, forced=True)
        assert same_steps(device.run({"t0": X}), tiny_trace(X))  # the next run is not spoilt by the writes
    differs = [
        bool((a.outputs[0].values != b.outputs[0].values).any())
        for a, b in zip(forced.steps, reference.steps, strict=True)
    ]
    assert differs == [False, False, True, False]


@pytest.mark.slow
@needs_qemu
@pytest.mark.parametrize("machine", MACHINES)
def test_a_real_model_gives_the_same_bytes_and_instructions_as_the_other_emulator(machine, shared_data, tmp_path):
    model = shared_data / "mlperf_tiny" / "pretrainedResnet_quant.tflite"
    images = np.load(shared_data / "cifar10_subset.npz")["x_test"][:2].astype(np.int16) - 128
    with QemuBoard(machine, model, folder=tmp_path / "qemu") as qemu, EmulatedBoard("nucleo-f446re", model) as other:
        name = qemu.graph.tensors[qemu.graph.inputs[0]].name
        runs = [[device.run({name: image[None]}) for device in (qemu, other)] for image in images.astype(np.int8)]
    for mine, reference in runs:
        assert same_steps(mine, reference)
    if machine != "mps2-an500":  # an M7: the compiler gives it other instructions
        more = np.array(
            [[a.instructions - b.instructions for a, b in zip(x.steps, y.steps, strict=True)] for x, y in runs]
        ).min(
            axis=0
        )  # a request that is repeated on a busy computer interrupts an op, whose count then has the handler's
        ran = np.array([step.instructions > 0 for step in runs[0][1].steps])
        assert np.all((more[ran] >= 20) & (more[ran] <= 32))
        assert np.all(more[~ran] == 0)


@pytest.mark.slow
@needs_qemu
def test_qemu_ends_with_its_device_and_with_a_host_that_is_killed(tmp_path):
    image = tiny_image("mps2-an386", tmp_path)
    QemuTransport("mps2-an386", image).close()
    assert eventually_gone(str(image))
    script = (
        "import sys, time; from firmware_tools.devices.qemu import QemuTransport\n"
        f"line = QemuTransport('mps2-an386', {str(image)!r}); print('up', flush=True); time.sleep(60)"
    )
    host = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert host.stdout is not None
    assert host.stdout.readline() == b"up\n"
    assert alive(PROGRAM, str(image))
    host.kill()
    host.wait()
    host.stdout.close()
    assert eventually_gone(str(image))


@pytest.mark.slow
@needs_qemu
def test_qemu_that_dies_in_the_middle_is_a_sentence(tmp_path):
    image = tiny_image("mps2-an386", tmp_path)
    with Device(QemuTransport("mps2-an386", image), tiny_graph(), digest=DIGEST) as device:
        device.run({"t0": X})
        for process in alive(PROGRAM, str(image)):
            os.kill(process, signal.SIGKILL)
        with pytest.raises(LinkError, match=r"qemu:mps2-an386: .*QEMU (ended|closed)"):
            device.run({"t0": X})


@pytest.mark.slow
@needs_qemu
def test_an_image_that_is_none_is_a_sentence(tmp_path):
    image = tmp_path / "no.elf"
    with pytest.raises(LinkError, match=r"qemu:mps2-an386: QEMU (does not start|ended with exit code 1): .*no\.elf"):
        Device(QemuTransport("mps2-an386", image), tiny_graph(), digest=DIGEST)


@pytest.mark.slow
@needs_qemu
def test_an_input_that_is_kept_is_not_sent_again(tmp_path):
    image = (chain.pictures(1).astype(np.int16) - 128).astype(np.int8)
    with QemuBoard("mps2-an386", chain.tflite_file(), folder=tmp_path, keep_input=True) as device:
        inputs = {device.graph.tensors[device.graph.inputs[0]].name: image}
        first = device.run(inputs)
        sent = device.last_line_bytes
        again = device.run(inputs, reference=first)
        assert device.last_line_bytes < sent - image.size
    assert same_steps(first, again)
