"""The whole chain: convert, build, run on the emulated board, compare layer by layer with the exact reference.

model.keras -> model.tflite -> firmware for the board -> emulated core -> Comparison -> report.html, report.json
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from firmware_tools import boards
from firmware_tools._compare import compare, compare_all
from firmware_tools._links import LinkOptions, teams
from firmware_tools.convert import CALIBRATION_IMAGES, convert, input_shape
from firmware_tools.engines import open_engine
from firmware_tools.pictures import Expectation, calibration_split, expectation, open_data
from firmware_tools.reference.keras_engine import KerasEngine
from firmware_tools.results import Comparison, DataInfo, RunVerdict
from tfviz.errors import InputError, LinkError

if TYPE_CHECKING:
    from firmware_tools.explain import Looks
    from firmware_tools.results import Drift
    from tfviz.data import Dataset
    from tfviz.trace import Engine

OPINIONS = ("litert", "litert-xnnpack")
OPINION_IMAGES = 20
LOOK_IMAGES = 12


@dataclasses.dataclass(frozen=True)
class Validation:
    """What the chain made: the comparison, the `.tflite`, the float engine (for the page).

    `found` has the comparison of the board first, then those of the devices beside it (or the error of one that died),
    `names` their names. `looks` are the pictures of the board's `drift` with every engine's map.
    """

    found: "tuple[Comparison | LinkError, ...]"
    names: tuple[str, ...]
    tflite: Path
    float_engine: KerasEngine
    looks: "tuple[Looks, ...]" = ()

    @property
    def comparison(self) -> Comparison:
        """The board's; LinkError where it died."""
        if isinstance(self.found[0], LinkError):
            raise self.found[0]
        return self.found[0]

    def _repr_html_(self) -> str:
        """What Jupyter shows: the board's comparison."""
        return self.comparison._repr_html_()


def validate(
    model: str | os.PathLike[str],
    data: "str | os.PathLike[str] | Dataset",
    *,
    board: str = "nano33ble",
    out: str | os.PathLike[str],
    calibration_data: str | None = None,
    calibration: int = CALIBRATION_IMAGES,
    split: str | None = "test",
    limit: int | None = 100,
    tolerate: str | None = None,
    samples: int = 3,
    matrix: bool = False,
    opinions: bool = False,
    jobs: int | None = None,
    also: Sequence[str] = (),
    link: LinkOptions = LinkOptions(),  # noqa: B008  (frozen)
    step: Callable[[str], object] = lambda _: None,
    progress: Callable[[int], object] = lambda _: None,
) -> Validation:
    """Run the chain.

    Args:
        model: a `.keras` or `.h5` file, or `module:function`.
        data: what the model is judged on, its part `split`, the first `limit` images.
        board: of the built-in ones, or a `.toml` file.
        out: folder for the `.tflite`.
        calibration_data: what activations are measured on, taken whole; default: the part `calibration` of `data`,
            disjoint from the one that is judged on.
        calibration: how many images of it.
        tolerate: `rounding` lets ROUNDING and INHERITED ops pass.
        samples: images that the page shows.
        matrix: also compare every pair of reference, board, devices beside it and float model.
        opinions: also compare LiteRT's kernel sets with the reference, over the first images; told in the notes.
        jobs: emulated boards that run side by side; None: one for each processor core, at most 4.
        also: more devices that are judged beside the board: `host`, `emulator:BOARD`, `serial:URL` and so on.
        link: what is asked of the devices' lines.
        step: told what begins.
        progress: told how many more images are done.

    Raises:
        InputError: anything that cannot be used, or a model that does not fit the board.
        LinkError: the emulated firmware faulted.
    """
    boards.load(board)  # an unknown board is said before minutes are spent
    folder = Path(out)
    step("loading the model")
    float_engine = KerasEngine(model)
    expected = expectation([Path(model)], input_shape(float_engine.model))
    judged = open_data(_text(data), expected, split=split, limit=limit)
    source = calibration_data or _text(data)
    calibrating = open_data(source, expected, split=calibration_split(source, _text(data)), limit=calibration)
    step("converting to int8")
    name = Path(model).stem if Path(model).exists() else float_engine.model.name
    tflite = convert(
        float_engine.model,
        calibrating,
        out=folder / f"{name}_int8.tflite",
        calibration=calibration,
        preprocess=expected.preprocess if expected.recorded else None,
        class_names=expected.class_names,
    )
    step(f"building for {board}")
    with contextlib.ExitStack() as engines:
        specs = [_with_file(name, tflite) for name in (f"emulator:{board}", *also)]
        devices = [engines.enter_context(open_engine(spec, model=tflite, **link.of(spec))) for spec in specs]
        judged_by = teams(engines, specs, devices, jobs=jobs, spread=False, options=link)
        reference = engines.enter_context(open_engine(f"tflm:{tflite}"))
        step("comparing")
        found = compare_all(
            reference,
            judged_by.crews,
            judged,
            float_engine=float_engine,
            expected=expected,
            tolerate=tolerate,
            samples=samples,
            matrix=matrix,
            progress=progress,
        )
        step("asking where they look")
        drifted, looks, unseen = _looks(found[0], float_engine, [reference, devices[0]], judged, expected, samples)
    used = DataInfo(
        "calibration", calibrating.spec, calibrating.split, min(calibration, len(calibrating)), calibrating.identity
    )
    if used.identity == judged.identity:
        raise InputError(
            "The images for calibration are the ones that are judged on; give other ones by --calibration."
        )
    notes: tuple[str, ...] = ()
    if opinions:
        step("asking LiteRT")
        notes = tuple(_opinion(kind, tflite, judged, expected) for kind in OPINIONS)
    told = tuple(
        dataclasses.replace(one, data=(*one.data, used), notes=(*one.notes, *notes))
        if isinstance(one, Comparison)
        else one
        for one in found
    )
    if isinstance(told[0], Comparison):
        board_found = dataclasses.replace(told[0], drift=drifted, notes=(*told[0].notes, *unseen))
        told = (board_found, *told[1:])
    return Validation(told, judged_by.names, tflite, float_engine, looks)


def _looks(
    found: "Comparison | LinkError",
    float_engine: KerasEngine,
    engines: "Sequence[Engine]",
    judged: "Dataset",
    expected: Expectation,
    shown: int,
) -> "tuple[Drift | None, tuple[Looks, ...], tuple[str, ...]]":
    """Where float, int8 and board look in the first pictures; a note where that cannot be told."""
    from firmware_tools.explain import drift

    if isinstance(found, LinkError) or expected.preprocess is None:
        return None, (), ()
    first = dataclasses.replace(judged, positions=judged.positions[:LOOK_IMAGES])
    try:
        drifted, looks = drift(float_engine, engines, first, expected=expected, shown=min(shown, 3))
    except (InputError, LinkError) as error:
        return None, (), (f"Where the board looks was not measured: {error}",)
    return drifted, looks, ()


def _with_file(name: str, tflite: Path) -> str:
    """A device's name with the model that it is to run; a serial line's as it is."""
    return name if name.startswith("serial:") else f"{name}:{tflite}"


def _text(data: "str | os.PathLike[str] | Dataset") -> "str | Dataset":
    return os.fspath(data) if isinstance(data, os.PathLike) else data


def _opinion(kind: str, tflite: Path, data: "Dataset", expected: Expectation) -> str:
    """What another kernel set makes of the same model, in a sentence."""
    first = dataclasses.replace(data, positions=data.positions[:OPINION_IMAGES])
    with open_engine(f"tflm:{tflite}") as reference, open_engine(f"{kind}:{tflite}") as engine:
        found = compare(reference, engine, first, expected=expected, samples=0)
    worst = max((op.max_lsb or 0 for op in found.ops), default=0)
    same = f"{found.exact_ops} of {found.total_ops} layers EXACT"
    apart = "" if found.verdict is RunVerdict.PASS else f", {worst} LSB apart at most"
    diagnosis = found.diagnosis
    named = diagnosis.hypothesis if diagnosis is not None else None
    why = f" Proved by replay: {named}." if named else ""
    return f"Second opinion over {found.images} images, {engine.kernels}: {same}{apart}.{why}"
