"""The command line `firmware-tools`: arguments to calls, results to lines. Heavy things are imported where used."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from firmware_tools import _advise_command, _capture, _explain_commands
from firmware_tools._commands import Outputs, Steps, finish_all, nth, opened_engines, pictures_of, recorded
from firmware_tools._links import (
    BAUD,
    BaudOption,
    FaultOption,
    KeepInputOption,
    LinkOptions,
    OpTimeoutOption,
    OtherModelOption,
    RayAddressOption,
    ResetOption,
    ResumeOption,
    WorkersOption,
    keeping,
    partial_file,
    teams,
)
from tfviz import console
from tfviz.errors import InputError
from tfviz.files import size

app = console.app("firmware-tools", "Put a small CNN on a microcontroller and prove that it sees the same.")

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or module:function.")]
TfliteArgument = Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="The model to put on the board.")]
DataOption = Annotated[
    str, typer.Option("--data", help="dog-poses, a folder with one sub-folder a class, an .npz, or keras:cifar10.")
]
SplitOption = Annotated[str | None, typer.Option("--split", help="Which part of DATA: train, test or calibration.")]
LimitOption = Annotated[int | None, typer.Option("--limit", help="The first so many images.")]
BoardOption = Annotated[str, typer.Option("--board", help="A board of `firmware-tools boards`, or a .toml file.")]
ReportOption = Annotated[Path | None, typer.Option("--report", help="Write the page (.html) here.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the numbers (.json) here.")]
TolerateOption = Annotated[
    str | None, typer.Option("--tolerate", help="`rounding`: ops that add at most 1 LSB of their own pass too.")
]
EngineArgument = Annotated[
    str,
    typer.Argument(
        metavar="ENGINE",
        help="keras:F tflm:F litert:F litert-xnnpack:F emulator:BOARD:F qemu:MACHINE:F host:F serial:URL trace:F.npz",
    ),
]
JUnitOption = Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here, a test case a layer.")]
ThresholdsOption = Annotated[
    Path | None,
    typer.Option("--thresholds", help="A .toml with what has to be reached; it then decides the exit code."),
]
GithubOption = Annotated[
    bool | None,
    typer.Option("--github/--no-github", help="Print GitHub's annotations; default: where GITHUB_ACTIONS is true."),
]
MatrixOption = Annotated[
    bool, typer.Option("--matrix", help="Compare every pair, too; with more than one ENGINE that is done anyway.")
]
SamplesOption = Annotated[int, typer.Option("--samples", min=1, max=64, help="How many images the page shows.")]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", help="Emulated boards side by side; default: one a processor core, at most 4.")
]
SerialModelOption = Annotated[Path | None, typer.Option("--model", help="The .tflite that a serial: device is to run.")]


@app.command()
def convert(
    model: ModelArgument,
    out: Annotated[Path, typer.Option("--out", help="The .tflite to write.")],
    data: Annotated[str | None, typer.Option("--data", help="Its part `calibration` is used.")] = None,
    calibration_data: Annotated[
        str | None, typer.Option("--calibration", help="Calibration data of its own, instead of --data.")
    ] = None,
    mode: Annotated[str, typer.Option(help="int8, int16x8, float32, float16 or dynamic.")] = "int8",
    images: Annotated[int, typer.Option("--images", help="Calibration images at most.")] = 200,
) -> None:
    """Convert a Keras model to .tflite, with a batch of one and integers in and out."""
    from firmware_tools import graph
    from firmware_tools.convert import convert as run
    from firmware_tools.pictures import calibration_split

    split = calibration_split(calibration_data, data or "") if calibration_data else "calibration"
    with console.step("converting"):
        written = run(model, calibration_data or data, mode=mode, out=out, calibration=images, split=split)
    console.wrote(written)
    sidecar = Path(f"{written}.json")
    if sidecar.exists():
        console.wrote(sidecar)
    loaded = graph.load(written)
    weights = sum(tensor.bytes for tensor in loaded.tensors if tensor.is_constant)
    console.say(
        f"{mode}: {len(loaded.ops)} ops, {loaded.macs:,} MACs, {size(weights)} of constants "
        f"in a file of {size(len(loaded.bytes))}"
    )


@app.command()
def inspect(model: TfliteArgument) -> None:
    """Show a .tflite: its ops, tensors, arena, flash, and which boards it fits."""
    from firmware_tools import _show, graph
    from firmware_tools.engines import check_file
    from firmware_tools.inspect_model import fits, footprint

    check_file(model)
    loaded = graph.load(model)
    console.table(_show.GRAPH_HEADERS, _show.graph_rows(loaded))
    for index in loaded.inputs:
        console.say(_show.tensor_line("input", loaded.tensors[index]))
    for index in loaded.outputs:
        console.say(_show.tensor_line("output", loaded.tensors[index]))
    console.say(f"{loaded.macs:,} MACs; file {len(loaded.bytes):,} B; SHA-256 {loaded.fingerprint}")
    needs = footprint(loaded)
    console.say(f"arena {needs.arena_bytes:,} B (lower bound {needs.arena_lower_bound:,} B)")
    if needs.refusal is not None:
        console.say(f"the built-in engine does not run it: {needs.refusal}")
        return
    console.say(f"constants in flash {needs.constant_bytes or 0:,} B, the code comes on top")
    console.table(("board", "fits", "flash left", "RAM left"), fits(needs))


@app.command()
def build(
    model: TfliteArgument,
    board: BoardOption,
    out: Annotated[Path, typer.Option("--out", help="Folder for sources, ELF and map.")],
    optimize: Annotated[
        str, typer.Option(help="The compiler's level (O0 to O3, Os, Oz), or speed: O2 and weights widened in flash.")
    ] = "O2",
    real_port: Annotated[
        bool, typer.Option("--real-port", help="Speak through the chip's own serial port, not the emulator's.")
    ] = False,
    keep_input: Annotated[
        bool, typer.Option("--keep-input", help="Pin the input's memory, so that a second run need not send it again.")
    ] = False,
    compiler: Annotated[str, typer.Option(help="zig, or gcc: an installed arm-none-eabi-gcc.")] = "zig",
) -> None:
    """Build the firmware for a board; say how much flash and RAM it takes; refuse what does not fit."""
    from firmware_tools import graph, memory
    from firmware_tools.boards import load
    from firmware_tools.build import build as run
    from firmware_tools.build import port_of
    from firmware_tools.engines import check_file

    check_file(model)
    with console.step(f"building for {board}"):
        described = load(board)
        loaded = graph.load(model)
        port = port_of(described, real=real_port)
        built = run(loaded, described, out, optimize=optimize, port=port, keep_input=keep_input, compiler=compiler)
    console.table(("section", "bytes"), [(name, f"{count:,}") for name, count in built.sections.items()])
    for kind in ("flash", "ram"):
        used, free, total = (getattr(built, f"{kind}_{what}") for what in ("bytes", "free", "total"))
        console.say(f"{'RAM' if kind == 'ram' else kind}: {used:,} B used, {free:,} B left of {total:,} B")
    console.say(f"arena {built.arena_bytes:,} B, stack {built.stack_bytes:,} B, digest {built.digest:08x}")
    if keep_input:
        free = memory.plan(loaded).arena_bytes
        console.say(
            f"the pinned input takes {built.arena_bytes - free:,} B of RAM more: the arena is {built.arena_bytes:,} B "
            f"instead of {free:,} B"
        )
    console.wrote(out)
    console.say(f"ELF: {built.elf}")


@app.command()
def boards() -> None:
    """List the boards."""
    from firmware_tools import _show
    from firmware_tools import boards as known

    console.table(_show.BOARD_HEADERS, _show.board_rows([known.load(name) for name in known.names()]))


@app.command()
def ports() -> None:
    """List the serial ports of this computer, and which board stands at which."""
    from firmware_tools.devices.ports import listed

    found = listed()
    if not found:
        console.say("no serial port found; `serial:URL` also takes socket://HOST:PORT and rfc2217://HOST:PORT")
        return
    rows = [(p.device, ", ".join(p.boards) or "-", p.description, p.usb or "-", p.serial_number or "-") for p in found]
    console.table(("port", "board", "description", "USB ids", "USB serial number"), rows)


@app.command()
def export(
    model: TfliteArgument,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for plain C99 with CMake and an example.")] = None,
    arduino: Annotated[Path | None, typer.Option("--arduino", help="Folder for an Arduino library.")] = None,
    tflm: Annotated[
        Path | None, typer.Option("--tflm", help="Folder for the adapter to a TensorFlow Lite Micro firmware.")
    ] = None,
) -> None:
    """Write a model as sources for a project of your own: plain C, an Arduino library, an adapter for TFLM."""
    from firmware_tools import export as exports
    from firmware_tools.engines import check_file

    check_file(model)
    if out is None and arduino is None and tflm is None:
        raise InputError("Say what to write: --out DIR for plain C, --arduino DIR for a library, --tflm DIR.")
    for folder, write in ((out, exports.plain), (arduino, exports.arduino)):
        if folder is not None:
            write(model, folder)
            console.wrote(folder)
    if tflm is not None:
        exports.tflm(tflm)
        console.wrote(tflm)


@app.command()
def serve(
    model: TfliteArgument,
    port: Annotated[int, typer.Option("--port", help="TCP port; 0 takes a free one.")] = 7070,
    host: Annotated[str, typer.Option("--host", help="Address to listen at; others than this need a token.")] = (
        "127.0.0.1"
    ),
    token: Annotated[str | None, typer.Option("--token", envvar="FIRMWARE_TOOLS_TOKEN")] = None,
    kernels: Annotated[str, typer.Option("--kernels", help="default or reference.")] = "default",
    threads: Annotated[int, typer.Option("--threads")] = 1,
) -> None:
    """Serve a .tflite as a device over TCP, until Ctrl-C ends it; `serial:socket://HOST:PORT` reaches it."""
    from firmware_tools.engines import check_file
    from firmware_tools.serve import ServedModel, ServeError, Server

    check_file(model)
    try:
        with Server(ServedModel(model, kernels=kernels, threads=threads), host=host, port=port, token=token) as server:
            server.serve_until_stopped(console.say)
    except ServeError as error:
        raise InputError(str(error)) from error


@app.command()
def trace(
    engine: EngineArgument,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="A picture, or DATA of which --index picks one.")],
    out: Annotated[Path, typer.Option("--out", help="The .npz to write.")],
    index: Annotated[int, typer.Option(help="Which image of DATA, from 0.")] = 0,
    split: SplitOption = None,
    model: SerialModelOption = None,
    op_timeout: OpTimeoutOption = None,
    fault: FaultOption = None,
    baud: BaudOption = BAUD,
    reset: ResetOption = False,
    allow_other_model: OtherModelOption = False,
) -> None:
    """Run one image and write every layer's tensor. Where the link breaks, the tensors until then are written."""
    from firmware_tools._feed import Feed

    if index < 0:
        raise InputError(f"--index counts from 0; {index} was given.")
    if out.suffix != ".npz":
        raise InputError(f"{out} does not end in .npz, which is what is written.")
    with opened_engines([engine], model, LinkOptions(False, op_timeout, fault, baud, reset, allow_other_model)) as (
        opened,
        expected,
    ):
        data = pictures_of(image, expected, split, index + 1)
        if len(data) <= index:
            raise InputError(f"{image} holds {len(data)} images; there is no image {index}.")
        images = nth(data, index)
        with keeping(out), console.step("running"):
            made = next(iter(Feed(opened[0], expected).runs(images, read=True)))
    made.save(out)
    console.wrote(out)
    console.say(f"{len(made.steps)} tensors of {made.engine} ({made.kernels})")
    for told in getattr(opened[0], "notes", ()):
        console.say(f"note: {told}")


app.command()(_capture.capture)


@app.command()
def compare(
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="The engine that is right, as ENGINE.")],
    engines: Annotated[
        list[str], typer.Argument(metavar="ENGINE...", help="Who is judged; several stand side by side in one table.")
    ],
    data: Annotated[str | None, typer.Option("--data", help="As in validate; not needed for two traces.")] = None,
    split: SplitOption = None,
    limit: LimitOption = None,
    float_model: Annotated[
        str | None, typer.Option("--float", help="The float Keras model, to measure both against.")
    ] = None,
    tolerate: TolerateOption = None,
    report: ReportOption = None,
    json: JsonOption = None,
    matrix: MatrixOption = False,
    thresholds: ThresholdsOption = None,
    junit: JUnitOption = None,
    github: GithubOption = None,
    samples: SamplesOption = 1,
    jobs: JobsOption = None,
    model: SerialModelOption = None,
    spread: Annotated[
        bool, typer.Option("--spread", help="Share the images among the ENGINEs, which are identical devices.")
    ] = False,
    keep_input: KeepInputOption = False,
    op_timeout: OpTimeoutOption = None,
    fault: FaultOption = None,
    baud: BaudOption = BAUD,
    reset: ResetOption = False,
    allow_other_model: OtherModelOption = False,
    resume: ResumeOption = None,
    workers: WorkersOption = 0,
    ray_address: RayAddressOption = None,
) -> None:
    """Compare engines with a reference layer by layer over images. Exit code 0: pass, 1: they differ."""
    from firmware_tools._compare import compare_all

    outputs = Outputs.asked(report, json, junit, thresholds, github)
    options = LinkOptions(keep_input, op_timeout, fault, baud, reset, allow_other_model, resume, workers, ray_address)
    specs = [reference, *engines, *([f"keras:{float_model.removeprefix('keras:')}"] if float_model else [])]
    with contextlib.ExitStack() as stack:
        stack.enter_context(keeping(partial_file(report, json)))
        opened, expected = stack.enter_context(opened_engines(specs, model, options))
        judged = teams(stack, engines, opened[1 : 1 + len(engines)], jobs=jobs, spread=spread, options=options)
        images = recorded(opened) if data is None else pictures_of(data, expected, split, limit)
        with console.step("comparing", total=len(images)) as advance:
            found = compare_all(
                opened[0],
                judged.crews,
                images,
                float_engine=opened[-1] if float_model else None,  # type: ignore[arg-type]
                expected=expected,
                tolerate=tolerate,
                samples=samples,
                matrix=matrix or len(judged.crews) > 1,
                progress=advance,
            )
        keras_model = next((getattr(side, "model") for side in opened if hasattr(side, "addresses")), None)  # noqa: B009
        finish_all(found, judged.names, outputs, keras_model, expected)


@app.command()
def validate(
    model: ModelArgument,
    data: DataOption,
    board: BoardOption = "nano33ble",
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the .tflite; default: beside the page.")] = None,
    calibration_data: Annotated[
        str | None, typer.Option("--calibration", help="Calibration data; default: that part of DATA.")
    ] = None,
    calibration_images: Annotated[int, typer.Option("--calibration-images", help="So many at most.")] = 200,
    split: SplitOption = "test",
    limit: LimitOption = 100,
    tolerate: TolerateOption = None,
    report: ReportOption = None,
    json: JsonOption = None,
    matrix: MatrixOption = False,
    thresholds: ThresholdsOption = None,
    junit: JUnitOption = None,
    github: GithubOption = None,
    samples: SamplesOption = 3,
    opinions: Annotated[
        bool, typer.Option("--opinions", help="Also ask LiteRT's two kernel sets, over the first 20 images.")
    ] = False,
    jobs: JobsOption = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", help="One more device beside the board (host, emulator:pico, serial:URL); repeatable."),
    ] = None,
    keep_input: KeepInputOption = False,
    op_timeout: OpTimeoutOption = None,
    fault: FaultOption = None,
    baud: BaudOption = BAUD,
    reset: ResetOption = False,
    allow_other_model: OtherModelOption = False,
    resume: ResumeOption = None,
    workers: WorkersOption = 0,
    ray_address: RayAddressOption = None,
) -> None:
    """The whole chain: convert, build, run on the emulated board, compare layer by layer, write the page."""
    from firmware_tools.pictures import expectation
    from firmware_tools.validate import validate as run

    outputs = Outputs.asked(report, json, junit, thresholds, github)
    folder = out or (report.parent if report else Path())
    with keeping(partial_file(report, json, folder / "model")), contextlib.closing(Steps(limit)) as steps:
        done = run(
            model,
            data,
            board=board,
            out=folder,
            calibration_data=calibration_data,
            calibration=calibration_images,
            split=split,
            limit=limit,
            tolerate=tolerate,
            samples=samples,
            matrix=matrix or bool(also),
            opinions=opinions,
            jobs=jobs,
            also=also or (),
            link=LinkOptions(
                keep_input, op_timeout, fault, baud, reset, allow_other_model, resume, workers, ray_address
            ),
            step=steps.begin,
            progress=steps.advance,
        )
    console.wrote(done.tflite)
    expected = expectation([Path(model)], done.float_engine.model.input_shape)
    with keeping(partial_file(report, json, folder / "model")):
        finish_all(done.found, done.names, outputs, done.float_engine.model, expected, done.looks)


_advise_command.register(app)
_explain_commands.register(app)


def main() -> None:
    """Run the program."""
    console.run(app)
