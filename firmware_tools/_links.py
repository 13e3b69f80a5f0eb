"""What commands of `firmware-tools` say about lines: options of devices, several devices at once, a broken link."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfviz import console
from tfviz.errors import InputError, LinkError

if TYPE_CHECKING:
    from firmware_tools.results import Comparison
    from tfviz.trace import Engine, Trace

KeepInputOption = Annotated[
    bool,
    typer.Option("--keep-input", help="Pin the input's memory on emulator:, qemu: and host: devices; sent once then."),
]
OpTimeoutOption = Annotated[
    float | None,
    typer.Option("--op-timeout", min=0.001, help="Seconds that one op may take; default: from its multiplications."),
]
FaultOption = Annotated[
    str | None,
    typer.Option("--fault", help="Spoil the line of every device, as errors=0.001,seed=3,cut=50000."),
]
BaudOption = Annotated[int, typer.Option("--baud", min=1, help="Of serial: lines; a USB port takes any.")]
ResetOption = Annotated[
    bool,
    typer.Option("--reset", help="Reset serial: boards first, by the line (DTR or RTS) that the board has for it."),
]
OtherModelOption = Annotated[
    bool, typer.Option("--allow-other-model", help="Go on where a serial: device says that it runs another model.")
]
ResumeOption = Annotated[
    Path | None,
    typer.Option("--resume", help="Keep each image's run in this folder; a run that was interrupted goes on from it."),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=0, help="Processes of Ray that run images beside this one, for each engine.")
]
RayAddressOption = Annotated[
    str | None, typer.Option("--ray-address", help="Of a Ray cluster that runs, for --workers; default: this machine.")
]
BAUD = 115_200
_DEVICES = ("emulator", "host", "qemu", "serial")
_QUICK = ("keras:", "trace:")


@dataclasses.dataclass(frozen=True)
class LinkOptions:
    """What was asked of the devices on a command line."""

    keep_input: bool = False
    op_timeout: float | None = None
    fault: str | None = None
    baud: int = BAUD
    reset: bool = False
    allow_other_model: bool = False
    resume: Path | None = None
    workers: int = 0
    ray_address: str | None = None

    def of(self, spec: str) -> dict[str, Any]:
        """Keyword arguments for the device that `spec` names; none for what is no device.

        >>> LinkOptions(keep_input=True).of("host:model.tflite")
        {'keep_input': True}
        >>> LinkOptions(keep_input=True).of("tflm:model.tflite")
        {}
        """
        from firmware_tools.engines import parse
        from firmware_tools.link import Timing

        kind = parse(spec).kind
        options: dict[str, Any] = {}
        if kind not in _DEVICES:
            return options
        if self.op_timeout is not None:
            options["timing"] = Timing(op=self.op_timeout)
        if self.fault:
            options["fault"] = self.fault
        if kind == "serial":
            options |= {"baud": self.baud, "reset": self.reset, "allow_other_model": self.allow_other_model}
        elif self.keep_input:
            options["keep_input"] = True
        return options


@contextlib.contextmanager
def keeping(path: Path) -> Iterator[None]:
    """Where the link breaks meanwhile, write what had been received to `path`, and say so."""
    from tfviz.trace import Trace

    try:
        yield
    except LinkError as error:
        if isinstance(error.partial, Trace):
            _keep(error.partial, path)
        raise


def _keep(partial: "Trace", path: Path) -> None:
    count = len(partial.steps)
    if not count:
        console.note("no op's tensors had arrived whole when the link broke, so that there is nothing to keep")
        return
    partial.save(path)
    console.wrote(path)
    arrived = f"the {count} op{'s' * (count != 1)} of the last image that had arrived whole when the link broke"
    console.say(f"it holds {arrived}; compare reads it as trace:{path}")


def partial_file(*beside: Path | None) -> Path:
    """Where a broken run is kept: beside the first file that was asked for, else here."""
    first = next((path for path in beside if path is not None), None)
    return (Path() if first is None else first.parent) / "partial.npz"


@dataclasses.dataclass(frozen=True)
class Teams:
    """Engines opened for comparing: each inner list shares the images, `names` are the specs that lead them."""

    names: tuple[str, ...]
    crews: "tuple[tuple[Engine, ...], ...]"


def teams(
    stack: contextlib.ExitStack,
    specs: Sequence[str],
    opened: "Sequence[Engine]",
    *,
    jobs: int | None,
    spread: bool,
    options: LinkOptions,
) -> Teams:
    """The engines that are judged: side by side, or with `spread` all as one that share the images.

    Raises:
        InputError: `spread` over engines of different models or kernels.
    """
    from firmware_tools.engines import open_crew

    if spread:
        if len({engine.fingerprint for engine in opened}) > 1:
            raise InputError("--spread shares the images among identical devices; these run different models.")
        kernels = dict.fromkeys(engine.kernels for engine in opened)
        if len(kernels) > 1:
            raise InputError(
                f"--spread shares the images among identical devices; these run {' and '.join(kernels)}. Without "
                "--spread each is judged by itself."
            )
        return Teams((specs[0],), (_kept(specs[0], opened, options.resume),))
    remote = _remote_crews(stack, specs, options)
    crews = []
    for spec, engine, others in zip(specs, opened, remote, strict=True):
        extra = open_crew(spec, 1 if len(specs) > 1 and jobs is None else jobs, **options.of(spec))
        crew = (engine, *(stack.enter_context(other) for other in extra), *others)
        crews.append(_kept(spec, crew, options.resume))
    return Teams(tuple(specs), tuple(crews))


def _kept(spec: str, crew: "Sequence[Engine]", folder: Path | None) -> "tuple[Engine, ...]":
    """The crew, with its runs kept in the folder where there is one; what is quick or recorded is not kept."""
    if folder is None or spec.startswith(_QUICK):
        return tuple(crew)
    from firmware_tools._journal import Journal

    return tuple(Journal(engine, folder) for engine in crew)


def _remote_crews(
    stack: contextlib.ExitStack, specs: Sequence[str], options: LinkOptions
) -> "list[tuple[Engine, ...]]":
    """For each engine those in Ray's processes that work beside it."""
    if not options.workers:
        return [()] * len(specs)
    for spec in specs:
        if spec.startswith(("serial:", *_QUICK)):
            raise InputError(
                f"--workers opens {spec} once more in each process, which can be done with a .tflite only."
            )
    from firmware_tools._remote import open_remote
    from tfviz._ray import connected

    ray = stack.enter_context(connected(options.ray_address, options.workers * len(specs)))
    return [
        tuple(stack.enter_context(engine) for engine in open_remote(ray, spec, options.workers, options.of(spec)))
        for spec in specs
    ]


def several(
    found: "Sequence[Comparison | LinkError]", names: Sequence[str]
) -> tuple[tuple[str, ...], list[list[object]]]:
    """One table of several comparisons: headers and rows, three columns for each engine that lived."""
    from firmware_tools._show import shown
    from firmware_tools.results import Comparison

    alive = [(name, result) for name, result in zip(names, found, strict=True) if isinstance(result, Comparison)]
    headers: tuple[str, ...] = ("op", "kind", "layer")
    for name, result in alive:
        counted = any(op.instructions is not None for op in result.ops)
        headers = (*headers, short(name), "max LSB", "instructions" if counted else "ticks")
    rows: list[list[object]] = []
    for index in range(max((len(result.ops) for _, result in alive), default=0)):
        first = next(result.ops[index] for _, result in alive if index < len(result.ops))
        row: list[object] = [first.index, first.op, first.keras_layer or first.name]
        for _, result in alive:
            op = result.ops[index] if index < len(result.ops) else None
            cost = None if op is None else op.instructions if op.instructions is not None else op.cycles
            row += ["-", "-", "-"] if op is None else [op.verdict.value, shown(op.max_lsb), shown(cost)]
        rows.append(row)
    return headers, rows


def short(spec: str) -> str:
    """An engine's name without its file.

    >>> short("emulator:nano33ble:models/dog.tflite"), short("serial:/dev/ttyACM0")
    ('emulator:nano33ble', 'serial:/dev/ttyACM0')
    """
    return re.sub(r":[^:]*\.(tflite|npz|keras|h5)$", "", spec)


def own_file(path: Path | None, name: str, position: int) -> Path | None:
    """The file of one engine of several: `report.html` becomes `report-2-host.html`."""
    if path is None:
        return None
    return path.with_name(
        f"{path.stem}-{position + 1}-{re.sub(r'[^A-Za-z0-9]+', '-', short(name)).strip('-')}{path.suffix}"
    )
