"""Exported sources: they compile without a warning where they are put, and compute what the model computes."""

import shutil
import subprocess
import sys
from pathlib import Path

import chain
import numpy as np
import pytest

from firmware_tools import cli, codegen, export, graph
from firmware_tools.devices.device import Device
from firmware_tools.devices.host import PipeTransport
from firmware_tools.engines import open_engine
from firmware_tools.export.facts import facts
from tfviz import console
from tfviz.errors import InputError
from tfviz.preprocess import Sidecar, write_sidecar

HERE = Path(__file__).parent
STRICT = ("-DARDUINO=10607", "-Wall", "-Wextra", "-Werror", "-fno-sanitize=undefined", "-O1")


def zig(*arguments: object) -> None:
    done = subprocess.run([sys.executable, "-m", "ziglang", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def image() -> np.ndarray:
    return (chain.pictures(1, seed=4).astype(np.int16) - 128).astype(np.int8)


def expected():
    with open_engine(f"tflm:{chain.tflite_file()}") as engine:
        (index,) = engine.graph.inputs
        return engine.run({engine.graph.tensors[index].name: image()})


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arduino")
    export.arduino(chain.tflite_file(), folder)
    return folder


def sketch(library: Path, name: str, folder: Path) -> Path:
    """The sketch with the library, compiled as an Arduino builder does: every file of src, src on the include path."""
    source = folder / f"{name}.cpp"
    source.write_text(
        f'#include <Arduino.h>\n#line 1 "{name}.ino"\n' + read(library / "examples" / name / f"{name}.ino")
    )
    includes = [f"-I{library / 'src'}", f"-I{HERE / 'arduino_stand_in'}"]
    in_c = sorted((library / "src").rglob("*.c"))
    in_cpp = [*sorted((library / "src").rglob("*.cpp")), source, HERE / "arduino_stand_in" / "main.cpp"]
    objects = [folder / f"{i}-{path.stem}.o" for i, path in enumerate(in_c)]
    for path, compiled in zip(in_c, objects, strict=True):
        compilers("cc", *STRICT, *includes, "-c", path, "-o", compiled)
    compilers("c++", *STRICT, *includes, *in_cpp, *objects, "-o", folder / name)
    return folder / name


def compilers(language: str, *arguments: object) -> None:
    """GCC where there is one: Zig builds the C++ library first, which takes a minute."""
    gcc = {"cc": "gcc", "c++": "g++"}[language]
    if shutil.which("gcc") is None or shutil.which("g++") is None:
        zig(language, *arguments)
        return
    done = subprocess.run([gcc, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_arduino_sketch_is_a_device_whose_layers_are_all_exact(library, tmp_path):
    program = sketch(library, "validate", tmp_path)
    reference = expected()
    loaded = graph.load(chain.tflite_file())
    with Device(PipeTransport(program, name="sketch"), loaded) as device:
        inputs = {loaded.tensors[loaded.inputs[0]].name: image()}
        trace = device.run(inputs)
        assert all(
            one.outputs[0].crc32 == other.outputs[0].crc32
            for one, other in zip(trace.steps, reference.steps, strict=True)
        )
        assert device.hello.tick_hz == 1_000_000
        assert device.hello.build == "Arduino"
        device.run(inputs, reference=reference, forced=True)
    assert "built-in C99 kernels" in trace.kernels


def test_the_arduino_sketch_that_only_runs_the_model_prints_its_outputs(library, tmp_path):
    program = sketch(library, "classify", tmp_path)
    said = subprocess.run([str(program)], capture_output=True, text=True, timeout=20).stdout.splitlines()
    assert [line.split()[0] for line in said[:3]] == list(chain.NAMES)
    assert sum(float(line.split()[1]) for line in said[:3]) == pytest.approx(1, abs=0.02)
    assert said[3].endswith(" us")


def test_the_arduino_library_says_what_the_builder_needs(library):
    properties = dict(line.split("=", 1) for line in read(library / "library.properties").splitlines())
    assert {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "architectures"} <= set(
        properties
    )
    assert (library / "src" / properties["includes"]).is_file()
    for name in ("validate", "classify"):
        assert f"#include <{properties['includes']}>" in read(library / "examples" / name / f"{name}.ino")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "small"
    export.plain(chain.tflite_file(), folder)
    return folder


def run_example(program: Path) -> dict[str, float]:
    done = subprocess.run([str(program)], input=image().tobytes(), capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return {name: float(value) for name, value in (line.split() for line in done.stdout.decode().splitlines())}


def wanted() -> dict[str, float]:
    output = expected().outputs[0]
    real = output.scale * (output.values.astype(np.float32).ravel() - output.zero_point)
    return dict(zip(chain.NAMES, real.tolist(), strict=True))


def test_plain_c_compiles_as_c99_and_its_example_prints_the_models_outputs(plain, tmp_path):
    program = tmp_path / "example"
    sources = [plain / "small_model.c", plain / "example" / "main.c", *sorted((plain / "nn").glob("*.c"))]
    zig("cc", "-std=c99", "-Wconversion", *STRICT, f"-I{plain}", *sources, "-o", program)
    assert run_example(program) == pytest.approx(wanted(), abs=1e-6)
    short = subprocess.run([str(program)], input=b"short", capture_output=True, timeout=20)
    assert (short.returncode, short.stderr) == (2, b"768 bytes of int8 are expected on standard input.\n")


def test_quantising_in_c_is_the_hosts(plain, tmp_path):
    loaded = graph.load(chain.tflite_file())
    tensor = loaded.tensors[loaded.inputs[0]]
    (tmp_path / "main.c").write_text(
        '#include "small_model.h"\n#include <stdio.h>\nint main(void) { float x; while (fread(&x, 4, 1, stdin)) '
        'printf("%d\\n", small_model_quantize(x)); return 0; }\n'
    )
    sources = [tmp_path / "main.c", plain / "small_model.c", *sorted((plain / "nn").glob("*.c"))]
    zig("cc", "-std=c99", *STRICT, f"-I{plain}", *sources, "-o", tmp_path / "program")
    scale, zero_point = np.float32(tensor.scale[0]), int(tensor.zero_point[0])
    real = np.concatenate([scale * (np.arange(-300, 300) / 2 - zero_point), [np.inf, -np.inf, np.nan, 1e30]])
    said = subprocess.run(
        [str(tmp_path / "program")], input=real.astype(np.float32).tobytes(), capture_output=True, timeout=20
    ).stdout.split()
    value = (real.astype(np.float32) / scale + np.float32(zero_point)).astype(np.float64)
    rounded = np.where(value < 0, np.ceil(value - 0.5), np.floor(value + 0.5))
    assert [int(one) for one in said] == np.clip(np.nan_to_num(rounded, nan=-128), -128, 127).astype(int).tolist()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_cmake_builds_it(plain, tmp_path):
    for arguments in (["-S", plain, "-B", tmp_path], ["--build", tmp_path]):
        done = subprocess.run(["cmake", *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert run_example(tmp_path / "small_model_example") == pytest.approx(wanted(), abs=1e-6)


def test_the_header_and_readme_are_this_models(plain):
    header, readme = read(plain / "small_model.h"), read(plain / "README.md")
    loaded = graph.load(chain.tflite_file())
    assert "#define SMALL_MODEL_INPUT_DIMENSION_1 16\n" in header
    assert "#define SMALL_MODEL_OUTPUT_ELEMENTS 3\n" in header
    assert f"#define SMALL_MODEL_OPS {len(loaded.ops)}\n" in header
    assert f"{codegen.generate(loaded).plan.arena_bytes:,} bytes of RAM" in readme
    assert loaded.fingerprint in readme
    assert "sit, stand, lie" in readme
    assert f"`real = ({1 / 255!r} * pixel - 0.0) / 1.0`" in readme


def test_names_of_models_and_classes_cannot_break_out_of_the_c(tmp_path):
    nasty = tmp_path / '9 "evil"; int main(.tflite'
    nasty.write_bytes(chain.tflite_file().read_bytes())
    write_sidecar(nasty, Sidecar(chain.PREPROCESS, ('a"); abort();', "ü\\", "x*/ ??/")))
    export.plain(nasty, tmp_path / "out")
    known = facts(graph.load(nasty), nasty)
    assert known.name.isidentifier()
    (tmp_path / "main.c").write_text(
        f'#include "{known.name}.h"\n#include <stdio.h>\n'
        f"int main(void) {{ for (int i = 0; i < 3; i++) puts({known.name}_classes[i]); return 0; }}\n"
    )
    sources = [
        tmp_path / "main.c",
        tmp_path / "out" / f"{known.name}.c",
        *sorted((tmp_path / "out" / "nn").glob("*.c")),
    ]
    zig("cc", "-std=c99", *STRICT, f"-I{tmp_path / 'out'}", *sources, "-o", tmp_path / "program")
    said = subprocess.run([str(tmp_path / "program")], capture_output=True, timeout=20).stdout.decode().splitlines()
    assert said == ['a"); abort();', "ü\\", "x*/ ??/"]


def test_a_file_in_the_folders_place_is_one_sentence(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file; a folder to write into is expected"):
        export.plain(chain.tflite_file(), tmp_path / "taken")


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        console.run(cli.app, [str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_the_command_writes_every_form_and_says_where(tmp_path, capsys):
    folders = {form: tmp_path / form for form in ("out", "arduino", "tflm")}
    options = [word for form, folder in folders.items() for word in (f"--{form}", folder)]
    assert command("export", chain.tflite_file(), *options) == 0
    said = capsys.readouterr()
    assert all(str(folder) in said.out + said.err for folder in folders.values())
    for name in ("out/CMakeLists.txt", "arduino/library.properties", "tflm/tflm_link.cpp", "tflm/link/server.c"):
        assert (tmp_path / name).stat().st_size > 100


def test_the_command_without_a_form_says_which_there_are(tmp_path, capsys):
    assert command("export", chain.tflite_file()) == 2
    assert "--out DIR for plain C, --arduino DIR" in capsys.readouterr().err
    assert command("export", tmp_path / "none.tflite", "--out", tmp_path) == 2
