"""Several devices at once: images are spread, a device that dies gives its work back, one table for all."""

import dataclasses
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from chain import keras_file, pictures, tflite_file
from test_firmware_cli import run
from tiny_firmware import tiny_graph, tiny_input, tiny_trace

from firmware_tools._compare import compare_all
from firmware_tools._crew import Crew
from firmware_tools.engines import open_engine
from firmware_tools.results import Comparison, RunVerdict
from tfviz.errors import InputError, LinkError
from tfviz.trace import Trace


class Tiny:
    """The tiny model in NumPy, which dies at its `dies_at`-th run."""

    kernels = "numpy"
    fingerprint = tiny_graph().fingerprint

    def __init__(self, name, dies_at=None, together=None, had=0):
        self.name, self.dies_at, self.together, self.had = name, dies_at, together, had
        self.runs = 0

    def run(self, inputs, *, reference=None, forced=False, read=True):
        del reference, forced, read
        if self.together is not None:
            self.together.wait(timeout=10)  # all of them are at work at once, or this raises
            self.together = None
        self.runs += 1
        if self.runs == self.dies_at:
            error = LinkError(f"{self.name}: the cable was pulled; the last good op was 3.")
            whole = tiny_trace(inputs["t0"])
            error.partial = dataclasses.replace(whole, steps=whole.steps[: self.had], outputs=())
            raise error
        return tiny_trace(inputs["t0"])

    def close(self):
        pass


def tasks(count):
    return [({"t0": tiny_input(seed)}, None) for seed in range(count)]


def exact(traces):
    return all(
        np.array_equal(t.outputs[0].values, tiny_trace(tiny_input(i)).outputs[0].values) for i, t in enumerate(traces)
    )


def test_images_are_spread_over_all_devices_and_answered_in_order():
    together = threading.Barrier(3)
    engines = [Tiny(f"d{i}", together=together) for i in range(3)]
    with ThreadPoolExecutor(3) as threads:
        traces = Crew(engines, threads).run(tasks(30))
    assert exact(traces)
    assert sum(engine.runs for engine in engines) == 30
    assert all(engine.runs for engine in engines)


def test_a_device_that_dies_gives_its_work_back():
    engines = [Tiny("d0"), Tiny("d1", dies_at=2, together=None)]
    with ThreadPoolExecutor(2) as threads:
        crew = Crew(engines, threads)
        traces = crew.run(tasks(40))
        assert exact(traces)
        assert len(traces) == 40
        if engines[1].runs == 2:
            assert crew.notes == [
                "A device died, and the others did its work: d1: the cable was pulled; the last good op was 3."
            ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_when_the_last_device_dies_its_own_sentence_is_said_with_the_most_that_any_had(count):
    engines = [Tiny(f"d{i}", dies_at=2 + i, had=3 - i) for i in range(count)]
    with ThreadPoolExecutor(2 * count) as threads:  # more images wait than there are devices
        crew = Crew(engines, threads)
        with pytest.raises(LinkError, match=r"^d\d: the cable was pulled; the last good op was 3\.") as caught:
            crew.run(tasks(40))
    told = {1: "3.", 2: " 1 device beside it died before.", 3: " 2 devices beside it died before."}
    assert str(caught.value).endswith(told[count])
    assert len(caught.value.partial.steps) == 3
    assert len(crew.notes) == count - 1


def test_engines_side_by_side_are_each_compared_and_one_that_dies_does_not_stop_the_others():
    spec = str(tflite_file())
    with (
        open_engine(f"tflm:{spec}") as reference,
        open_engine(f"host:{spec}") as host,
        open_engine(f"host:{spec}", fault="cut=30000") as broken,
    ):
        found = compare_all(reference, [(broken,), (host,)], pictures(40, seed=1))
    assert isinstance(found[0], LinkError)
    assert "the cable was pulled" in str(found[0])
    assert isinstance(found[0].partial, Trace)
    assert isinstance(found[1], Comparison)
    assert (found[1].verdict, found[1].images) == (RunVerdict.PASS, 40)


def test_a_device_that_dies_among_identical_ones_is_told_in_a_note():
    spec = str(tflite_file())
    with (
        open_engine(f"tflm:{spec}") as reference,
        open_engine(f"host:{spec}") as host,
        open_engine(f"host:{spec}", fault="cut=5000") as broken,  # a few images: a busy machine gives it no more
    ):
        (found,) = compare_all(reference, [(host, broken)], pictures(40, seed=1))
    assert isinstance(found, Comparison)
    assert (found.verdict, found.images) == (RunVerdict.PASS, 40)
    assert any("A device died, and the others did its work: host: the cable was pulled" in note for note in found.notes)


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "pictures.npz"
    np.savez(path, x_test=pictures(6, seed=2), y_test=np.arange(6) % 3)
    return path


def test_one_table_for_several_engines(tmp_path, npz, capfd):
    spec = tflite_file()
    numbers = tmp_path / "r.json"
    code = run(
        "compare",
        f"tflm:{spec}",
        f"emulator:pico:{spec}",
        f"host:{spec}",
        "--data",
        npz,
        "--split",
        "test",
        "--json",
        numbers,
    )
    said = capfd.readouterr().out
    assert code == 0, said
    assert "emulator:pico  max LSB  instructions  host" in said.splitlines()[0]
    assert said.splitlines()[0].endswith("ticks")
    assert "emulator:pico: PASS: all 6 layers EXACT" in said
    assert "host: PASS: all 6 layers EXACT" in said
    for file in ("r-1-emulator-pico.json", "r-2-host.json"):
        assert json.loads((tmp_path / file).read_text())["verdict"] == "PASS"


def test_spread_shares_the_images_among_identical_devices_only(npz, capfd):
    spec = tflite_file()
    assert (
        run("compare", f"tflm:{spec}", f"host:{spec}", f"host:{spec}", "--spread", "--data", npz, "--split", "test")
        == 0
    )
    assert "over 6 images" in capfd.readouterr().out


def test_spread_over_devices_that_are_not_identical_is_refused(npz, capfd):
    spec = tflite_file()
    code = run(
        "compare", f"tflm:{spec}", f"host:{spec}", f"litert:{spec}", "--spread", "--data", npz, "--split", "test"
    )
    assert code == 2
    assert re.search(r"identical devices; these run built-in .* and LiteRT .*Without --spread", capfd.readouterr().err)


@pytest.mark.parametrize("fault", ["errors=2", "cuts=3", "cut=", "what"])
def test_a_fault_that_is_none_is_refused(fault):
    with pytest.raises(InputError, match="names no fault; expected errors=RATE"):
        open_engine(f"host:{tflite_file()}", fault=fault)


def test_a_cable_pulled_in_the_middle_of_validate_is_a_sentence_code_3_and_a_trace_file(tmp_path, npz, capfd):
    report = tmp_path / "demo" / "report.html"
    code = run(
        "validate", keras_file(), "--data", npz, "--split", "test", "--calibration", "dog-poses", "--limit", 4,
        "--calibration-images", 8, "--fault", "cut=4000", "--report", report,
    )  # fmt: skip
    said = capfd.readouterr()
    assert code == 3, said.err
    assert "the cable was pulled; the last good op was " in said.err.strip().splitlines()[-1]
    assert "Traceback" not in said.err
    partial = report.parent / "partial.npz"
    assert len(Trace.load(partial).steps) > 0
    (tflite,) = report.parent.glob("*.tflite")
    assert run("compare", f"tflm:{tflite}", f"trace:{partial}") == 1
    assert "its link broke there" in capfd.readouterr().out
    assert not report.exists()


def test_a_pinned_input_gives_the_same_and_its_ram_is_told(tmp_path, npz, capfd):
    spec = tflite_file()
    assert run("build", spec, "--board", "pico", "--keep-input", "--out", tmp_path / "kept") == 0
    told = r"the pinned input takes \d+ B of RAM more: the arena is [\d,]+ B instead of"
    assert re.search(told, capfd.readouterr().out)
    assert (
        run("compare", f"tflm:{spec}", f"emulator:pico:{spec}", "--keep-input", "--data", npz, "--split", "test") == 0
    )
    assert "PASS: all 6 layers EXACT" in capfd.readouterr().out


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_cable_pulled_in_the_middle_is_a_sentence_code_3_and_a_trace_that_compare_reads(jobs, tmp_path, npz, capfd):
    spec = tflite_file()
    report = tmp_path / "out" / "report.json"
    code = run(
        "compare",
        f"tflm:{spec}",
        f"emulator:nano33ble:{spec}",
        "--data",
        npz,
        "--split",
        "test",
        "--jobs",
        jobs,
        "--fault",
        "cut=4000",
        "--json",
        report,
    )
    said = capfd.readouterr()
    assert code == 3
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("firmware-tools: emulator:nano33ble: the cable was pulled; the last good op was ")
    partial = tmp_path / "out" / "partial.npz"
    assert f"wrote {partial}" in said.out
    kept = Trace.load(partial)
    assert (0 < len(kept.steps) < 6) == (not kept.outputs)  # or the last whole image, where no op of the next arrived
    assert run("compare", f"tflm:{spec}", f"trace:{partial}") == (0 if kept.outputs else 1)
    said = capfd.readouterr().out
    assert ("of 6 ops: its link broke there" in said) == (not kept.outputs)
    assert "DIVERGED" not in said
    assert "EXACT" in said


def test_a_cable_pulled_before_an_images_first_op_leaves_the_image_before():
    spec = tflite_file()
    with open_engine(f"tflm:{spec}") as reference:
        tensor = reference.graph.tensors[reference.graph.inputs[0]]
        inputs = [{tensor.name: np.full(tensor.shape, value, tensor.dtype)} for value in (1, 2)]
        right = reference.run(inputs[0])
    with open_engine(f"host:{spec}") as host:
        host.run(inputs[0], reference=right)
        host.stop()  # as a cable that is pulled now
        with pytest.raises(LinkError, match=r"interrupted; the last good op was 5 of the run before \(") as caught:
            host.run(inputs[1])
    assert host.partial.steps == ()
    assert caught.value.partial.outputs[0].values.tobytes() == right.outputs[0].values.tobytes()


def test_an_interrupt_ends_the_runs_of_all_devices():
    class Slow(Tiny):
        stopped = False

        def run(self, inputs, *, reference=None, forced=False, read=True):
            del inputs, reference, forced, read
            for _ in range(500):
                if self.stopped:
                    raise LinkError(f"{self.name}: interrupted.")
                time.sleep(0.02)
            raise AssertionError("nobody stopped it")

        def stop(self):
            self.stopped = True

    engines = [Slow("d0"), Slow("d1")]
    with ThreadPoolExecutor(4) as threads:
        crew = Crew(engines, threads)
        answers = [threads.submit(crew.one, {"t0": tiny_input()}, None) for _ in range(4)]
        time.sleep(0.1)
        crew.stop()
    assert all(isinstance(answer.exception(), LinkError) for answer in answers)
