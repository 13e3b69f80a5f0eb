"""`firmware-tools advise`: arguments to `advice.advise`, what it found to lines."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfviz import console
from tfviz.files import size

if TYPE_CHECKING:
    from firmware_tools.advice import Advice

LAYER_HEADERS = ("op", "kind", "layer", "SQNR dB", "own dB", "median channel dB", "clipped %", "why")
TRIAL_HEADERS = ("trial", "SQNR dB", "gain dB", "top-1 agreement", "accuracy", "flash", "RAM")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(advise)


def advise(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or module:function.")],
    data: Annotated[
        str, typer.Option("--data", help="dog-poses, a folder with one sub-folder a class, an .npz, or keras:cifar10.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the .tflite files that are made.")],
    calibration_data: Annotated[
        str | None, typer.Option("--calibration", help="Calibration data; default: that part of DATA.")
    ] = None,
    calibration_images: Annotated[int, typer.Option("--calibration-images", min=1, help="So many at most.")] = 200,
    split: Annotated[str | None, typer.Option("--split", help="Which part of DATA is judged on.")] = "test",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The first so many images.")] = 100,
    tflite: Annotated[
        Path | None, typer.Option("--tflite", help="Judge this int8 file of the model instead of converting.")
    ] = None,
    try_out: Annotated[
        bool, typer.Option("--try", help="Convert again in other ways; say what each gains and costs.")
    ] = False,
    json: Annotated[Path | None, typer.Option("--json", help="Write the numbers (.json) here.")] = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="Draw the trials (.png) here.")] = None,
) -> None:
    """Say which layers lose most as int8, why, and what helps; with --try, what it gains and costs."""
    from firmware_tools._commands import Steps
    from firmware_tools.advice import advise as run
    from firmware_tools.engines import check_file
    from tfviz.errors import InputError
    from tfviz.files import write_text

    if picture is not None and not try_out:
        raise InputError("--picture draws the trials; ask for them by --try.")
    if tflite is not None:
        check_file(tflite)
    with contextlib.closing(Steps(None)) as steps:
        found = run(
            model,
            data,
            out=out,
            calibration_data=calibration_data,
            calibration=calibration_images,
            split=split,
            limit=limit,
            tflite=tflite,
            try_out=try_out,
            step=steps.begin,
        )
    _say(found)
    if json is not None:
        write_text(json, found.to_json())
        console.wrote(json)
    if picture is not None:
        from firmware_tools.advice.picture import pareto
        from tfviz.plot import save

        console.wrote(save(pareto(found), picture))


def _say(found: "Advice") -> None:
    from firmware_tools._show import decibel, percent, share

    console.table(
        LAYER_HEADERS,
        [
            (
                layer.index,
                layer.op,
                layer.layer,
                decibel(layer.sqnr_db),
                decibel(layer.own_sqnr_db),
                decibel(layer.channel_sqnr_db),
                "0" if not layer.clipped_share else share(layer.clipped_share),
                layer.cause.value,
            )
            for layer in found.layers
        ],
    )
    console.say("the layers that lose most:")
    for line in found.advice:
        console.say(f"  {line}")
    if found.trials:
        console.table(
            TRIAL_HEADERS,
            [
                (
                    trial.name,
                    decibel(trial.sqnr_db),
                    f"{trial.gain_db:+.1f}",
                    "-" if trial.top1_agreement is None else percent(trial.top1_agreement),
                    "-" if trial.accuracy is None else percent(trial.accuracy),
                    size(trial.flash_bytes),
                    size(trial.ram_bytes),
                )
                for trial in found.trials
            ],
        )
        if found.float_accuracy is not None:
            console.say(f"accuracy of the float model: {percent(found.float_accuracy)}")
    if found.conclusion is not None:
        console.say(found.conclusion)
    for trial in found.trials:
        if trial.refusal is not None:
            console.say(f"note: the built-in engine does not run {trial.name}: {trial.refusal}")
    for note in found.notes:
        console.say(f"note: {note}")
