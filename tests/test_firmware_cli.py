"""The command line `firmware-tools`: what it writes, what it says, and one sentence for everything that is wrong."""

import json
import subprocess
import sys

import numpy as np
import pytest
from chain import keras_file, pictures, tflite_file

from firmware_tools import cli
from tfviz import console
from tfviz.trace import Trace


def run(*arguments: object) -> int:
    """Exit code of a command, run in this process."""
    with pytest.raises(SystemExit) as stopped:
        console.run(cli.app, [str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module", autouse=True)
def small_network() -> None:
    """Made before anything is captured: TensorFlow greets its first import."""
    tflite_file()


@pytest.fixture
def npz(tmp_path):
    """Twelve labelled pictures, eight to learn from and four to judge by."""
    path = tmp_path / "pictures.npz"
    np.savez(
        path,
        x_train=pictures(8, seed=1),
        y_train=np.arange(8) % 3,
        x_test=pictures(4, seed=2),
        y_test=np.arange(4) % 3,
    )
    return path


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys, time; start = time.perf_counter()\n"
        "import firmware_tools\n"
        "from firmware_tools import cli\n"
        "try: cli.app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'cv2', 'matplotlib', 'ai_edge_litert', 'tflite_micro', 'unicorn', 'serial'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("convert", "inspect", "build", "boards", "ports", "trace", "compare", "validate"):
        assert command in done.stdout


def test_convert_says_what_it_wrote(tmp_path, npz, capfd):
    out = tmp_path / "made" / "m.tflite"
    assert run("convert", keras_file(), "--data", npz, "--images", 4, "--out", out) == 0
    said = capfd.readouterr()
    assert f"wrote {out}" in said.out
    assert f"wrote {out}.json" in said.out
    assert "int8: 6 ops" in said.out
    assert said.err == "converting ...\n"
    assert out.stat().st_size == pytest.approx(tflite_file().stat().st_size, rel=0.1)


def test_inspect_lists_ops_arena_and_boards(capfd):
    assert run("inspect", tflite_file()) == 0
    said = capfd.readouterr().out
    for text in ("CONV_2D", "SOFTMAX", "lower bound", "nano33ble", "SHA-256", "real = 0.00390625 * (value - -128)"):
        assert text in said


def test_build_says_what_is_used_and_left(tmp_path, capfd):
    out = tmp_path / "firmware"
    assert run("build", tflite_file(), "--board", "nano33ble", "--out", out) == 0
    said = capfd.readouterr().out
    assert "flash: " in said
    assert "of 983,040 B" in said
    assert list(out.rglob("*.elf"))


def test_boards_and_ports_answer(capfd):
    assert run("boards") == 0
    assert "nRF52840" in capfd.readouterr().out
    assert run("ports") == 0
    assert capfd.readouterr().out


def test_a_trace_is_written_and_replayed_against_its_engine(tmp_path, npz, capfd):
    out = tmp_path / "one.npz"
    spec = f"tflm:{tflite_file()}"
    assert run("trace", spec, npz, "--split", "test", "--index", 2, "--out", out) == 0
    assert "6 tensors of tflm (TensorFlow Lite Micro reference kernels" in capfd.readouterr().out
    assert [step.op for step in Trace.load(out).steps][:2] == ["CONV_2D", "MAX_POOL_2D"]
    assert run("compare", f"trace:{out}", spec) == 0
    assert "PASS: all 6 layers EXACT against TensorFlow Lite Micro reference kernels" in capfd.readouterr().out
    assert run("compare", spec, f"trace:{out}") == 0


def test_the_emulated_board_is_exact_and_the_report_says_so(tmp_path, npz, capfd):
    report, numbers = tmp_path / "report.html", tmp_path / "report.json"
    code = run(
        "compare", f"tflm:{tflite_file()}", f"emulator:nano33ble:{tflite_file()}", "--data", npz, "--split", "test",
        "--float", keras_file(), "--report", report, "--json", numbers,
    )  # fmt: skip
    said = capfd.readouterr().out
    assert code == 0, said
    found = json.loads(numbers.read_text())
    assert (found["verdict"], found["exact_ops"], found["images"], found["board"]) == ("PASS", 6, 4, "nano33ble")
    assert found["ops"][0]["instructions"] > 10_000
    assert 0.8 < found["ops"][0]["instructions"] / found["ops"][0]["macs"] < 10
    assert "instructions a MAC" in report.read_text()
    assert found["instructions"] == sum(op["instructions"] for op in found["ops"])
    assert found["arena_bytes"] >= found["arena_lower_bound"] > 0
    assert 0 < found["stack_used"] < found["stack_bytes"]
    assert "accuracy of emulator:nano33ble: " in said
    assert report.read_text().lstrip().lower().startswith("<!doctype html>")
    assert said.strip().splitlines()[-1].startswith("PASS: all 6 layers EXACT against TensorFlow Lite Micro")


def test_engines_that_differ_leave_with_1_unless_rounding_is_tolerated(npz, capfd):
    pair = (f"tflm:{tflite_file()}", f"litert-xnnpack:{tflite_file()}", "--data", npz)
    assert run("compare", *pair) == 1
    assert "FAIL: " in capfd.readouterr().out
    assert run("compare", *pair, "--tolerate", "rounding") == 0


def test_the_whole_chain_ends_in_the_summary(tmp_path, capfd):
    report, numbers = tmp_path / "demo" / "report.html", tmp_path / "demo" / "report.json"
    code = run(
        "validate", keras_file(), "--board", "nano33ble", "--data", "dog-poses", "--limit", 12,
        "--calibration-images", 30, "--report", report, "--json", numbers, "--opinions",
    )  # fmt: skip
    said = capfd.readouterr().out
    assert code == 0, said
    last = said.strip().splitlines()[-1]
    for text in ("all 6 layers EXACT", "SQNR of the worst layer", "top-1 agreement", "over 12 images", "flash", "RAM"):
        assert text in last
    found = json.loads(numbers.read_text())
    assert {entry["role"] for entry in found["data"]} == {"evaluation", "calibration"}
    assert found["data"][0]["identity"] != found["data"][1]["identity"]
    assert [op["keras_layer"] for op in found["ops"]] == ["relu", "pool", "second", "flatten", "head:pre", "head"]
    assert any("LiteRT XNNPACK kernels" in note for note in found["notes"])
    assert report.exists()


def test_accuracy_on_real_photographs_is_reported_by_a_command(shared_data, capfd):
    model = shared_data / "mlperf_tiny" / "pretrainedResnet"
    code = run(
        "compare", f"keras:{model}.h5", f"litert-xnnpack:{model}_quant.tflite",
        "--data", shared_data / "cifar10_subset.npz", "--split", "test",
    )  # fmt: skip
    said = capfd.readouterr().out
    assert code == 0
    assert "accuracy of keras: 87.7 % (742 of 846 images)" in said
    assert "accuracy of litert-xnnpack: 87." in said


def test_mlperf_s_resnet_on_the_emulated_board_is_exact_in_all_16_ops(shared_data, capfd):
    model = shared_data / "mlperf_tiny" / "pretrainedResnet_quant.tflite"
    code = run(
        "compare", f"tflm:{model}", f"emulator:nano33ble:{model}",
        "--data", shared_data / "cifar10_subset.npz", "--split", "test", "--limit", 3,
    )  # fmt: skip
    assert code == 0
    assert "PASS: all 16 layers EXACT against TensorFlow Lite Micro reference kernels" in capfd.readouterr().out


WRONG = [
    (("inspect", "absent.tflite"), "There is no file absent.tflite."),
    (("inspect", "{keras}"), "is not a .tflite file"),
    (("inspect", "{truncated}"), "truncated.tflite"),
    (("inspect", "{folder}"), "is a folder"),
    (("build", "{tflite}", "--board", "nano34", "--out", "{folder}/o"), "There is no board 'nano34'"),
    (("build", "absent.tflite", "--board", "pico", "--out", "{folder}/o"), "There is no file"),
    (("build", "{tflite}", "--board", "pico", "--out", "{folder}/o", "--optimize", "O9"), "O9"),
    (("convert", "absent.keras", "--data", "dog-poses", "--out", "{folder}/m.tflite"), "There is no model file"),
    (("convert", "{keras}", "--data", "absent", "--out", "{folder}/m.tflite"), "There is no data 'absent'"),
    (("convert", "{keras}", "--out", "{folder}/m.tflite"), "needs calibration data"),
    (("convert", "{keras}", "--data", "dog-poses", "--mode", "int4", "--out", "{folder}/m.tflite"), "no mode 'int4'"),
    (
        ("convert", "{keras}", "--data", "dog-poses", "--images", "-1", "--out", "{folder}/m.tflite"),
        "at least one image",
    ),
    (("convert", "{tflite}", "--data", "dog-poses", "--out", "{folder}/m.tflite"), "firmware-tools takes"),
    (("trace", "tflm:{tflite}", "{npz}", "--index", "-1", "--out", "{folder}/t.npz"), "counts from 0"),
    (("trace", "tflm:{tflite}", "{npz}", "--index", "99", "--out", "{folder}/t.npz"), "there is no image 99"),
    (("trace", "tflm:{tflite}", "{npz}", "--out", "{folder}/t.txt"), "does not end in .npz"),
    (("trace", "tfml:{tflite}", "{npz}", "--out", "{folder}/t.npz"), "Did you mean tflm?"),
    (("trace", "{tflite}", "{npz}", "--out", "{folder}/t.npz"), "There is no engine"),
    (("compare", "tflm:{tflite}", "emulator:nano34:{tflite}", "--data", "{npz}"), "There is no board 'nano34'"),
    (("compare", "tflm:{tflite}", "litert:absent.tflite", "--data", "{npz}"), "There is no file absent.tflite"),
    (("compare", "tflm:{tflite}", "litert:{truncated}", "--data", "{npz}"), "truncated.tflite"),
    (("compare", "tflm:{tflite}", "trace:absent.npz", "--data", "{npz}"), "There is no trace file"),
    (("compare", "tflm:{tflite}", "trace:{npz}", "--data", "{npz}"), "is not a trace file"),
    (("compare", "tflm:{tflite}", "litert:{tflite}"), "There is nothing to compare on"),
    (("compare", "tflm:{tflite}", "litert:{tflite}", "--data", "{npz}", "--limit", "-3"), "A limit of -3"),
    (("compare", "tflm:{tflite}", "litert:{tflite}", "--data", "{npz}", "--split", "exam"), "no split 'exam'"),
    (("compare", "tflm:{tflite}", "litert:{tflite}", "--data", "{npz}", "--tolerate", "all"), "Tolerate 'all'?"),
    (("compare", "tflm:{tflite}", "litert:{tflite}", "--data", "{npz}", "--jobs", "0"), "At least one job"),
    (("compare", "serial:/dev/absent", "litert:{tflite}", "--data", "{npz}"), None),
    (("compare", "tflm:{tflite}", "litert:{tflite}", "--data", "{npz}", "--samples", "0"), None),
    (("validate", "{keras}", "--board", "nano34", "--data", "dog-poses"), "There is no board 'nano34'"),
    (("validate", "{tflite}", "--data", "dog-poses"), "firmware-tools takes"),
    (("validate", "{keras}", "--data", "absent"), "There is no data 'absent'"),
    (("validate", "{keras}", "--data", "dog-poses", "--limit", "0"), "A limit of 0"),
    (("nonsense",), None),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=[" ".join(arguments)[:60] for arguments, _ in WRONG])
def test_what_is_wrong_is_one_sentence_and_exit_code_2_or_3(arguments, sentence, tmp_path, npz, capfd):
    truncated = tmp_path / "truncated.tflite"
    truncated.write_bytes(tflite_file().read_bytes()[:3000])
    known = {
        "keras": keras_file(), "tflite": tflite_file(), "npz": npz, "folder": tmp_path, "truncated": truncated,
    }  # fmt: skip
    before = sorted(tmp_path.rglob("*"))
    code = run(*(argument.format(**known) for argument in arguments))
    said = capfd.readouterr()
    assert code == (3 if "serial:/dev/absent" in arguments else 2)
    assert "Traceback" not in said.err
    if sentence is not None:
        [line] = [line for line in said.err.splitlines() if line.startswith("firmware-tools: ") and "note:" not in line]
        assert sentence in line
    assert sorted(tmp_path.rglob("*")) == before
