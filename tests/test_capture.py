"""A board's own sensor: `firmware-tools capture` keeps frame, input and layers, and judges the preprocessing."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from chain import tflite_file
from test_firmware_cli import run
from tiny_firmware import MODEL_C, same_steps, tiny_graph, tiny_trace

from firmware_tools import boards, build
from firmware_tools.build import elf, zig
from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import EmulatorTransport
from firmware_tools.devices.machine import Machine
from tfviz.trace import Trace

# A grey line camera of 48 pixels. The model's input is 2 x + 3 (scale 0.5, zero point 3): right, or one pixel off.
CAMERA = (
    '#include "link/protocol.h"\n#include "link/server.h"\n'
    "static uint8_t seen[48];\n"
    "static bool camera(const nn_model *model, link_raw *raw) {\n"
    "  uint8_t *input = model->arena + model->tensors[model->inputs[0]].offset;\n"
    "  for (int i = 0; i < 48; i++) { seen[i] = (uint8_t)(5 * i %% 120); }\n"
    "  for (int i = 0; i < 48; i++) { input[i] = (uint8_t)(2 * seen[%s] + 3); }\n"
    "  *raw = (link_raw){.bytes = seen, .count = 48, .format = RAW_GREY8, .width = 48, .height = 1};\n"
    "  return true;\n}\n"
)
SEEN = (5 * np.arange(48) % 120).astype(np.uint8)


@pytest.fixture(params=["i", "i > 0 ? i - 1 : 0"], ids=["right", "one pixel off"])
def board(request, tmp_path, monkeypatch):
    """A board with that camera in place of whatever engine is named; the sensor is set when its first op runs."""
    planted = MODEL_C.replace("static void op_shift", CAMERA % request.param + "static void op_shift")
    planted = planted.replace("weights[i % 4]); }", "weights[i % 4]); link_sensor = camera; }")
    built = build.compile_firmware({"model.c": planted}, (), boards.load("nano33ble"), tmp_path / "firmware")
    device = Device(EmulatorTransport(Machine(built.board, elf.read(built.elf))), tiny_graph(), allow_other_model=True)
    device.run({"t0": np.zeros((1, 48), np.uint8)})
    device.session.hello()
    monkeypatch.setattr("firmware_tools.engines.open_engine", lambda *_, **__: device)
    return request.param


def test_frame_input_and_layers_are_kept_and_the_preprocessing_is_judged(board, tmp_path, capfd):
    out, picture = tmp_path / "t.npz", tmp_path / "frame.png"
    code = run("capture", "serial:/dev/ttyACM0", "--out", out, "--picture", picture)
    said = capfd.readouterr().out
    assert "a frame of 48 B: 48 x 1 pixels, GREY8" in said
    assert np.array_equal(cv2.imread(str(picture), cv2.IMREAD_UNCHANGED), SEEN[None])
    kept = Trace.load(out)
    assert same_steps(kept, tiny_trace(kept.inputs[0].values))
    if board == "i":
        assert code == 0
        assert np.array_equal(kept.inputs[0].values[0], 2 * SEEN + 3)
        assert "the board's input is what the host makes of this frame, bit for bit" in said
    else:
        assert code == 1
        assert "97.9% of its values differ, by 230 steps at most" in said


def test_a_device_without_a_sensor_and_what_is_no_device_are_refused_in_a_sentence(tmp_path, capfd):
    out = tmp_path / "t.npz"
    assert run("capture", f"host:{tflite_file()}", "--out", out) == 2
    assert "host has no sensor of its own; give it images." in capfd.readouterr().err
    assert run("capture", f"tflm:{tflite_file()}", "--out", out) == 2
    assert "is no device with a sensor; give a serial: line" in capfd.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_pages_sensor_compiles_as_c_and_as_cpp(language, tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "boards-of-your-own.md").read_text()
    code = re.search(r"## A camera.*?```c\n(.*?)```", page, re.DOTALL)
    assert code is not None
    yours = "const uint8_t *take_picture(void);\nvoid preprocess(const uint8_t *frame, uint8_t *input);\n"
    source = tmp_path / ("sensor.c" if language == "c" else "sensor.cpp")
    includes, rest = code[1].split("\n\n", 1)
    guarded = f'extern "C" {{\n{includes}\n}}' if language == "c++" else includes
    source.write_text(f"{guarded}\n{yours}{rest}\nvoid set_up(void);\nvoid set_up(void) {{ link_sensor = camera; }}\n")
    standard = "-std=c99" if language == "c" else "-std=c++11"
    command = [sys.executable, "-m", "ziglang", "cc", standard, "-Wall", "-Wextra", "-Werror", f"-I{zig.FIRMWARE}"]
    command += ["-c", str(source), "-o", str(tmp_path / "sensor.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
