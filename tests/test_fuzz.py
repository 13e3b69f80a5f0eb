"""Bad input: real models with bytes changed are taken or refused in a sentence, by all that open a model."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_kernels import MLPERF
from tflite_files import FileBuilder

from firmware_tools import graph, reference
from tfviz.errors import InputError

FUZZER = Path(__file__).with_name("fuzz_models.py")


def fuzz(model, folder, seed, count):
    command = [sys.executable, str(FUZZER), str(model), str(folder), str(seed), str(count)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    said = json.loads(done.stdout)
    assert said["finds"] == []
    assert sum(said["reached"].values()) == count
    assert said["reached"]["refused"] > count / 3
    assert said["reached"]["C+tflm+litert"] > count / 20


@pytest.mark.parametrize("name", MLPERF[:2])
def test_changed_models_are_taken_or_refused(name, shared_data, tmp_path):
    fuzz(shared_data / f"mlperf_tiny/{name}.tflite", tmp_path, 7, 150)


@pytest.mark.slow
@pytest.mark.parametrize("name", MLPERF)
def test_many_changed_models_are_taken_or_refused(name, shared_data, tmp_path):
    fuzz(shared_data / f"mlperf_tiny/{name}.tflite", tmp_path, 1, 3000)


# What the fuzzer found, made small.


needs_tflm = pytest.mark.skipif(not reference.has_tflm(), reason="tflite-micro has no wheel for this platform")


@pytest.fixture(params=[pytest.param("tflm", marks=needs_tflm), "litert", "litert_xnnpack"])
def interpreter(request):
    return getattr(reference, request.param)


def softmax_file(scale=0.1, kind="SoftmaxOptions", name="scores", **options):
    file = FileBuilder()
    source = file.tensor((1, 4), scale=scale, name=name)
    target = file.tensor((1, 4), scale=1 / 256, zero_point=-128)
    file.op("SOFTMAX", [source], [target], kind, **options)
    return file.pack([source], [target])


def test_options_of_another_op_and_missing_ones_are_refused():
    """LiteRT and TensorFlow Lite Micro take zeros for them, and abort on a softmax of beta 0."""
    with pytest.raises(InputError, match=r"SOFTMAX\) carries the options of another op \(FullyConnectedOptions\)"):
        graph.load(softmax_file(kind="FullyConnectedOptions"))
    with pytest.raises(InputError, match=r"op 0 \(SOFTMAX\) lacks its options"):
        graph.load(softmax_file(kind=""))


@pytest.mark.parametrize("options", [{"beta": 2.5e-44}, {"beta": 0.0}, {"beta": 1e-5, "scale": 1e-4}])
def test_a_softmax_on_which_interpreters_abort_never_reaches_them(interpreter, options):
    with pytest.raises(InputError, match="too small to tell values apart"):
        interpreter(softmax_file(**options))


@pytest.mark.parametrize("name", ["ADD", "SUB"])
@pytest.mark.parametrize("without", [0, 1, 2])
def test_sums_of_integers_without_a_scale_never_reach_the_interpreters(interpreter, name, without):
    """They abort on them."""
    file = FileBuilder()
    scales = [None if position == without else 0.5 for position in range(3)]
    a, b, target = (file.tensor((1, 4), scale=scale) for scale in scales)
    file.op(name, [a, b], [target], f"{name.title()}Options")
    with pytest.raises(InputError, match=rf"no scale for the int8 tensor 'tensor_{without}' of op 0 \({name}\)"):
        interpreter(file.pack([a, b], [target]))


def test_a_softmax_without_a_scale_never_reaches_the_interpreters(interpreter):
    with pytest.raises(InputError, match=r"no scale for the int8 tensor 'scores' of op 0 \(SOFTMAX\)"):
        interpreter(softmax_file(scale=None))


def test_shapes_that_an_op_does_not_make_are_refused_before_anything_runs(interpreter):
    """A batch of a million: its run took three gigabytes and a minute before it was refused."""
    file = FileBuilder()
    source = file.tensor((2**20 + 1, 640), scale=0.5)
    weights = file.tensor((4, 640), scale=0.5, data=np.ones((4, 640), np.int8))
    target = file.tensor((1, 4), scale=0.5)
    file.op("FULLY_CONNECTED", [source, weights, -1], [target], "FullyConnectedOptions")
    with pytest.raises(InputError, match=r"op 0 \(FULLY_CONNECTED\) makes \[1048577, 4\]; the file is damaged"):
        interpreter(file.pack([source], [target]))


@needs_tflm
def test_what_neither_litert_nor_the_engine_takes_is_not_given_to_tflm():
    """A convolution turned into one without an input: TensorFlow Lite Micro reads it all the same."""
    file = FileBuilder()
    source = file.tensor((1, 4, 4, 1), scale=0.5)
    kernel = file.tensor((1, 1, 1, 1), scale=0.5, data=np.ones((1, 1, 1, 1), np.int8))
    target = file.tensor((1, 4, 4, 1), scale=0.5)
    steps = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    file.op("CONV_2D", [-1, kernel, -1], [target], "Conv2DOptions", **steps)
    with pytest.raises(InputError, match=r"not given to TensorFlow Lite Micro.*has no input 0"):
        reference.tflm(file.pack([source], [target]))


def test_a_name_of_control_characters_and_thousands_of_letters_is_still_one_sentence():
    data = softmax_file(name="a\nb\x1b[2J" + "x" * 9000, scale=float("nan"))
    with pytest.raises(InputError) as caught:
        graph.load(data)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()
