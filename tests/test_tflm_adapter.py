"""The adapter for TensorFlow Lite Micro, against a minimal model of the interfaces that it uses, under sanitizers."""

import shutil
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from firmware_tools import export
from firmware_tools.devices.device import Device
from firmware_tools.devices.host import PipeTransport
from firmware_tools.graph import Graph, GraphTensor, Op
from firmware_tools.link import RefusedError, Timing
from firmware_tools.link.messages import Refusal
from tfviz.errors import LinkError

STAND_IN = Path(__file__).parent / "tflm_stand_in"
REGISTRATION = {2022: "TfLiteRegistration", 2025: "TFLMRegistration"}
MODEL = b"TFL3 as bytes\0"
SIZES = (16, 16, 16, 16, 8, 8, 1, 8)
X = np.arange(40, 56, dtype=np.uint8).reshape(1, 16)


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    """Builds the user's firmware around what `export --tflm` writes; by interface year and macros."""
    folder = tmp_path_factory.mktemp("tflm")
    export.tflm(folder / "out")
    built = {}

    def build(year: int = 2025, *macros: str) -> Path:
        if (year, macros) not in built:
            target = folder / f"firmware{len(built)}"
            compile_firmware(folder / "out", target, year, macros)
            built[year, macros] = target
        return built[year, macros]

    return build


def compile_firmware(
    out: Path,
    target: Path,
    year: int,
    macros: tuple[str, ...],
    around: Sequence[Path] = (STAND_IN / "port.cpp",),
    more: Sequence[str] = (),
) -> None:
    """With GCC's sanitizers where there is a GCC, else with Zig's, which trap."""
    gcc = shutil.which("g++") is not None and shutil.which("gcc") is not None
    zig = [sys.executable, "-m", "ziglang"]
    c, cpp = (["gcc"], ["g++"]) if gcc else ([*zig, "cc"], [*zig, "c++"])
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if gcc else ["-fsanitize=undefined"]
    common = ["-g", "-O1", "-Wall", "-Wextra", "-Werror", *sanitize]
    includes = [f"-I{out}", f"-I{STAND_IN}", *more]
    objects = []
    for source in sorted((out / "link").glob("*.c")):
        objects.append(str(target.with_name(f"{target.name}-{source.stem}.o")))
        run([*c, "-std=c99", *common, "-c", str(source), "-o", objects[-1]])
    sources = [*sorted(out.glob("*.cpp")), STAND_IN / "firmware.cpp", *around]
    defines = [f"-DSTAND_IN_YEAR={year}", f"-DREGISTRATION={REGISTRATION[year]}", *(f"-D{macro}" for macro in macros)]
    run([*cpp, "-std=c++11", *common, *defines, *includes, *map(str, sources), *objects, "-o", str(target)])


ARDUINO = Path(__file__).parent / "arduino_stand_in"
SKETCH = """
#include <Arduino.h>
#include <port_arduino.h>
int run_firmware(int count, char **arguments);
void setup() { Serial.begin(115200); port_begin(Serial); run_firmware(0, nullptr); }
void loop() {}
"""


def test_on_arduino_the_port_comes_with_it(tmp_path):
    export.tflm(tmp_path / "out")
    (tmp_path / "sketch.cpp").write_text(SKETCH)
    sources = [tmp_path / "sketch.cpp", ARDUINO / "main.cpp"]
    compile_firmware(tmp_path / "out", tmp_path / "sketch", 2025, ("ARDUINO=10607",), sources, [f"-I{ARDUINO}"])
    with connect(tmp_path / "sketch") as device:
        trace = device.run({"t0": X})
        assert all(map(np.array_equal, values(trace), expected(X)))
        assert device.hello.tick_hz == 1_000_000


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def graph() -> Graph:
    none = np.zeros(0)
    tensors = tuple(
        GraphTensor(i, f"t{i}", (1, size), "uint8", none.astype(np.float32), none.astype(np.int64), 0, None)
        for i, size in enumerate(SIZES)
    )
    ops = (
        Op(0, "ADD", "a", (0, 6), (1,), {}),
        Op(1, "ADD", "b", (1, 6), (2,), {}),
        Op(2, "ADD", "c", (2, -1), (3,), {}),
        Op(3, "CUSTOM", "d", (3,), (4, 5), {}),
        Op(4, "MUL", "e", (4, 5), (7,), {}),
    )
    return Graph(ops, tensors, (0,), (7,), MODEL)


def expected(x: np.ndarray) -> list[np.ndarray]:
    last = x + np.uint8(9)
    return [x + np.uint8(3), x + np.uint8(6), last, last[:, :8], last[:, 8:], last[:, :8] * last[:, 8:]]


def connect(program: Path, *arguments: str) -> Device:
    line = PipeTransport(program) if not arguments else Arguments(program, *arguments)
    timing = Timing(quiet=0.3, request=2, op=2)
    return Device(line, graph(), timing=timing)


class Arguments(PipeTransport):
    def __init__(self, program: Path, argument: str) -> None:
        script = program.with_name(f"{program.name}-{argument}.sh")
        script.write_text(f'#!/bin/sh\nexec "{program}" {argument}\n')
        script.chmod(0o755)
        super().__init__(script)


def values(trace) -> list[np.ndarray]:
    return [output.values for step in trace.steps for output in step.outputs]


@pytest.mark.parametrize("year", REGISTRATION)
def test_every_op_reports_its_own_outputs_with_either_interface(firmware, year):
    with connect(firmware(year)) as device:
        trace = device.run({"t0": X})
        for got, wanted in zip(values(trace), expected(X), strict=True):
            assert np.array_equal(got, wanted)
        assert [step.cycles for step in trace.steps] == [1000] * 5
        assert trace.kernels.startswith("TensorFlow Lite Micro")
        again = device.run({"t0": X[:, ::-1].copy()})
        assert all(map(np.array_equal, values(again), expected(X[:, ::-1])))


def test_the_tables_name_activations_alone_and_how_long_they_live(firmware):
    with connect(firmware()) as device:
        rows = {row.id: row for row in device.session.tensors(device.hello.tensors)}
        ops = device.session.ops(device.hello.ops)
    lives = {index: (row.birth, row.death) for index, row in rows.items()}
    assert lives == {0: (0, 0), 1: (1, 1), 2: (2, 2), 3: (3, 3), 4: (4, 4), 5: (4, 4), 7: (5, 5)}
    assert [row.bytes for row in rows.values()] == [16, 16, 16, 16, 8, 8, 8]
    assert [row.inputs for row in ops] == [(0,), (1,), (2,), (3,), (4, 5)]


def test_a_forced_run_gives_each_op_the_references_input(firmware):
    with connect(firmware()) as device:
        right = device.run({"t0": X})
        other = device.run({"t0": X + np.uint8(1)})
        forced = device.run({"t0": X}, reference=other, forced=True)
    made = values(forced)
    assert np.array_equal(made[0], expected(X)[0])  # the input was X
    assert all(map(np.array_equal, made[1:], expected(X + np.uint8(1))[1:]))  # what came after saw the reference's
    assert not np.array_equal(made[1], values(right)[1])


def test_a_run_that_is_broken_off_leaves_out_the_rest_and_the_next_is_whole(firmware):
    with connect(firmware()) as device:
        number = device.session.begin([(0, X.tobytes())])
        device.session.run(number, [zlib.crc32(X.tobytes())])
        device.session.next(number, 1)
        trace = device.run({"t0": X})
        assert all(map(np.array_equal, values(trace), expected(X)))
        device.session.abort()
        assert all(map(np.array_equal, values(device.run({"t0": X})), expected(X)))


def test_an_op_that_fails_ends_the_run_in_a_sentence(firmware):
    with connect(firmware(), "fails") as device:
        with pytest.raises(LinkError, match="the last good op was 2") as caught:
            device.run({"t0": X})
        if isinstance(caught.value, RefusedError):
            assert caught.value.refusal == Refusal.STATE
        assert device.partial is not None
        assert len(device.partial.steps) == 3
        assert device.session.hello().ops == 5  # and the device is there


@pytest.mark.parametrize(
    ("argument", "macros", "sentence"),
    [
        ("subgraphs", (), "The model has sub-graphs"),
        ("", ("TFLM_LINK_OPS=4",), "more ops than TFLM_LINK_OPS"),
        ("", ("TFLM_LINK_TENSORS=6",), "more tensors than TFLM_LINK_TENSORS"),
        ("", ("TFLM_LINK_OPERANDS=12",), "more operands than TFLM_LINK_OPERANDS"),
        ("", ("TFLM_LINK_REGISTRATIONS=2",), "more kinds of ops than TFLM_LINK_REGISTRATIONS"),
    ],
)
def test_what_cannot_be_served_is_said_on_the_device(firmware, argument, macros, sentence):
    done = subprocess.run([str(firmware(2025, *macros)), argument], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_without_the_link_the_interpreter_works_as_before(firmware):
    assert subprocess.run([str(firmware()), "plain"], timeout=20).returncode == 0
