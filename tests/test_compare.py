"""Errors, verdicts and agreement: metrics against hand-made numbers, verdicts against planted faults."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from chain import NAMES, PREPROCESS, keras_file, pictures, tflite_file
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from firmware_tools import metrics, results
from firmware_tools._compare import compare
from firmware_tools.engines import open_engine
from firmware_tools.metrics import Reals, Steps
from firmware_tools.pictures import expectation
from firmware_tools.reference import DesktopEngine
from firmware_tools.results import RunVerdict, Verdict
from tfviz import data
from tfviz.errors import InputError, LinkError
from tfviz.trace import Array, Trace


def expected():
    return expectation([tflite_file()], (1, 16, 16, 3))


class Faulty:
    """LiteRT with a fault planted in one op: `harm` changes that op's output, and what comes after runs on."""

    name = "faulty"
    kernels = "LiteRT with a fault planted"

    def __init__(self, op: int, harm: Callable[[Array], Array], *, forcible: bool = True) -> None:
        engine = open_engine(f"litert:{tflite_file()}")
        assert isinstance(engine, DesktopEngine)
        self.inner, self.op, self.harm, self.forcible = engine, op, harm, forcible
        self.graph, self.fingerprint = engine.graph, engine.fingerprint
        self.forced_runs = 0

    def run(
        self, inputs: Mapping[str, Array], *, reference: Trace | None = None, forced: bool = False, read: bool = True
    ) -> Trace:
        del read
        if forced and not self.forcible:
            raise InputError("This engine cannot be written to.")
        if forced:
            self.forced_runs += 1
            trace = self.inner.run(inputs, reference=reference, forced=True)
            return self.harmed(trace)
        trace = self.harmed(self.inner.run(inputs))
        # What follows the fault: each later op alone, on what the one before gave.
        for _ in range(self.op + 1, len(trace.steps)):
            later = self.inner.run(inputs, reference=trace, forced=True)
            kept = trace.steps[: self.op + 1]
            trace = dataclasses.replace(trace, steps=(*kept, *later.steps[self.op + 1 :]), outputs=later.outputs)
        return trace

    def harmed(self, trace: Trace) -> Trace:
        step = trace.steps[self.op]
        broken = dataclasses.replace(step.output, values=self.harm(step.output.values.copy()))
        steps = list(trace.steps)
        steps[self.op] = dataclasses.replace(step, outputs=(broken,))
        return dataclasses.replace(trace, steps=tuple(steps))

    def close(self) -> None:
        self.inner.close()

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def add(amount: int) -> Callable[[Array], Array]:
    """Adds to one value that is not saturated."""

    def harm(values: Array) -> Array:
        place = np.unravel_index(int(np.argmin(np.abs(values.astype(int)))), values.shape)
        values[place] += amount
        return values

    return harm


def against_litert(engine, **options):
    with open_engine(f"litert:{tflite_file()}") as reference:
        return compare(reference, engine, pictures(3), expected=expected(), **options)


def test_an_engine_against_itself_is_exact_everywhere():
    with open_engine(f"litert:{tflite_file()}") as engine:
        found = against_litert(engine, labels=[0, 1, 2])
    assert found.verdict is RunVerdict.PASS
    assert (found.exact_ops, found.total_ops, found.images) == (6, 6, 3)
    for op in found.ops:
        assert (op.verdict, op.exact_share, op.max_lsb, op.local_max_lsb) == (Verdict.EXACT, 1.0, 0, 0)
        assert (op.sqnr_db, op.rmse_scale, op.max_abs, op.bias) == (math.inf, 0.0, 0.0, 0.0)
    assert found.top1_agreement == 1.0
    assert (found.first_divergent, found.worst) == (None, None)
    assert set(found.accuracy) == {"litert (reference)", "litert (engine)"}


def test_a_fault_is_found_where_it_is_and_what_follows_inherits_it():
    engine = Faulty(2, add(40))
    found = against_litert(engine)
    verdicts = [op.verdict for op in found.ops]
    assert verdicts[:3] == [Verdict.EXACT, Verdict.EXACT, Verdict.DIVERGED]
    assert set(verdicts[3:]) <= {Verdict.INHERITED, Verdict.EXACT}
    assert verdicts[3] is Verdict.INHERITED
    assert (found.verdict, found.first_divergent) == (RunVerdict.FAIL, 2)
    broken = found.ops[2]
    assert (broken.max_lsb, broken.local_max_lsb) == (40, 40)
    assert broken.exact_share == pytest.approx(1 - 1 / (4 * 4 * 8))
    assert broken.where is not None
    assert broken.where[0] == 0
    assert found.ops[3].local_exact_share == 1.0
    assert engine.forced_runs == 3


def test_one_lsb_is_rounding_and_passes_where_it_is_tolerated():
    found = against_litert(Faulty(0, add(1)))
    assert found.ops[0].verdict is Verdict.ROUNDING
    assert found.verdict is RunVerdict.FAIL
    assert against_litert(Faulty(0, add(1)), tolerate="rounding").verdict is RunVerdict.PASS
    assert against_litert(Faulty(0, add(2)), tolerate="rounding").verdict is RunVerdict.FAIL


def test_an_engine_that_cannot_be_forced_leaves_the_local_error_unknown():
    found = against_litert(Faulty(2, add(40), forcible=False))
    assert found.ops[2].verdict is Verdict.UNFORCED
    assert (found.ops[2].local_max_lsb, found.ops[2].local_exact_share) == (None, None)
    assert found.ops[0].verdict is Verdict.EXACT
    assert any("Local errors are unknown" in note for note in found.notes)


def test_overwritten_memory_is_named_as_the_cause():
    from firmware_tools.devices.device import OverwrittenError

    class Clobbered(Faulty):
        def run(self, inputs, *, reference=None, forced=False, read=True):
            if forced:
                raise OverwrittenError("tensor 4 was overwritten before op 3 could read it.")
            return super().run(inputs, reference=reference, read=read)

    found = against_litert(Clobbered(2, add(40)))
    assert found.cause == "tensor 4 was overwritten before op 3 could read it."
    assert found.verdict is RunVerdict.FAIL

    class Silent(Faulty):
        def run(self, *_: object, **__: object) -> Trace:
            raise LinkError("The device went silent.")

    with pytest.raises(LinkError, match="silent"):
        against_litert(Silent(2, add(1)))


def test_float_against_integers_is_measured_and_gets_no_verdict():
    with open_engine(f"keras:{keras_file()}") as real, open_engine(f"litert:{tflite_file()}") as integer:
        found = compare(real, integer, data.load("dog-poses", split="test", limit=24, size=16), expected=expected())
        swapped = compare(integer, real, data.load("dog-poses", split="test", limit=24, size=16), expected=expected())
    assert found.verdict is RunVerdict.MEASURED
    assert [op.keras_layer for op in found.ops] == ["relu", "pool", "second", "flatten", "head:pre", "head"]
    for op in found.ops:
        assert op.verdict is Verdict.MEASURED
        assert op.max_lsb is None
        assert 15 < op.sqnr_db < 60
        assert 0.99 < op.cosine <= 1
        # An ideal quantiser has 0.289; what was rounded before adds to it.
        assert 0.2 < op.rmse_scale < 3
    assert found.class_names == NAMES
    assert found.confusion["keras"].sum() == 24
    assert found.confusion["keras"].trace() / 24 == pytest.approx(found.accuracy["keras"])
    assert [op.sqnr_db for op in swapped.ops] == pytest.approx([op.sqnr_db for op in found.ops])
    assert found.top1_agreement == swapped.top1_agreement


def test_with_a_float_model_beside_them_two_integer_engines_get_both_kinds_of_metrics():
    with (
        open_engine(f"tflm:{tflite_file()}") as micro,
        open_engine(f"litert-xnnpack:{tflite_file()}") as fast,
        open_engine(f"keras:{keras_file()}") as real,
    ):
        found = compare(micro, fast, pictures(20), float_engine=real, expected=expected(), samples=2)
    assert found.measured_against == "keras"
    assert found.worst_sqnr.sqnr_db < math.inf
    assert {op.verdict for op in found.ops} <= {Verdict.EXACT, Verdict.ROUNDING, Verdict.INHERITED}
    assert found.float_top1_agreement is not None
    assert [sample.name for sample in found.samples] == ["image 0", "image 1"]
    assert len(found.samples[0].float.steps) == 10
    np.testing.assert_array_equal(found.samples[1].image, pictures(20)[1])


def test_a_crew_gives_the_same_answers_in_the_same_order():
    engines = [open_engine(f"litert:{tflite_file()}") for _ in range(4)]
    alone = compare(engines[0], engines[1], pictures(40), labels=np.arange(40) % 3, expected=expected())
    crew = compare(
        engines[0], engines[1], pictures(40), labels=np.arange(40) % 3, expected=expected(), crew=engines[2:]
    )
    assert json.loads(crew.to_json())["ops"] == json.loads(alone.to_json())["ops"]
    assert {k: v.tolist() for k, v in crew.confusion.items()} == {k: v.tolist() for k, v in alone.confusion.items()}


def test_int8_data_are_fed_as_they_are():
    """Pixels and the integers that they become give the same comparison."""
    images = pictures(4)
    with open_engine(f"litert:{tflite_file()}") as one, open_engine(f"keras:{keras_file()}") as real:
        tensor = one.graph.tensors[one.graph.inputs[0]]
        from firmware_tools.quantize import model_input

        integers = model_input(images, tensor, preprocess=PREPROCESS)
        by_pixels = compare(real, one, images, expected=expected())
        by_integers = compare(real, one, integers, expected=expected())
    assert by_integers.samples[0].image is None
    np.testing.assert_array_equal(
        by_pixels.samples[0].engine.outputs[0].values, by_integers.samples[0].engine.outputs[0].values
    )


def test_the_json_is_strict_and_says_infinity_in_words():
    with open_engine(f"litert:{tflite_file()}") as engine:
        text = against_litert(engine).to_json()
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert read["ops"][0]["sqnr_db"] == "inf"
    assert (read["verdict"], read["exact_ops"], read["total_ops"]) == ("PASS", 6, 6)
    assert "samples" not in read
    named = {
        "index",
        "op",
        "name",
        "keras_layer",
        "verdict",
        "bytes",
        "instructions",
        "cycles",
        "exact_share",
        "max_lsb",
    }
    assert named <= set(read["ops"][0])
    assert {"instructions", "engines", "flash_bytes", "ram_bytes", "arena_bytes", "cause"} <= set(read)


def test_different_models_are_refused_in_a_sentence(tmp_path):
    from firmware_tools.convert import convert
    from tfviz import zoo

    other = convert(zoo.dog_cnn((16, 16, 3)), pictures(2), out=tmp_path / "other.tflite")
    with open_engine(f"litert:{other}") as engine, pytest.raises(InputError, match="run different models: op 2"):
        against_litert(engine)
    with open_engine(f"litert:{tflite_file()}") as engine:
        with pytest.raises(InputError, match="no images"):
            compare(engine, engine, pictures(0), expected=expected())
        with pytest.raises(InputError, match="as many labels"):
            compare(engine, engine, pictures(2), labels=[1], expected=expected())
        with pytest.raises(InputError, match="Tolerate 'much'"):
            against_litert(engine, tolerate="much")
        with pytest.raises(InputError, match="the model's input serve_image"):
            compare(
                engine,
                engine,
                np.zeros((1, 8, 9, 4), np.uint8),
                expected=dataclasses.replace(expected(), preprocess=None),
            )


def test_nan_and_infinity_are_counted_and_carried_through():
    sums = metrics.add_reals(Reals(), np.array([1.0, np.nan, np.inf]), np.array([1.0, 2.0, np.inf]))
    assert (sums.nans, sums.infinities) == (1, 2)
    assert math.isnan(sums.sqnr_db)
    assert math.isnan(sums.rmse)
    assert math.isnan(sums.max_abs)


def test_sqnr_at_the_edges():
    zero = np.zeros(4)
    assert metrics.add_reals(Reals(), zero, zero).sqnr_db == math.inf
    assert metrics.add_reals(Reals(), zero, zero + 1).sqnr_db == -math.inf
    assert math.isnan(metrics.add_reals(Reals(), zero, zero).cosine)
    assert metrics.add_reals(Reals(), zero + 2, zero - 2).cosine == -1.0


def test_an_ideal_quantiser_has_an_rmse_of_0_289_of_its_scale():
    x = np.random.default_rng(0).uniform(-1, 1, 200_000)
    scale = 0.01
    sums = metrics.add_reals(Reals(), x, np.round(x / scale) * scale)
    assert sums.rmse / scale == pytest.approx(1 / math.sqrt(12), rel=0.01)


@given(
    arrays(np.int8, (3, 2, 5), elements=st.integers(-128, 127)),
    arrays(np.int8, (3, 2, 5), elements=st.integers(-128, 127)),
)
def test_sums_over_images_are_those_of_all_images_at_once(right, judged):
    steps, reals = Steps(), Reals()
    for image in range(3):
        steps = metrics.add_steps(steps, right[image : image + 1], judged[image : image + 1], image)
        reals = metrics.add_reals(reals, right[image], judged[image])
    apart = np.abs(judged.astype(int) - right.astype(int))
    assert (steps.values, steps.exact, steps.within_one) == (30, (apart == 0).sum(), (apart <= 1).sum())
    assert steps.worst == apart.max()
    if steps.where is not None:
        assert apart[steps.where] == apart.max()
    whole = metrics.add_reals(Reals(), right, judged)
    assert dataclasses.astuple(reals) == pytest.approx(dataclasses.astuple(whole))


def test_a_float_model_against_itself_is_exact_layer_by_layer():
    with open_engine(f"keras:{keras_file()}") as one, open_engine(f"keras:{keras_file()}") as other:
        found = compare(one, other, pictures(3), expected=expected())
    assert (found.verdict, found.exact_ops, found.total_ops) == (RunVerdict.PASS, 10, 10)
    assert found.measured_against == "keras (reference)"


def test_pixels_that_the_input_cannot_hold_are_told_of(tmp_path):
    """A model of 0..1 that gets 0..255, since nothing beside it says what it expects."""
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(tflite_file().read_bytes())
    with open_engine(f"litert:{bare}") as engine:
        found = compare(engine, engine, pictures(2))
        told = compare(engine, engine, pictures(2), expected=expected())
    assert "No preprocessing is recorded" in found.notes[0]
    assert "lies at the limits of its range" in found.notes[1]
    assert told.notes == ()


def test_resnet8_under_xnnpack_inherits_in_its_additions_what_its_convolutions_round(shared_data):
    folder = shared_data / "mlperf_tiny"
    photographs = data.load(shared_data / "cifar10_subset.npz", split="test", limit=3).whole().images
    file = folder / "pretrainedResnet_quant.tflite"
    with open_engine(f"tflm:{file}") as micro, open_engine(f"litert-xnnpack:{file}") as fast:
        found = compare(micro, fast, photographs)
    additions = [op for op in found.ops if op.op == "ADD"]
    assert len(additions) == 3
    for op in additions:
        assert (op.verdict, op.local_max_lsb, op.local_exact_share) == (Verdict.INHERITED, 0, 1.0)
        assert op.max_lsb >= 2
    first = found.ops[0]
    assert (first.verdict, first.max_lsb, first.local_max_lsb) == (Verdict.ROUNDING, 1, 1)
    assert found.exact_ops == 0


RECORDS = (
    results.OpResult,
    results.Channels,
    results.EngineInfo,
    results.DataInfo,
    results.Comparison,
    results.Matrix,
    results.Pair,
    results.PairOp,
    results.Threshold,
)


def test_every_field_of_the_json_is_described_in_the_documentation():
    text = (Path(__file__).parents[1] / "docs" / "report-json.md").read_text()
    for record in RECORDS:
        for field in dataclasses.fields(record):
            assert field.name == "samples" or f"`{field.name}`" in text, field.name
    for verdict in [*results.Verdict, *results.RunVerdict]:
        assert f"`{verdict.value}`" in text
