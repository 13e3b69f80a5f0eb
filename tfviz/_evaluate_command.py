"""The command `tfviz evaluate`: which methods of explanation to believe, for one model on one set of pictures."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfviz import console
from tfviz.choose import Chosen, choose_model, choose_target, open_data, split_names, writable
from tfviz.errors import InputError

if TYPE_CHECKING:
    from tfviz.data import Dataset
    from tfviz.metrics.summary import Estimate, Evaluation, Row
    from tfviz.metrics.table import Metric


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(evaluate)


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or module:function.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="dog-poses, a folder of classes, an .npz, keras:NAME.")],
    methods: Annotated[
        str | None,
        typer.Option(help="Methods parted by commas, see `tfviz methods`; default: all of pixels and layers that fit."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Metrics parted by commas, such as deletion,road; default: all that fit.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Address of the layer of CAMs; default: the last with maps.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Class to explain; default: each picture's predicted one.")] = None,
    split: Annotated[str | None, typer.Option(help="train, test or calibration part of DATA.")] = None,
    limit: Annotated[int, typer.Option(min=2, help="Judge on the first so many pictures.")] = 200,
    steps: Annotated[int, typer.Option(min=1, help="Steps of deletion and insertion.")] = 20,
    samples: Annotated[int, typer.Option(min=2, help="Samples of mu-fidelity and infidelity.")] = 64,
    out: Annotated[Path | None, typer.Option("--out", help="A .png to draw the table to.")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="A .json to write all figures to.")] = None,
    class_names: Annotated[
        str | None, typer.Option(help="Names of the model's classes, parted by commas, by output.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random, and of dog-poses.")] = 0,
) -> None:
    """Rank methods of explanation by metrics that say whether to believe them, beside maps that know nothing."""
    picture = None if out is None else writable(out, ".png")
    figures = None if json_out is None else writable(json_out, ".json")
    _known(methods, metrics)
    chosen = choose_model(model, class_names)
    dataset = open_data(chosen, data, split=split, limit=limit, seed=seed)
    chosen = chosen.named(dataset)
    shape = chosen.model.output_shape
    units = shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None
    explained = choose_target(target, chosen.class_names, units)
    found = _evaluate(
        chosen, dataset, methods, metrics, layer=layer, target=explained, steps=steps, samples=samples, seed=seed
    )
    _say(found)
    if picture is not None:
        from tfviz import plot

        title = f"{Path(model).stem} on {found.images} pictures of {data}: which explanation to believe"
        console.wrote(plot.save(plot.scoreboard(found, title=title), picture))
    if figures is not None:
        from tfviz.files import write_text

        facts = {"model": model, "data": data, "split": split, "data_identity": dataset.identity}
        write_text(
            figures, json.dumps({**facts, "command": console.command_line(), **found.to_json()}, indent=2) + "\n"
        )
        console.wrote(figures)


def _known(methods: str | None, metrics: str | None) -> None:
    """Refuse unknown names before anything is loaded."""
    from tfviz import registry

    for name in split_names(methods) if methods else ():
        registry.find(name)
    if metrics:
        from tfviz.metrics import table

        for name in split_names(metrics):
            table.find(name)


def _evaluate(
    chosen: Chosen, dataset: "Dataset", methods: str | None, metrics: str | None, **options: Any
) -> "Evaluation":
    from tfviz import registry
    from tfviz._evaluate import BATCH, BLIND, applicable, evaluate

    first = chosen.preprocess(next(iter(dataset.batches(1))).images)
    if methods is None:
        names = [*registry.names("pixel"), *registry.names("layer")]
        names, refused = applicable(chosen.model, first, names, target=options["target"], layer=options["layer"])
        for name, reason in refused.items():
            console.note(f"{name} is left out: {reason}")
        if not names:
            raise InputError("No method of pixels or layers fits this model.")
    else:
        names = list(split_names(methods))
    batches = -(-len(dataset) // BATCH)
    with console.step("judging", total=batches * (len(names) + len(BLIND))) as advance:
        return evaluate(
            chosen.model,
            dataset,
            names,
            metrics=split_names(metrics) if metrics else None,
            preprocess=chosen.preprocess,
            advance=advance,
            **options,
        )


def _say(found: "Evaluation") -> None:
    headers = ["method", "rank", *(f"{metric.name} {'^' if metric.higher else 'v'}" for metric in found.metrics)]
    console.table([*headers, "ms"], [_line(row, found.metrics) for row in found.rows])
    few = [metric for metric in found.metrics if metric.batches is not None]
    console.say(
        f"{found.images} pictures; mean ± half its 95 % interval; * better than random maps; ^ higher, v lower is "
        "better; rank: 1 is best, by the metrics that random maps are compared on"
        + (
            f"; {', '.join(metric.name for metric in few)} on the first {found.rows[0].estimates[few[0].name].images}"
            if few
            else ""
        )
    )


def _line(row: "Row", metrics: "tuple[Metric, ...]") -> list[str]:
    rank = "-" if row.rank is None else f"{row.rank:.1f}"
    return [row.method, rank, *(_cell(row.estimates[m.name]) for m in metrics), f"{row.milliseconds:.1f}"]


def _cell(estimate: "Estimate") -> str:
    star = "*" if estimate.beats_random else " "
    return f"{estimate.mean:.3g}±{(estimate.high - estimate.low) / 2:.2g}{star}"
