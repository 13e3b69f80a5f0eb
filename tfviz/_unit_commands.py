"""Commands of `tfviz` about the network itself: what units want to see, see, and never say."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfviz import console
from tfviz.choose import choose_model, choose_target, open_data, writable
from tfviz.errors import InputError

if TYPE_CHECKING:
    from tfviz.objective import Objective

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or module:function.")]
Data = Annotated[str, typer.Argument(metavar="DATA", help="dog-poses, a folder of classes, an .npz, keras:NAME.")]
Out = Annotated[Path, typer.Option("--out", help="The .png to write.")]
Split = Annotated[str | None, typer.Option(help="train, test or calibration part of DATA.")]
Limit = Annotated[int, typer.Option(min=1, help="The first so many pictures of DATA.")]
ClassNames = Annotated[str | None, typer.Option(help="Names of the model's classes, parted by commas, by output.")]
Seed = Annotated[int, typer.Option(help="Seed.")]
_MOST = 16


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (maximize, exciting, channels, mistakes, fields):
        app.command()(command)


def maximize(
    model: Model,
    out: Out,
    layer: Annotated[str | None, typer.Option(help="Address of a layer; ADDRESS:pre is before its activation.")] = None,
    unit: Annotated[list[int] | None, typer.Option(help="Channel; may be repeated. Default: the first 16.")] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Class, instead of --layer; may be repeated. Default: all.")
    ] = None,
    way: Annotated[str, typer.Option(help="How the picture is written down: fourier, pixels or maco.")] = "fourier",
    steps: Annotated[int, typer.Option(min=1, help="Steps up the gradient.")] = 200,
    smoothness: Annotated[float, typer.Option(min=0, help="How much a rough picture is held against it.")] = 5.0,
    count: Annotated[int, typer.Option(min=1, max=16, help="Variations of each picture.")] = 1,
    class_names: ClassNames = None,
    seed: Seed = 0,
) -> None:
    """Draw what units want to see: pictures made from noise to excite a channel or a class as much as possible."""
    path = writable(out, ".png")
    if layer is not None and target is not None:
        raise InputError("Give --layer with --unit, or --target; one picture is made for a channel or for a class.")
    if layer is None and unit is not None:
        raise InputError("--unit is a channel of a layer; say which: --layer ADDRESS.")
    chosen = choose_model(model, class_names)
    from tfviz import parametrisation, plot
    from tfviz._maximize import activations
    from tfviz._maximize import maximize as make

    ways: dict[str, Any] = {
        "fourier": parametrisation.fourier,
        "pixels": parametrisation.pixels,
        "maco": parametrisation.maco,
    }
    if way not in ways:
        raise InputError(f"There is no --way {way!r}; there are {', '.join(ways)}.")
    titles, objective = _wanted(chosen, layer, unit, target)
    with console.step(f"making {len(titles) * count} pictures in {steps} steps"):
        options: dict[str, Any] = {"parametrisation": ways[way](), "smoothness": smoothness, "steps": steps}
        made = make(chosen.model, objective, **options, count=count, preprocess=chosen.preprocess, seed=seed)
        reached = activations(chosen.model, objective, made)
    each = [title for title in titles for _ in range(count)]
    lines = [f"{title}: {value:.3g}" for title, value in zip(each, reached, strict=True)]
    silent = (reached <= 0).tolist() if layer is not None else None
    title = f"what {'classes' if layer is None else f'channels of {layer}'} want to see, and how much it excites them"
    across = count if count > 1 else None
    shown = chosen.preprocess.display(made)
    plot.save(plot.picture_grid(shown, titles=lines, title=title, columns=across, silent=silent), path)
    if silent and any(silent):
        console.note(f"{sum(silent)} of {len(silent)} stay silent; try --layer {layer}:pre, or more --steps.")
    console.wrote(path)


def _wanted(
    chosen: Any, layer: str | None, unit: list[int] | None, target: list[str] | None
) -> tuple[list[str], "Objective"]:
    """Titles of the pictures, and the objective for all of them."""
    from tfviz import objective
    from tfviz.tap import locate

    if layer is None:
        shape = chosen.model.output_shape
        if not isinstance(shape, tuple) or len(shape) != 2:
            raise InputError(f"The model gives {shape}, no classes; give --layer and --unit.")
        classes = max(int(shape[-1]), 2)
        if target is None:
            wanted = list(range(min(classes, _MOST)))
        else:
            wanted = [choose_target(text, chosen.class_names, shape[-1]) for text in target]
        names = chosen.class_names or tuple(f"class {k}" for k in range(classes))
        return [names[k] for k in wanted], objective.logit(wanted)
    address, _, call = locate(chosen.model, layer)
    count = call.shapes[0][-1]
    units = unit or list(range(min(count or 1, _MOST)))
    if count is not None and unit is None and count > _MOST:
        console.note(f"{address} has {count} channels; the first {_MOST} are drawn, --unit picks others.")
    return [f"channel {k}" for k in units], objective.channel(layer, units)


def exciting(
    model: Model,
    data: Data,
    out: Out,
    layer: Annotated[str, typer.Option(help="Address of a layer.")],
    unit: Annotated[list[int] | None, typer.Option(help="Channel; may be repeated. Default: the first 8.")] = None,
    most: Annotated[int, typer.Option(min=1, max=16, help="Pictures for each channel.")] = 6,
    split: Split = None,
    limit: Limit = 500,
    seed: Seed = 0,
) -> None:
    """Draw the pictures of a data set that excite channels most, with what the strongest unit sees in them."""
    path = writable(out, ".png")
    chosen = choose_model(model)
    dataset = open_data(chosen, data, split=split, limit=limit, seed=seed)
    from tfviz import network, plot
    from tfviz._maximize import maximize as make
    from tfviz.objective import channel
    from tfviz.tap import locate

    address, _, call = locate(chosen.model, layer)
    units = unit or list(range(min(call.shapes[0][-1] or 1, 8)))
    with console.step(f"looking through {len(dataset)} pictures"):
        found = network.top_images(chosen.model, dataset, layer, channels=units, k=most, preprocess=chosen.preprocess)
    with console.step(f"making {len(units)} pictures"):
        made = make(chosen.model, channel(layer, units), preprocess=chosen.preprocess, seed=seed)
    title = f"{address}: a picture made for each channel, and what excites it most in {data} ({len(dataset)} pictures)"
    plot.save(plot.excitation_rows(found, made=chosen.preprocess.display(made), title=title), path)
    console.wrote(path)


def channels(
    model: Model,
    data: Data,
    out: Annotated[Path | None, typer.Option("--out", help="A .png to draw them to.")] = None,
    layer: Annotated[
        list[str] | None, typer.Option(help="Address; may be repeated. Default: convolutions and Dense.")
    ] = None,
    split: Split = None,
    limit: Limit = 500,
    seed: Seed = 0,
) -> None:
    """Find dead and saturated channels over a data set."""
    path = None if out is None else writable(out, ".png")
    chosen = choose_model(model)
    dataset = open_data(chosen, data, split=split, limit=limit, seed=seed)
    from tfviz.network import channel_statistics

    with console.step(f"looking through {len(dataset)} pictures"):
        found = channel_statistics(chosen.model, dataset, layer, preprocess=chosen.preprocess)
    console.table(
        ["layer", "channels", "dead", "saturated", "rare", "active, %", "largest"],
        [
            (
                one.address,
                len(one.mean),
                _listed(one.dead),
                _listed(one.saturated),
                _listed(one.rare),
                f"{100 * one.active.mean():.1f}",
                f"{one.maximum.max():.3g}",
            )
            for one in found.values()
        ],
    )
    dead, total = sum(int(one.dead.sum()) for one in found.values()), sum(len(one.mean) for one in found.values())
    console.say(f"{dead} of {total} channels are dead over {len(dataset)} pictures")
    if path is not None:
        from tfviz import plot

        plot.save(plot.channel_bars(found), path)
        console.wrote(path)


def _listed(flags: Any) -> str:
    """How many, and the first of them by number.

    >>> import numpy as np
    >>> _listed(np.array([False, True, True])), _listed(np.zeros(3, bool))
    ('2: 1, 2', '0')
    """
    at = [number for number, flag in enumerate(flags) if flag]
    shown = ", ".join(map(str, at[:6])) + (", ..." if len(at) > 6 else "")
    return f"{len(at)}: {shown}" if at else "0"


def mistakes(
    model: Model,
    data: Data,
    out: Out,
    split: Split = None,
    limit: Limit = 500,
    most: Annotated[int, typer.Option(min=1, max=6, help="Pictures of each kind.")] = 3,
    class_names: ClassNames = None,
    seed: Seed = 0,
) -> None:
    """Draw wrong predictions beside right ones, by what was taken for what."""
    path = writable(out, ".png")
    chosen = choose_model(model, class_names)
    dataset = open_data(chosen, data, split=split, limit=limit, seed=seed)
    chosen = chosen.named(dataset)
    from tfviz import network, plot

    with console.step(f"judging {len(dataset)} pictures"):
        options: dict[str, Any] = {"each": most, "class_names": chosen.class_names, "preprocess": chosen.preprocess}
        outcomes = network.correct_and_wrong(chosen.model, dataset, **options)
    right = f"{100 * outcomes.accuracy:.1f} % of {len(dataset)} pictures right"
    if not outcomes.confusions:
        console.say(f"{right}: nothing was confused, so nothing is drawn")
        return
    console.say(f"{right}, {len(outcomes.confusions)} kinds of confusion")
    plot.save(plot.confusion_rows(outcomes, each=most), path)
    console.wrote(path)


def fields(
    model: Model,
    layer: Annotated[list[str] | None, typer.Option(help="Address; may be repeated. Default: all with maps.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Side of the picture, for models that take any.")] = None,
) -> None:
    """List the receptive field of each layer's units: how much of the picture one of them sees."""
    from tfviz.models import load_model
    from tfviz.network import receptive_fields

    found = receptive_fields(load_model(model), layer, size=None if size is None else (size, size))
    console.table(
        ["address", "maps", "field", "stride", "from"],
        [(one.address, *(_pair(pair) for pair in (one.maps, one.size, one.stride, one.start))) for one in found],
    )
    console.say("pixels, rows x columns; 'from' is the first pixel of unit 0, negative in the padding")


def _pair(pair: tuple[int | None, int | None]) -> str:
    """Rows x columns; a field without a known end is all of the picture, an uneven stride is a dash.

    >>> _pair((3, None))
    '3 x -'
    """
    return " x ".join("-" if one is None else str(one) for one in pair)
