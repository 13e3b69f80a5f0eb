"""`firmware-tools explain` and `drift`: arguments to `firmware_tools.explain`, what it found to lines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfviz import console
from tfviz.errors import InputError

if TYPE_CHECKING:
    from firmware_tools.graph import Graph
    from firmware_tools.results import Drift

MAPS = "feature-maps"
HEADERS = ("engine", "role", "rank correlation", "worst", "top 20 % shared", "points at it", "mass on it", "same class")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".pdf", ".svg")

ModelOption = Annotated[Path | None, typer.Option("--model", help="The .tflite of a serial: device or a trace:.")]
MethodOption = Annotated[
    str, typer.Option("--method", help="cam, ablation-cam, eigen-cam, score-cam, occlusion or rise.")
]
SamplesOption = Annotated[int, typer.Option("--samples", min=1, help="Masks of RISE.")]
PatchOption = Annotated[int | None, typer.Option("--patch", min=1, help="Side of occlusion's patch, in pixels.")]
SplitOption = Annotated[str | None, typer.Option("--split", help="Which part of DATA: train, test or calibration.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(explain)
    app.command()(drift)


def explain(
    engine: Annotated[
        str, typer.Argument(metavar="ENGINE", help="Any engine: keras:F tflm:F emulator:BOARD:F serial:URL and so on.")
    ],
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="A picture, or DATA of which --index picks one.")],
    out: Annotated[Path, typer.Option("--out", help="The picture (.png), or .npy for the raw numbers.")],
    method: Annotated[
        str,
        typer.Option(help="cam, ablation-cam, eigen-cam, score-cam, occlusion, rise; feature-maps shows an op's maps."),
    ] = "cam",
    target: Annotated[
        str | None, typer.Option("--target", help="A class by number or name; default: what the engine says.")
    ] = None,
    op: Annotated[int | None, typer.Option("--op", help="Whose maps feature-maps shows; default: the last.")] = None,
    index: Annotated[int, typer.Option(min=0, help="Which image of DATA, from 0.")] = 0,
    split: SplitOption = None,
    samples: SamplesOption = 500,
    patch: PatchOption = None,
    model: ModelOption = None,
) -> None:
    """Show where a quantised model, or the device itself, looks."""
    import numpy as np

    from firmware_tools._commands import nth, opened_engines, pictures_of
    from firmware_tools.explain import METHODS, feature_maps
    from firmware_tools.explain import explain as run

    _check_method(method, (*METHODS, MAPS))
    _check_suffix(out, (*_PICTURES, ".npy"))
    with opened_engines([engine], model) as (opened, expected):
        data = pictures_of(image, expected, split, index + 1)
        if len(data) <= index:
            raise InputError(f"{image} holds {len(data)} images; there is no image {index}.")
        shown = expected.shown(nth(data, index))
        if shown is None:
            raise InputError(f"{image} holds no pictures (uint8 pixels); only those can be explained.")
        graph = _graph(model)
        with console.step("explaining"):
            if method == MAPS:
                name, values = feature_maps(opened[0], shown, expected=expected, op=op, graph=graph)
            else:
                wanted = int(target) if target is not None and target.isdecimal() else target
                values = run(
                    opened[0],
                    shown,
                    wanted,
                    method=method,
                    expected=expected,
                    graph=graph,
                    samples=samples,
                    patch=patch,
                )[0]
                name = method
        if out.suffix == ".npy":
            from tfviz.files import whole_file

            with whole_file(out) as temporary, temporary.open("wb") as file:
                np.save(file, values)
        else:
            _save(_figure(method, name, opened[0].name, shown[0], values, target), out)
    console.wrote(out)
    size = " x ".join(map(str, values.shape))
    console.say(f"{name} of {opened[0].name}: {size}, from {values.min():.4g} to {values.max():.4g}")
    if not values.any():
        console.say("note: the map is empty: nothing that it sees speaks for that class")


def drift(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The float model: .keras, .h5 or module:function.")],
    engines: Annotated[
        list[str],
        typer.Argument(
            metavar="ENGINE...", help="What was made of it. Of a device its int8 file is asked too (tflm:)."
        ),
    ],
    data: Annotated[str, typer.Option("--data", help="dog-poses, a folder, an .npz, or keras:cifar10.")],
    split: SplitOption = "test",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The first so many images.")] = 100,
    method: MethodOption = "cam",
    samples: SamplesOption = 500,
    patch: PatchOption = None,
    shown: Annotated[int, typer.Option("--shown", min=1, max=16, help="How many images the picture shows.")] = 3,
    out: Annotated[Path | None, typer.Option("--out", help="Draw the images side by side (.png) here.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the numbers (.json) here.")] = None,
    tflite: ModelOption = None,
) -> None:
    """Explain the same images by the float model and by what was deployed: does it still look where it looked?"""
    import json as text

    from firmware_tools._commands import opened_engines, pictures_of
    from firmware_tools.explain import METHODS
    from firmware_tools.explain import drift as run
    from firmware_tools.explain._drift import with_growth
    from firmware_tools.results import plain
    from tfviz.files import write_text

    _check_method(method, METHODS)
    if out is not None:
        _check_suffix(out, _PICTURES)
    options: dict[str, Any] = {"samples": samples, "patch": patch}
    with opened_engines([f"keras:{model.removeprefix('keras:')}", *_with_desktop(engines, tflite)], tflite) as (
        opened,
        expected,
    ):
        float_engine: Any = opened[0]
        images = pictures_of(data, expected, split, limit)
        with console.step("explaining", total=len(images)) as advance:
            found, looks = run(
                float_engine,
                opened[1:],
                images,
                expected=expected,
                method=method,
                shown=shown,
                graph=_graph(tflite),
                options=options,
                progress=advance,
            )
        if found.disagreements:
            with console.step("following the error through the layers"):
                found = with_growth(found, looks, float_engine, opened[1:], expected=expected)
    names = expected.class_names or images.class_names
    console.table(HEADERS, drift_rows(found))
    for line in _disagreements(found, names):
        console.say(line)
    if out is not None:
        from firmware_tools.explain._picture import drift_figure

        _save(drift_figure(found, looks, names), out)
        console.wrote(out)
    if json is not None:
        write_text(json, text.dumps(plain(found), indent=2, allow_nan=False) + "\n")
        console.wrote(json)
    console.say(f"{found.question} {found.answer}")


def drift_rows(found: "Drift") -> list[list[object]]:
    """One row an engine, under `HEADERS`."""
    from firmware_tools._show import percent

    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    def share(value: float | None) -> str:
        return "-" if value is None else percent(value)

    return [
        [
            gaze.engine,
            gaze.role,
            number(gaze.spearman),
            number(gaze.worst_spearman),
            share(gaze.overlap),
            share(gaze.pointing),
            share(gaze.mass),
            share(gaze.same_class),
        ]
        for gaze in found.engines
    ]


def _disagreements(found: "Drift", names: Any) -> list[str]:
    lines = []
    for one in found.disagreements:
        said, other = (
            names[index] if index < len(names) else str(index) for index in (one.float_class, one.engine_class)
        )
        measured = [g for g in one.growth if g.sqnr_db is not None]
        worst = min(measured, key=lambda g: g.sqnr_db or 0.0, default=None)
        where = (
            "" if worst is None else f"; its layers are furthest from float in {worst.layer} ({worst.sqnr_db:.1f} dB)"
        )
        lines.append(f"{one.image}: float says {said}, {one.engine} says {other}{where}")
    return lines


def _with_desktop(engines: list[str], model: Path | None) -> list[str]:
    """Of a device also its int8 file on this computer, before it: float, int8, device."""
    from firmware_tools.engines import parse

    parsed = [parse(engine) for engine in engines]
    if any(spec.kind in ("tflm", "litert", "litert-xnnpack") for spec in parsed):
        return engines
    files = [spec.file for spec in parsed if spec.is_tflite] or ([str(model)] if model else [])
    return [f"tflm:{files[0]}", *engines] if files else engines


def _graph(model: Path | None) -> "Graph | None":
    from firmware_tools import graph

    return None if model is None else graph.load(model)


def _figure(method: str, name: str, engine: str, image: Any, values: Any, target: str | None) -> Any:
    from tfviz import plot

    if method == MAPS:
        return plot.feature_map_grid(values, title=f"{name} of {engine}")
    return plot.overlay_beside(image, values, target=target or "", method=f"{method} of {engine}")


def _save(figure: Any, out: Path) -> None:
    from tfviz import plot

    plot.save(figure, out, dpi=100)


def _check_method(method: str, known: Any) -> None:
    import difflib

    if method not in known:
        near = difflib.get_close_matches(method, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(f"There is no method {method!r} for engines; there are {', '.join(known)}.{hint}")


def _check_suffix(out: Path, known: Any) -> None:
    if out.suffix.lower() not in known:
        raise InputError(f"{out} ends in {out.suffix or 'nothing'}; {', '.join(known)} are written.")
