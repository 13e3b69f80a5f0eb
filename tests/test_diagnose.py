"""Planted faults are named, clean runs raise no alarm, and what nobody knows is called unknown."""

import dataclasses
import re
from pathlib import Path

import camera
import fault_table
import numpy as np
import pytest
from fault_table import Plant
from planted import PREPROCESS, Misfed, device, integers, loaded, model, normalised, pictures

from firmware_tools import _diagnose, memory, open_engine
from firmware_tools._compare import compare
from firmware_tools._diagnose import diagnose
from firmware_tools._diagnose.inputs import pack_565, unpack_565
from firmware_tools._diagnose.judge import share_restored
from firmware_tools._diagnose.kernel import kernel_of
from firmware_tools.pictures import Expectation
from firmware_tools.reference import litert_xnnpack, tflm
from firmware_tools.results import RunVerdict
from tfviz.errors import InputError
from tfviz.trace import Array

PAGE = (Path(__file__).parents[1] / "docs" / "diagnosis.md").read_text()
EXPECTED = Expectation(PREPROCESS, (), recorded=True)
PLANTS = fault_table.plants()
MODELS = ("pretrainedResnet_quant", "kws_ref_model", "vww_96_int8", "ad01_int8")
# Every pipeline, and of the faults in firmware, which have to be compiled, one or two of each kind.
QUICK = (
    "built with single rounding",
    "convolution takes four channels at a time",
    "the last 100 bytes erased (0xFF)",
    "bit 6 of a convolution's weight",
    "an op that is skipped",
)


def compiled(plant: Plant) -> bool:
    return plant.wrong is None and not plant.camera and plant.what not in ("XNNPACK's kernels", *QUICK)


def cases(*, slow: bool):
    return [pytest.param(plant, id=plant.name) for plant in PLANTS if compiled(plant) == slow]


@pytest.mark.parametrize("plant", cases(slow=False))
def test_a_planted_fault_is_the_first_answer(plant):
    assert fault_table.row(plant) in PAGE


@pytest.mark.slow
@pytest.mark.parametrize("plant", cases(slow=True))
def test_a_fault_planted_in_firmware_is_the_first_answer(plant):
    assert fault_table.row(plant) in PAGE


def test_the_page_shows_every_plant_and_every_hypothesis_is_planted():
    for plant in PLANTS:
        assert f"| {plant.answer} | {plant.what} | {plant.where} |" in PAGE
    assert {plant.answer for plant in PLANTS} >= {one.name for one in _diagnose.known()} - {
        "memory overwritten from outside"  # what is left where neither overlap nor a short arena fits
    }
    for one in _diagnose.known():
        assert one.fix.endswith(".")
        assert one.explanation


@pytest.mark.parametrize("fault", ["none", "none565", "noise"])
def test_a_camera_without_a_fault_raises_no_alarm_and_noise_is_unknown(fault):
    found = camera.captured(fault)
    if fault != "noise":
        assert found is None
    else:
        assert found is not None
        assert found.hypothesis is None
        assert found.cause.startswith("unknown")


def test_a_clean_device_raises_no_alarm():
    with device("clean", loaded()) as engine:
        assert diagnose(tflm(loaded()), engine, pictures(), preprocess=PREPROCESS) is None
        found = compare(tflm(loaded()), engine, pictures(6), expected=EXPECTED)
    assert (found.verdict, found.cause, found.diagnosis) == (RunVerdict.PASS, None, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["host", "emulator:nano33ble"])
def test_clean_runs_of_real_models_raise_no_alarm(shared_data, name, kind):
    file = shared_data / "mlperf_tiny" / f"{name}.tflite"
    with open_engine(f"tflm:{file}") as reference, open_engine(f"{kind}:{file}") as engine:
        shape = reference.graph.tensors[reference.graph.inputs[0]].shape
        images = np.random.default_rng(1).integers(-128, 128, (3, *shape[1:])).astype(np.int8)
        assert diagnose(reference, engine, images) is None


@pytest.mark.slow
def test_clean_runs_of_the_dog_cnn_raise_no_alarm(tmp_path):
    from firmware_tools.validate import validate

    found = validate("tfviz.zoo:dog_cnn", "dog-poses", out=tmp_path, limit=20, calibration=40).comparison
    assert (found.verdict, found.cause) == (RunVerdict.PASS, None)


@pytest.mark.parametrize("name", MODELS)
def test_the_ops_in_numpy_are_those_of_tensorflow_lite_micro(shared_data, name):
    engine = tflm(shared_data / "mlperf_tiny" / f"{name}.tflite")
    graph = engine.graph
    tensor = graph.tensors[graph.inputs[0]]
    x = np.random.default_rng(2).integers(-128, 128, tensor.shape).astype(np.int8)
    trace = engine.run({tensor.name: x})
    made = {graph.inputs[0]: x} | {op.outputs[0]: trace.step(op.index).output.values for op in graph.ops}
    known = [(op, kernel) for op in graph.ops if (kernel := kernel_of(graph, op)) is not None]
    assert {op.name for op in graph.ops} - {op.name for op, _ in known} <= {"RESHAPE", "SOFTMAX"}
    for op, kernel in known:
        given = [made[i] for i in op.inputs if not graph.tensors[i].is_constant]
        np.testing.assert_array_equal(kernel.run(given), made[op.outputs[0]], err_msg=f"op {op.index} {op.name}")


def test_single_rounding_is_proved_where_xnnpack_runs_resnet8(shared_data):
    file = shared_data / "mlperf_tiny" / "pretrainedResnet_quant.tflite"
    images = np.load(shared_data / "cifar10_subset.npz")["x_test"][:3]
    found = compare(tflm(file), litert_xnnpack(file), images)
    assert found.diagnosis is not None
    assert (found.diagnosis.hypothesis, found.diagnosis.share_restored) == ("single rounding", 1.0)
    restored, wrong = map(int, re.findall(r"restores (\d+) of the (\d+) ops", " ".join(found.diagnosis.evidence))[0])
    assert restored == wrong >= 7
    assert found.cause is not None
    assert found.cause.startswith("single rounding")
    assert '"hypothesis": "single rounding"' in found.to_json()


def test_a_comparison_tells_cause_evidence_and_what_to_do():
    from firmware_tools import _show

    frames = pictures()
    engine = Misfed(tflm(loaded()), frames, lambda p: integers(normalised(p[..., ::-1]), loaded()), PREPROCESS)
    found = compare(tflm(loaded()), engine, frames, expected=EXPECTED)
    assert found.verdict is RunVerdict.FAIL
    lines = _show.findings(found)
    assert any(line.startswith("cause: red and blue swapped: replayed, it restores all") for line in lines)
    assert any("agrees in 9 of 9 ops" in line for line in lines)
    assert "what to do: Give the channels in the order that the model was trained on (RGB or BGR)." in lines


class Scribbler:
    """An engine that spoils one op's output in a way that nobody has a name for."""

    name, kernels = "scribbler", "none"

    def __init__(self, op: int) -> None:
        self.inner, self.op = tflm(loaded()), op
        self.graph, self.fingerprint = self.inner.graph, self.inner.fingerprint

    def run(self, inputs, **_):
        trace = self.inner.run(inputs)
        step = trace.step(self.op)
        values = step.output.values.copy()
        chance = np.random.default_rng(int(np.abs(values.astype(int)).sum()))
        values.ravel()[chance.permutation(values.size)[: values.size // 3]] ^= 0x15
        spoilt = dataclasses.replace(step, outputs=(dataclasses.replace(step.output, values=values),))
        return dataclasses.replace(trace, steps=tuple(spoilt if s.index == self.op else s for s in trace.steps))

    def close(self) -> None:
        pass


@pytest.mark.parametrize("op", range(9))
def test_what_no_hypothesis_explains_is_unknown_with_the_evidence(op):
    found = diagnose(tflm(loaded()), Scribbler(op), pictures(2), preprocess=PREPROCESS)
    assert found is not None
    assert found.hypothesis is None
    assert found.cause.startswith("unknown")
    assert found.op == op
    assert f"op {op} (" in found.evidence[0]
    assert found.share_restored < 0.9


def test_a_model_of_several_inputs_and_engines_without_a_model_are_refused():
    nameless = dataclasses.make_dataclass("Nameless", ["name"])("x")
    with pytest.raises(InputError, match="Neither engine tells its model"):
        diagnose(nameless, nameless, pictures())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="takes captures"):
        _diagnose.diagnose_capture([], loaded())


def test_memory_is_read_just_before_an_op():
    made, plan = loaded(), memory.plan(loaded())
    with device("clean", made) as engine:
        name = made.tensors[made.inputs[0]].name
        x = integers(normalised(pictures(1)[0]), made)[None]
        right = tflm(made).run({name: x})
        held = engine.peek({name: x}, 2)
    assert set(held) == set(made.ops[2].inputs) <= set(plan.tensors)
    for index, values in held.items():
        maker = next(op for op in made.ops if index in op.outputs)
        np.testing.assert_array_equal(values, right.step(maker.index).output.values)


def test_packing_and_unpacking_rgb565_gives_every_colour_back():
    colours = np.arange(2**16, dtype=np.uint16)
    np.testing.assert_array_equal(pack_565(unpack_565(colours)), colours)


def test_a_replay_that_spoils_what_was_right_restores_less():
    right, judged = np.arange(10), np.arange(10)
    judged[:4] += 1
    assert share_restored([right], [judged], [judged]) == 1
    assert share_restored([right], [judged], [right]) == 0
    worse: Array = judged.copy()
    worse[8] = 99
    assert share_restored([right], [judged], [worse]) == 0.75


def test_the_model_of_the_plants_is_what_the_plants_need():
    made = loaded()
    assert [op.name for op in made.ops][:6] == [
        "CONV_2D",
        "CONV_2D",
        "ADD",
        "DEPTHWISE_CONV_2D",
        "AVERAGE_POOL_2D",
        "MAX_POOL_2D",
    ]
    assert model().exists()
