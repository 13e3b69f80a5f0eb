"""The door: convert (or take a `.tflite`), measure, explain, try."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from firmware_tools import graph as graphs
from firmware_tools.advice import causes, measure
from firmware_tools.advice.records import Advice
from firmware_tools.advice.trials import MORE, Setting, scores, scoring_op, trials
from firmware_tools.convert import CALIBRATION_IMAGES, input_shape
from firmware_tools.pictures import calibration_split, expectation, open_data
from firmware_tools.reference import KerasEngine, litert_xnnpack
from firmware_tools.results import DataInfo
from tfviz.errors import InputError

if TYPE_CHECKING:
    import keras

    from tfviz.data import Dataset


def advise(
    model: "str | os.PathLike[str] | keras.Model",
    data: "str | os.PathLike[str] | Dataset",
    *,
    out: str | os.PathLike[str],
    calibration_data: "str | Dataset | None" = None,
    calibration: int = CALIBRATION_IMAGES,
    split: str | None = "test",
    limit: int | None = 100,
    tflite: str | os.PathLike[str] | None = None,
    try_out: bool = False,
    step: Callable[[str], object] = lambda _: None,
) -> Advice:
    """Say which layers of a model lose most as int8, why, and what helps.

    Args:
        model: a `.keras` or `.h5` file, `module:function`, or a built Keras model; it is not changed.
        data: what it is judged on: its part `split`, the first `limit` images.
        out: folder for the `.tflite` files that are made.
        calibration_data: what activations are measured on; default: the part `calibration` of `data`.
        calibration: how many images of it.
        tflite: judge this int8 file, which was made of the model, instead of converting.
        try_out: also convert again in other ways (more calibration images, equalised, the worst layers in float,
            int16 activations), and measure what each gains and costs.
        step: told what begins.

    Raises:
        InputError: anything that cannot be used.
    """
    step("loading the model")
    float_engine = KerasEngine(model)
    paths = [Path(model)] if isinstance(model, str | os.PathLike) else []
    expected = expectation([*paths, *([Path(tflite)] if tflite else [])], input_shape(float_engine.model))
    source = calibration_data or _text(data)
    part = calibration_split(source, _text(data))
    judged = open_data(_text(data), expected, split=split, limit=limit)
    calibrating = open_data(source, expected, split=part, limit=calibration)
    more = open_data(source, expected, split=part, limit=MORE * calibration)
    if calibrating.identity == judged.identity:
        raise InputError("The images for calibration are those that are judged on; give others by --calibration.")
    setting = Setting(
        float_engine, expected, calibrating, more if len(more) > len(calibrating) else None, judged, Path(out)
    )
    if tflite is None:
        step("converting to int8")
    baseline = Path(tflite) if tflite else setting.convert(float_engine.model, "int8", calibrating)
    graph = graphs.load(baseline)
    step("measuring the calibration images")
    seen = measure.seen(float_engine, calibrating, expected)
    step("measuring every layer")
    with litert_xnnpack(baseline) as engine:
        layers = measure.losses(float_engine, engine, judged, expected, seen)
    layers = causes.explained(layers, graph, len(calibrating))
    address = next((layer.layer for layer in layers if layer.index == scoring_op(graph)), None)
    right = scores(setting, address)
    largest = {name: one.largest for name, one in seen.items()}
    made, notes = trials(setting, baseline, layers, right, largest, step) if try_out else ((), ())
    return Advice(
        model=str(model) if isinstance(model, str | os.PathLike) else float_engine.model.name,
        layers=layers,
        advice=causes.advice(layers),
        trials=made,
        data=(
            DataInfo("evaluation", judged.spec, judged.split, len(judged), judged.identity),
            DataInfo("calibration", calibrating.spec, calibrating.split, len(calibrating), calibrating.identity),
        ),
        float_accuracy=right.accuracy,
        notes=notes,
    )


def _text(data: "str | os.PathLike[str] | Dataset") -> "str | Dataset":
    return os.fspath(data) if isinstance(data, os.PathLike) else data
