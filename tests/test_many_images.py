"""Comparisons over many images: gone on with after an interruption, spread over Ray's processes; the same is found."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fault_table
import numpy as np
import planted
import pytest
from chain import keras_file, pictures, tflite_file
from test_firmware_cli import run
from tiny_firmware import tiny_graph, tiny_input, tiny_trace

from firmware_tools import engines
from firmware_tools._compare import compare
from firmware_tools._journal import Journal
from firmware_tools.pictures import Expectation
from firmware_tools.reference import tflm
from tfviz.errors import LinkError

IMAGES = pictures(6, seed=9)
FRAMES = planted.pictures(12)
PLANTS = fault_table.plants()


class Tiny:
    """The tiny model in NumPy; `off` is added to one value of its first op, and its `breaks_at`-th run fails."""

    name, kernels, fingerprint = "tiny", "numpy", tiny_graph().fingerprint

    def __init__(self, off=0, breaks_at=None):
        self.off, self.breaks_at, self.runs = off, breaks_at, 0

    def run(self, inputs, *, reference=None, forced=False, read=True):
        del reference, forced, read
        self.runs += 1
        if self.runs == self.breaks_at:
            raise LinkError("tiny: the cable was pulled.")
        trace = tiny_trace(inputs["t0"])
        trace.steps[0].outputs[0].values.ravel()[0] += self.off
        return trace

    def close(self):
        pass


def same(one, other):
    def facts(trace):
        return [
            (step.index, step.op, tensor.name, tensor.scale, tensor.values.tobytes())
            for step in trace.steps
            for tensor in step.outputs
        ]

    return facts(one) == facts(other) and one.outputs[0].crc32 == other.outputs[0].crc32


def test_a_kept_run_is_answered_as_it_was_and_not_run_again(tmp_path: Path) -> None:
    inputs = [{"t0": tiny_input(seed)} for seed in range(3)]
    references = [tiny_trace(one["t0"]) for one in inputs]
    engine = Tiny(off=1)
    first = [Journal(engine, tmp_path).run(one, reference=right) for one, right in zip(inputs, references, strict=True)]
    second = [
        Journal(engine, tmp_path).run(one, reference=right) for one, right in zip(inputs, references, strict=True)
    ]
    assert engine.runs == 3
    for a, b, one in zip(first, second, inputs, strict=True):
        assert same(a, b)
        assert same(b, Tiny(off=1).run(one))
    assert not same(second[0], references[0])


def test_what_equals_the_reference_is_not_stored_again_and_needs_it_to_be_read(tmp_path: Path) -> None:
    inputs = {"t0": tiny_input(0)}
    engine = Tiny()
    Journal(engine, tmp_path).run(inputs, reference=tiny_trace(inputs["t0"]))
    (path,) = tmp_path.iterdir()
    with np.load(path) as stored:
        assert len(stored.files) <= 1 + len(tiny_trace(inputs["t0"]).inputs) + len(tiny_trace(inputs["t0"]).outputs)
    Journal(engine, tmp_path).run(inputs)  # without a reference: run, and kept whole
    assert engine.runs == 2
    assert same(Journal(engine, tmp_path).run(inputs), tiny_trace(inputs["t0"]))
    assert engine.runs == 2


def test_another_engine_another_input_and_a_broken_file_are_run(tmp_path: Path) -> None:
    inputs, engine = {"t0": tiny_input(0)}, Tiny()
    Journal(engine, tmp_path).run(inputs)
    Journal(engine, tmp_path).run({"t0": tiny_input(1)})
    other = Tiny()
    other.kernels = "other kernels"
    Journal(other, tmp_path).run(inputs)
    assert (engine.runs, other.runs, len(list(tmp_path.iterdir()))) == (2, 1, 3)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:50])
    assert same(Journal(engine, tmp_path).run(inputs), tiny_trace(inputs["t0"]))
    assert engine.runs == 3


def found(folder: Path | None, breaks_at: int | None = None):
    tflite = tflite_file()
    with engines.open_engine(f"tflm:{tflite}") as reference, engines.open_engine(f"host:{tflite}") as device:
        runs = 0
        inner = device.run

        def counted(*arguments, **options):
            nonlocal runs
            runs += 1
            if runs == breaks_at:
                raise LinkError("the cable was pulled")
            return inner(*arguments, **options)

        device.run = counted
        engine = device if folder is None else Journal(device, folder)
        result = None
        try:
            result = compare(reference, engine, IMAGES)
        except LinkError:
            assert breaks_at is not None
        return result, runs


def test_an_interrupted_comparison_goes_on_and_finds_the_same(tmp_path: Path) -> None:
    whole, runs = found(None)
    broken, before = found(tmp_path, breaks_at=4)
    resumed, after = found(tmp_path)
    assert broken is None
    assert (before - 1) + after == runs
    facts = [{**json.loads(one.to_json()), "seconds": 0} for one in (whole, resumed)]
    for op in [op for one in facts for op in one["ops"]]:
        op["cycles"] = 0  # of the desktop's clock, so never twice the same
    assert facts[0] == facts[1]


@pytest.mark.parametrize(
    "what",
    [
        "BGR given to an RGB model",
        "XNNPACK's kernels",
        "an op that is skipped",
        "the input buffer is filled one run too late",  # seen only beside the run before, which a kept run has not
    ],
)
def test_a_planted_fault_has_the_same_name_whoever_ran_the_images_and_when(what: str, tmp_path: Path) -> None:
    """Alone, with runs that are kept, gone on with from those, and spread over two devices, which keep them too."""
    plant = next(plant for plant in PLANTS if plant.what == what)
    expected = Expectation(planted.PREPROCESS, (), recorded=True)

    def diagnosis(*folders: Path | None) -> tuple[str | None, float | None]:
        with contextlib.ExitStack() as stack:
            made = [stack.enter_context(plant.engine(FRAMES)) for _ in folders]
            crew = [one if folder is None else Journal(one, folder) for one, folder in zip(made, folders, strict=True)]
            found = compare(tflm(planted.loaded()), crew[0], FRAMES, expected=expected, crew=crew[1:])
        assert found.diagnosis is not None
        return found.diagnosis.hypothesis, found.diagnosis.share_restored

    alone = diagnosis(None)
    assert alone[0] == plant.answer
    kept, spread = tmp_path / "kept", tmp_path / "spread"
    for folders in ([kept], [kept], [None, None], [spread, spread], [spread, spread]):
        assert diagnosis(*folders) == alone


def test_where_the_first_device_dies_a_living_one_is_asked_why_they_differ() -> None:
    plant = next(plant for plant in PLANTS if plant.what == "XNNPACK's kernels")
    first, second = plant.engine(FRAMES), plant.engine(FRAMES)

    def dies(*_, **__):
        raise LinkError("the cable was pulled")

    first.run = dies
    expected = Expectation(planted.PREPROCESS, (), recorded=True)
    with first, second:
        found = compare(tflm(planted.loaded()), first, FRAMES, expected=expected, crew=[second])
    assert any("A device died, and the others did its work" in note for note in found.notes)
    assert found.cause is not None
    assert found.cause.startswith("single rounding")


def report(path: Path) -> dict:
    facts = json.loads(path.read_text())
    return {name: value for name, value in facts.items() if name not in ("seconds", "command", "commands")}


def test_workers_are_refused_where_there_is_no_file_to_open(tmp_path: Path, capfd) -> None:
    np.savez(tmp_path / "x.npz", x=IMAGES)
    assert (
        run("compare", f"tflm:{tflite_file()}", f"keras:{keras_file()}", "--data", tmp_path / "x.npz", "--workers", 1)
        == 2
    )
    assert "can be done with a .tflite only" in capfd.readouterr().err


@pytest.mark.slow
def test_validate_killed_in_the_middle_goes_on_and_ends_in_the_same_report(tmp_path: Path) -> None:
    main = "from firmware_tools.cli import main; main()"
    keep = tmp_path / "kept"
    words = ["validate", keras_file(), "--data", "dog-poses", "--limit", "60", "--jobs", "1", "--resume", keep]
    words = [sys.executable, "-c", main, *map(str, words), "--out", str(tmp_path), "--json"]
    process = subprocess.Popen(
        [*words, str(tmp_path / "killed.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while len(list(keep.glob("[!.]*.npz"))) < 20 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in keep.glob("[!.]*.npz")}
    subprocess.run([*words, str(tmp_path / "resumed.json")], check=True, capture_output=True)
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    words[words.index(str(keep))] = str(tmp_path / "other")
    subprocess.run([*words, str(tmp_path / "whole.json")], check=True, capture_output=True)
    assert report(tmp_path / "resumed.json") == report(tmp_path / "whole.json")
    assert 20 <= len(before) < 60 == len(list(keep.glob("[!.]*.npz")))


@pytest.mark.slow
def test_two_workers_of_ray_end_in_the_same_report(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is an extra: pip install tfviz[ray]")
    main = "from firmware_tools.cli import main; main()"
    common = ["validate", keras_file(), "--data", "dog-poses", "--limit", "24", "--jobs", "1", "--out", tmp_path]
    for name, more in (("alone", []), ("spread", ["--workers", "2"])):
        words = [sys.executable, "-c", main, *map(str, common), *more, "--json", str(tmp_path / f"{name}.json")]
        subprocess.run(words, check=True, capture_output=True, timeout=300, env=os.environ)
    assert report(tmp_path / "spread.json") == report(tmp_path / "alone.json")


@pytest.mark.slow
def test_workers_of_ray_and_kept_runs_end_in_the_same_diagnosis(tmp_path: Path, capfd) -> None:
    pytest.importorskip("ray", reason="Ray is an extra: pip install tfviz[ray]")
    right, flipped = planted.model(), tmp_path / "flipped.tflite"
    graph = planted.loaded()
    weights = graph.tensors[graph.ops[0].inputs[1]].data.tobytes()
    stored = bytearray(right.read_bytes())
    stored[stored.index(weights) + 40] ^= 0x40
    flipped.write_bytes(stored)
    np.savez(tmp_path / "x.npz", x=FRAMES)
    for engine, cause in (
        (f"litert-xnnpack:{right}", "single rounding"),
        (f"host:{flipped}", "one weight bit flipped"),
    ):
        found = {}
        for name, more in {
            "alone": [],
            "kept": ["--resume", tmp_path / cause],
            "again": ["--resume", tmp_path / cause],
            "spread": ["--workers", 2],
            "both": ["--workers", 2, "--resume", tmp_path / cause],
        }.items():
            numbers = tmp_path / f"{name}.json"
            words = ["compare", f"tflm:{right}", engine, "--data", tmp_path / "x.npz", "--jobs", 1, "--json", numbers]
            assert run(*words, *more) == 1, capfd.readouterr().err
            found[name] = json.loads(numbers.read_text())
        assert found["alone"]["cause"].startswith(cause)
        for other in found.values():
            assert (other["cause"], other["diagnosis"]) == (found["alone"]["cause"], found["alone"]["diagnosis"])


@pytest.mark.slow
def test_a_worker_whose_process_dies_gives_its_images_back() -> None:
    pytest.importorskip("ray", reason="Ray is an extra: pip install tfviz[ray]")
    from firmware_tools._remote import open_remote
    from tfviz._ray import connected

    spec = f"host:{tflite_file()}"
    with engines.open_engine(f"tflm:{tflite_file()}") as reference, engines.open_engine(spec) as here:
        with connected(None, 2) as ray:
            one, other = open_remote(ray, spec, 2, {})
            assert (one.name, one.fingerprint) == (here.name, here.fingerprint)
            ray.kill(other._host)
            result = compare(reference, here, np.concatenate([IMAGES] * 10), crew=[other, one])
        assert (result.verdict.value, result.images) == ("PASS", 60)
        assert any(
            "A device died, and the others did its work: host: its process is gone" in note for note in result.notes
        )
