"""The command `tfviz explain`: the maps of any number of pictures into a folder, from which a run goes on."""

from pathlib import Path
from typing import Annotated

import typer

from tfviz import console
from tfviz.choose import writable


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(explain)


def explain(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or module:function.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="dog-poses, a folder of classes, an .npz, keras:NAME.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to; a run that was interrupted goes on.")],
    method: Annotated[str, typer.Option(help="Any method, see `tfviz methods`.")] = "grad-cam",
    layer: Annotated[
        str | None, typer.Option(help="Address of the layer of CAMs; default: the last with maps.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Class to explain; default: each picture's predicted one.")] = None,
    split: Annotated[str | None, typer.Option(help="train, test or calibration part of DATA.")] = None,
    limit: Annotated[int | None, typer.Option(help="The first so many pictures; default: all.")] = None,
    class_names: Annotated[
        str | None, typer.Option(help="Names of the model's classes, parted by commas, by output.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of dog-poses.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Pictures in one call of the method.")] = 32,
    shard: Annotated[int, typer.Option(min=1, help="Pictures in one file, what a killed run loses at most.")] = 256,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each process; part of the job.")] = 1,
    ray: Annotated[bool, typer.Option("--ray", help="Hand the work to Ray Data, on this machine.")] = False,
    ray_address: Annotated[str | None, typer.Option(help="Of a Ray cluster that runs: auto, ray://HOST:PORT.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Of Ray; default: as many as its processors.")] = None,
) -> None:
    """Explain any number of pictures: maps in compressed shards with an index; goes on where it was interrupted."""
    folder = writable(out)
    from tfviz import registry

    registry.find(method)
    from tfviz._explain import explain_all

    found = explain_all(
        model,
        data,
        method,
        out=folder,
        target=target,
        layer=layer,
        split=split,
        limit=limit,
        class_names=class_names,
        seed=seed,
        batch=batch,
        shard_images=shard,
        threads=threads,
        ray=ray,
        ray_address=ray_address,
        workers=workers,
        step=lambda shards: console.step("explaining", total=shards),
    )
    empty = sum(entry.empty for entry in found.entries)
    if empty:
        console.note(f"{empty} of {len(found)} maps are zero everywhere and say nothing; index.jsonl tells which.")
    console.say(f"{len(found):,} maps by {found.job['method']}")
    console.wrote(folder)
