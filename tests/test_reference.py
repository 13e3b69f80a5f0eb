"""The desktop engines: what each kernel set computes, forced runs, and names of engines."""

import keras
import numpy as np
import pytest
from chain import keras_file, pictures, tflite_file
from hypothesis import example, given
from hypothesis import strategies as st

from firmware_tools import graph, reference
from firmware_tools.engines import KINDS, StandIn, TraceEngine, open_engine, parse
from firmware_tools.quantize import model_input
from tfviz import maps
from tfviz.errors import InputError


def inputs(engine, seed: int = 0) -> dict[str, np.ndarray]:
    tensor = engine.graph.tensors[engine.graph.inputs[0]]
    values = np.random.default_rng(seed).integers(-128, 128, tensor.shape).astype(np.int8)
    return {tensor.name: values}


def apart(one, other) -> list[int]:
    """The largest difference of each op, in LSB."""
    return [
        int(np.abs(a.output.values.astype(int) - b.output.values).max())
        for a, b in zip(one.steps, other.steps, strict=True)
    ]


# Ops that differ from TensorFlow Lite Micro over five random inputs, and by how many LSB at most (with room, for a
# softmax at the end makes much of little).
DIFFERENCES = {
    ("pretrainedResnet_quant", "litert"): (range(2), 1),
    ("pretrainedResnet_quant", "litert-xnnpack"): (range(16, 17), 40),
    ("kws_ref_model", "litert"): (range(1), 0),
    ("kws_ref_model", "litert-xnnpack"): (range(11, 14), 16),
    ("ad01_int8", "litert"): (range(9, 11), 5),
    ("ad01_int8", "litert-xnnpack"): (range(9, 11), 5),
}


@pytest.mark.parametrize(("model", "kind"), DIFFERENCES)
def test_kernel_sets_differ_where_they_are_known_to(shared_data, model, kind):
    path = shared_data / "mlperf_tiny" / f"{model}.tflite"
    with open_engine(f"tflm:{path}") as micro, open_engine(f"{kind}:{path}") as engine:
        found = np.array([apart(micro.run(inputs(micro, i)), engine.run(inputs(micro, i))) for i in range(5)])
    counts, most = DIFFERENCES[model, kind]
    assert (found.max(axis=0) > 0).sum() in counts
    assert found.max() <= most


def test_on_resnet8_xnnpack_s_convolutions_round_otherwise_and_its_adds_inherit(shared_data):
    """The local error says which ops add an error of their own: never the three ADDs, pooling, RESHAPE or SOFTMAX."""
    path = shared_data / "mlperf_tiny" / "pretrainedResnet_quant.tflite"
    with open_engine(f"tflm:{path}") as micro, open_engine(f"litert-xnnpack:{path}") as engine:
        given = [inputs(micro, seed) for seed in range(6)]
        references = [micro.run(image) for image in given]
        right = references[0]
        pairs = list(zip(given, references, strict=True))
        forced = [apart(known, engine.run(image, reference=known, forced=True)) for image, known in pairs]
        local = np.max(forced, axis=0)
        free = np.max([apart(known, engine.run(image)) for image, known in pairs], axis=0)
    assert [step.index for step, own in zip(right.steps, local, strict=True) if own == 0 and step.op == "CONV_2D"] == []
    for index in (3, 7, 11):
        assert (right.steps[index].op, local[index]) == ("ADD", 0)
        assert free[index] > 1
    assert local.max() == 1


@pytest.mark.parametrize("kind", ["tflm", "litert", "litert-xnnpack"])
def test_a_run_forced_onto_itself_changes_nothing(kind):
    with open_engine(f"{kind}:{tflite_file()}") as engine:
        free = engine.run(inputs(engine))
        forced = engine.run(inputs(engine), reference=free, forced=True)
    assert apart(free, forced) == [0] * len(free.steps)
    assert forced.forced
    np.testing.assert_array_equal(free.outputs[0].values, forced.outputs[0].values)


def test_every_engine_names_its_kernels_and_the_model():
    loaded = graph.load(tflite_file())
    for kind, kernels in [
        ("tflm", "TensorFlow Lite Micro reference kernels, tflite-micro 0."),
        ("litert", "LiteRT reference kernels, ai-edge-litert "),
        ("litert-xnnpack", "LiteRT XNNPACK kernels, ai-edge-litert "),
    ]:
        with open_engine(f"{kind}:{tflite_file()}") as engine:
            trace = engine.run(inputs(engine))
        assert trace.engine == kind
        assert trace.kernels.startswith(kernels)
        assert trace.fingerprint == loaded.fingerprint
        assert [step.op for step in trace.steps] == [op.name for op in loaded.ops]


def test_keras_steps_are_the_layers_and_what_comes_before_their_activation():
    x = pictures(3).astype(np.float32) / 255
    with open_engine(f"keras:{keras_file()}") as engine:
        traces = engine.run_batch({engine.inputs[0].name: x})
        model = engine.model
        alone = engine.run({engine.inputs[0].name: x[1:2]})
    names = [step.name for step in traces[0].steps]
    assert names == [
        "first", "norm", "relu", "pool", "second:pre", "second", "dropout", "flatten", "head:pre", "head",
    ]  # fmt: skip
    known = maps.feature_maps(model, x, layers=["relu", "head"])
    for i, trace in enumerate(traces):
        np.testing.assert_array_equal(trace.step(2).output.values[0], known["relu"][i])
        np.testing.assert_array_equal(trace.outputs[0].values[0], known["head"][i])
        before, after = trace.step(4).output.values, trace.step(5).output.values
        np.testing.assert_array_equal(np.maximum(before, 0), after)
    np.testing.assert_allclose(alone.outputs[0].values, traces[1].outputs[0].values, atol=1e-6)


def test_a_recorded_trace_replays_its_own_input_and_no_other(tmp_path):
    path = tmp_path / "recorded.npz"
    with open_engine(f"litert:{tflite_file()}") as engine:
        given = inputs(engine)
        recorded = engine.run(given)
    recorded.save(path)
    with open_engine(f"trace:{path}") as replay:
        assert isinstance(replay, TraceEngine)
        assert apart(replay.run(given), recorded) == [0] * len(recorded.steps)
        with pytest.raises(InputError, match="recorded with another input"):
            replay.run(inputs(engine, seed=1))
        with pytest.raises(InputError, match="cannot be given other inputs"):
            replay.run(given, reference=recorded, forced=True)


def test_where_tflm_has_no_wheel_our_own_engine_stands_in_and_says_so(monkeypatch):
    monkeypatch.setattr(reference, "has_tflm", lambda: False)
    with open_engine(f"litert:{tflite_file()}") as litert, open_engine(f"tflm:{tflite_file()}") as engine:
        assert isinstance(engine, StandIn)
        trace = engine.run(inputs(engine))
        assert apart(trace, litert.run(inputs(engine)))[:4] == [0] * 4
    assert trace.engine == "tflm"
    assert "in place of TensorFlow Lite Micro" in trace.kernels


def test_wrong_inputs_are_refused_in_a_sentence():
    with open_engine(f"litert:{tflite_file()}") as engine:
        good = inputs(engine)
        name = next(iter(good))
        with pytest.raises(InputError, match="inputs are named"):
            engine.run({"other": good[name]})
        with pytest.raises(InputError, match="must be int8 of shape"):
            engine.run({name: good[name].astype(np.float32)})
        with pytest.raises(InputError, match="needs a reference"):
            engine.run(good, forced=True)
    with open_engine(f"keras:{keras_file()}") as engine:
        with pytest.raises(InputError, match="must be float of shape"):
            engine.run({engine.inputs[0].name: pictures(1)})
        with pytest.raises(InputError, match="cannot be forced"):
            engine.run({}, forced=True)


def test_the_engines_say_nothing_on_standard_error(capfd):
    for kind in ("tflm", "litert", "litert-xnnpack"):
        with open_engine(f"{kind}:{tflite_file()}") as engine:
            engine.run(inputs(engine))
    assert capfd.readouterr() == ("", "")


def test_an_op_that_an_interpreter_does_not_have_is_one_sentence(tmp_path):
    keras.utils.set_random_seed(0)
    from firmware_tools.convert import convert

    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Lambda(lambda x: keras.ops.sign(x))])
    made = convert(model, mode="float32", out=tmp_path / "sign.tflite")
    with pytest.raises(InputError, match=r"TensorFlow Lite Micro cannot run sign: .*SIGN"):
        open_engine(f"tflm:{made}")


@given(st.sampled_from(KINDS), st.text(min_size=1, max_size=20))
@example("emulator", ":0")
def test_a_name_is_parsed_or_refused_but_never_fails_otherwise(kind, rest):
    try:
        spec = parse(f"{kind}:{rest}")
    except InputError:
        return
    assert spec.kind == kind
    on_board = f"{spec.board}:{spec.file}" if spec.board else spec.file
    assert rest == (spec.url if kind == "serial" else on_board)


def test_unknown_engines_are_refused_with_near_names(tmp_path):
    with pytest.raises(InputError, match="Did you mean litert"):
        parse("litrt:m.tflite")
    with pytest.raises(InputError, match=r"Did you mean tflm:dog\.tflite"):
        parse("dog.tflite")
    with pytest.raises(InputError, match="lacks a machine or a file; expected qemu:MACHINE:FILE"):
        parse("qemu:m.tflite")
    with pytest.raises(InputError, match="lacks a board or a file"):
        parse("emulator:m.tflite")
    with pytest.raises(InputError, match="names no file"):
        parse("tflm:")
    with pytest.raises(InputError, match="There is no file"):
        open_engine(f"tflm:{tmp_path / 'absent.tflite'}")
    with pytest.raises(InputError, match=r"Did you mean .*small\.tflite"):
        open_engine(f"tflm:{tflite_file().with_name('smal.tflite')}")
    with pytest.raises(InputError, match="no board 'nano34'"):
        open_engine(f"emulator:nano34:{tflite_file()}")
    with pytest.raises(InputError, match="needs the model"):
        open_engine("serial:/dev/null")


def test_a_float_model_runs_on_litert_and_tflm_alike(tmp_path):
    from firmware_tools.convert import convert

    made = convert(keras_file(), mode="float32", out=tmp_path / "float.tflite")
    x = pictures(1).astype(np.float32) / 255
    with open_engine(f"keras:{keras_file()}") as real:
        expected = real.run({real.inputs[0].name: x}).outputs[0].values
    for kind in ("tflm", "litert"):
        with open_engine(f"{kind}:{made}") as engine:
            tensor = engine.graph.tensors[engine.graph.inputs[0]]
            trace = engine.run({tensor.name: model_input(x, tensor)})
        np.testing.assert_allclose(trace.outputs[0].values, expected, atol=1e-5)


def test_a_file_whose_shapes_contradict_its_ops_never_reaches_tensorflow_lite_micro():
    """TensorFlow Lite Micro believes the shapes in the file and would write past the end of its arena."""
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers import Builder

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite_file().read_bytes(), 0))
    pool = model.subgraphs[0].operators[1].outputs[0]
    model.subgraphs[0].tensors[pool].shape = [1, 8, 8, 39_184]
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(InputError, match=r"gives tensor .* the shape \[1, 8, 8, 39184\].*; the file is damaged"):
        reference.tflm(bytes(builder.Output()))
