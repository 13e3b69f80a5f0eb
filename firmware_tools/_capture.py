"""`firmware-tools capture`: a device fills its own input from its sensor, and its preprocessing is judged."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firmware_tools._commands import opened_engines
from firmware_tools._links import (
    BAUD,
    BaudOption,
    LinkOptions,
    OpTimeoutOption,
    OtherModelOption,
    ResetOption,
    keeping,
)
from tfviz import console
from tfviz.errors import InputError

if TYPE_CHECKING:
    from firmware_tools.devices.capture import Capture
    from firmware_tools.graph import Graph
    from firmware_tools.pictures import Expectation


def capture(
    engine: Annotated[str, typer.Argument(metavar="ENGINE", help="A device with a sensor, as serial:/dev/ttyACM0.")],
    out: Annotated[Path, typer.Option("--out", help="The .npz to write: the input and every layer's tensor.")],
    picture: Annotated[Path | None, typer.Option("--picture", help="Write the sensor's frame (.png) here.")] = None,
    model: Annotated[Path | None, typer.Option("--model", help="The .tflite that a serial: device is to run.")] = None,
    op_timeout: OpTimeoutOption = None,
    baud: BaudOption = BAUD,
    reset: ResetOption = False,
    allow_other_model: OtherModelOption = False,
) -> None:
    """Let a board's own camera fill the input: keep frame, input and all layers, and judge the board's preprocessing.

    Exit code 0: the board made of the frame what the model expects, 1: it did not. `compare tflm:F trace:OUT` then
    judges the layers.
    """
    from firmware_tools.devices.device import Device

    if out.suffix != ".npz":
        raise InputError(f"{out} does not end in .npz, which is what is written.")
    options = LinkOptions(False, op_timeout, None, baud, reset, allow_other_model)
    with opened_engines([engine], model, options) as (opened, expected):
        device = opened[0]
        if not isinstance(device, Device):
            raise InputError(f"{engine} is no device with a sensor; give a serial: line to a board that has one.")
        with keeping(out), console.step("capturing"):
            taken = device.capture()
            made = device.run(taken.inputs)
        made.save(out)
        console.wrote(out)
        console.say(f"a frame of {len(taken.raw):,} B: {taken.words}")
        if picture is not None:
            _write_picture(taken, picture)
        right = _judged(taken, device.graph, expected)
    if not right:
        raise typer.Exit(console.DIFFERS)


def _write_picture(taken: "Capture", path: Path) -> None:
    from tfviz.image import write_png

    write_png(path, taken.picture.squeeze(-1) if taken.picture.shape[-1] == 1 else taken.picture)
    console.wrote(path)


def _judged(taken: "Capture", graph: "Graph", expected: "Expectation") -> bool:
    """Say what the board's preprocessing is worth; whether it is right, as far as it can be judged."""
    from firmware_tools._diagnose import diagnose_capture
    from firmware_tools.devices.capture import judge

    try:
        found = judge(taken, graph, preprocess=expected.preprocess)
    except InputError as error:
        console.say(f"its preprocessing cannot be judged: {error}")
        return True
    how = "as recorded beside the model" if expected.recorded else "0..255 as they are, since none is recorded"
    if found.exact:
        console.say(f"the board's input is what the host makes of this frame, bit for bit ({how})")
        return True
    console.say(
        f"the board's input is not what the host makes of this frame ({how}): {1 - found.exact_share:.1%} of its "
        f"values differ, by {found.worst} steps at most"
    )
    why = diagnose_capture([taken], graph, preprocess=expected.preprocess)
    if why is not None:
        console.say(f"cause: {why.cause}")
        for line in why.evidence:
            console.say(f"evidence: {line}")
        console.say(f"what to do: {why.what_to_do}")
    return False
