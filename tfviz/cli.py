"""The command line `tfviz`. Top floor: words to calls; what the words mean is in `tfviz.choose`.

TensorFlow, OpenCV and matplotlib are imported inside the commands, so that `--help` is quick.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfviz import _evaluate_command, _explain_command, _unit_commands, console
from tfviz.choose import Chosen, Picked, choose_model, choose_target, open_data, pick, writable
from tfviz.errors import InputError
from tfviz.train import BATCH_SIZE, EPOCHS, LEARNING_RATE

if TYPE_CHECKING:
    from tfviz.train import TrainingResult

app = console.app("tfviz", "Look inside a Keras CNN: what each layer sees, and where the network looks.")

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or module:function.")]
Image = Annotated[
    str, typer.Argument(metavar="IMAGE", help="A picture, or DATA of which --index and --class pick one.")
]
Out = Annotated[Path, typer.Option("--out", help="Where to write.")]
Split = Annotated[str | None, typer.Option(help="train, test or calibration part of DATA.")]
Index = Annotated[int, typer.Option(help="Which picture of DATA, from 0; with --class, which of that class.")]
ClassName = Annotated[str | None, typer.Option("--class", help="Pick a picture of this class.")]
ClassNames = Annotated[str | None, typer.Option(help="Names of the model's classes, parted by commas, by output.")]
Target = Annotated[str | None, typer.Option(help="Class to explain, by name or number; default: the one predicted.")]
Seed = Annotated[int, typer.Option(help="Seed of dog-poses.")]


@app.command()
def train(
    data: Annotated[str, typer.Argument(metavar="DATA", help="dog-poses, a folder of classes, an .npz, keras:NAME.")],
    out: Annotated[Path, typer.Option("--out", help="The .keras file to write; its sidecar is written beside it.")],
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = EPOCHS,
    size: Annotated[int, typer.Option(min=4, help="Side of the model's input.")] = 64,
    channels: Annotated[int, typer.Option(help="3 for RGB, 1 for grey.")] = 3,
    limit: Annotated[int | None, typer.Option(help="The first so many pictures to learn from.")] = None,
    test_limit: Annotated[int | None, typer.Option(help="The first so many pictures to judge by.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = BATCH_SIZE,
    learning_rate: Annotated[float, typer.Option(help="Its peak.")] = LEARNING_RATE,
    seed: Annotated[int, typer.Option(help="Of weights, order and dog-poses: the same seed, the same model.")] = 0,
) -> None:
    """Train a small CNN and judge it on held-out pictures."""
    target = writable(out, ".keras")
    if channels not in (1, 3):
        raise InputError(f"--channels is 1 (grey) or 3 (RGB), not {channels}.")
    from tfviz.train import train as fit

    with console.step("training", total=100) as advance:
        shown = 0

        def progress(done: int, total: int, message: str) -> None:
            nonlocal shown
            percent = 100 * done // max(total, 1)
            advance(percent - shown, message)
            shown = percent

        result = fit(
            data,
            epochs=epochs,
            size=size,
            channels=channels,
            limit=limit,
            test_limit=test_limit,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            progress=progress,
        )
    _say_training(result)
    for path in result.save(target):
        console.wrote(path)


def _say_training(result: "TrainingResult") -> None:
    console.say(
        f"accuracy {100 * result.accuracy:.1f} % on {result.test_images:,} held-out pictures, "
        f"learned from {result.train_images:,} in {result.seconds:.0f} s"
    )
    console.table(
        ["is \\ named", *result.class_names],
        [(name, *counts) for name, counts in zip(result.class_names, result.confusion.tolist(), strict=True)],
    )


@app.command()
def layers(model: Model) -> None:
    """List every layer that can be looked at, by its address."""
    from tfviz import tap
    from tfviz.models import load_model

    infos = tap.layers(load_model(model))
    console.table(
        ["address", "layer", "output", "dtype", "parameters", "activation"],
        [
            (
                info.address,
                info.class_name,
                _shape(info.output_shape),
                info.dtype,
                f"{info.parameters:,}",
                info.activation,
            )
            for info in infos
        ],
    )
    console.say(f"{len(infos)} layers; ADDRESS:pre is a layer before its activation")


def _shape(shape: tuple[Any, ...]) -> str:
    return " x ".join("?" if side is None else str(side) for side in shape[1:])


@app.command()
def methods() -> None:
    """List every method of explanation, and every metric that judges them."""
    from tfviz._metric_catalogue import FACTS
    from tfviz._unit_catalogue import ROWS
    from tfviz.registry import METHODS

    methods = ((method.name, method.kind, method.line, method.source) for method in METHODS.values())
    metrics = ((metric.name, "metric", metric.line, metric.source) for metric in FACTS)
    console.table(["method", "kind", "what it shows", "source"], [*methods, *ROWS, *metrics])


@app.command()
def maps(
    model: Model,
    image: Image,
    out: Annotated[Path, typer.Option("--out", help="The folder to write to, one .png for each layer.")],
    layer: Annotated[list[str] | None, typer.Option(help="Address of a layer; may be repeated. Default: all.")] = None,
    split: Split = None,
    index: Index = 0,
    class_name: ClassName = None,
    class_names: ClassNames = None,
    seed: Seed = 0,
) -> None:
    """Draw the feature maps of layers."""
    folder = writable(out)
    chosen, picked = _choose(model, image, class_names, split, index, class_name, seed)
    from tfviz import plot, tap
    from tfviz.maps import feature_maps

    wanted = layer or [info.address for info in tap.layers(chosen.model) if len(info.output_shape) in (2, 4)]
    found = feature_maps(chosen.model, chosen.preprocess(picked.images), wanted)
    several = [address for address, values in found.items() if not hasattr(values, "ndim")]
    if several:
        raise InputError(f"{several[0]} gives several tensors; the command line draws layers of one.")
    for address, values in console.progress(found.items(), "drawing", total=len(found)):
        draw = plot.feature_map_grid if values.ndim == 4 and values[0, ..., 0].size > 1 else plot.dense_bars
        path = folder / f"{address.replace('/', '.').replace(':', '-').replace('@', '-call')}.png"
        plot.save(draw(values, title=f"{address}, {picked.name}"), path)
        console.wrote(path)
    console.say(f"{len(found)} {'layer' if len(found) == 1 else 'layers'} of {picked.name}")


@app.command()
def saliency(
    model: Model,
    image: Image,
    out: Annotated[Path, typer.Option("--out", help="The .png to write.")],
    method: Annotated[str, typer.Option(help="A pixel or black-box method, see `tfviz methods`.")] = "saliency",
    target: Target = None,
    split: Split = None,
    index: Index = 0,
    class_name: ClassName = None,
    class_names: ClassNames = None,
    seed: Seed = 0,
) -> None:
    """Draw which pixels a class depends on."""
    from tfviz.registry import find

    found = find(method)
    if found.kind != "black-box":
        found = find(method, "pixel")
    _explain(found, model, image, out, target, split, index, class_name, class_names, seed)


@app.command()
def cam(
    model: Model,
    image: Image,
    out: Annotated[Path, typer.Option("--out", help="The .png to write.")],
    method: Annotated[str, typer.Option(help="A layer method, see `tfviz methods`.")] = "grad-cam",
    layer: Annotated[str | None, typer.Option(help="Address of a layer; default: the last one with maps.")] = None,
    target: Target = None,
    split: Split = None,
    index: Index = 0,
    class_name: ClassName = None,
    class_names: ClassNames = None,
    seed: Seed = 0,
) -> None:
    """Draw where in the picture the network looks for a class."""
    from tfviz.registry import find

    options = {} if layer is None else {"layer": layer}
    _explain(find(method, "layer"), model, image, out, target, split, index, class_name, class_names, seed, **options)


def _explain(
    method: Any,
    model: str,
    image: str,
    out: Path,
    target: str | None,
    split: str | None,
    index: int,
    class_name: str | None,
    class_names: str | None,
    seed: int,
    **options: Any,
) -> None:
    path = writable(out, ".png")
    chosen, picked = _choose(model, image, class_names, split, index, class_name, seed)
    explained = choose_target(target, chosen.class_names, _units(chosen))
    x = chosen.preprocess(picked.images)
    heat = method.function(chosen.model, x, explained, **options)
    from tfviz import plot

    title, line = _said(chosen, picked, explained, x)
    shown = chosen.preprocess.display(x)
    plot.save(
        plot.overlay_beside(
            shown, heat, target=title, method=method.name, layer=options.get("layer", ""), colour_map="inferno"
        ),
        path,
    )
    console.say(f"{picked.name}: {line}")
    console.wrote(path)


@app.command()
def report(
    model: Model,
    images: Annotated[str, typer.Argument(metavar="IMAGES", help="A picture, or DATA as for train.")],
    out: Annotated[Path, typer.Option("--out", help="The .html to write.")],
    split: Split = None,
    limit: Annotated[int | None, typer.Option(help="Judge the first so many pictures.")] = 100,
    show: Annotated[int, typer.Option(min=1, max=24, help="Show so many of them, layer by layer.")] = 6,
    target: Target = None,
    class_names: ClassNames = None,
    seed: Seed = 0,
) -> None:
    """Write one self-contained page: what the network says, where it looks, and every layer's maps."""
    path = writable(out, ".html", ".htm")
    chosen = choose_model(model, class_names)
    dataset = open_data(chosen, images, split=split, limit=limit, seed=seed)
    chosen = chosen.named(dataset)
    explained = choose_target(target, chosen.class_names, _units(chosen))
    from tfviz.report.model import write_model_page

    batches = console.progress(dataset.batches(32), "judging pictures", total=-(-len(dataset) // 32))
    shown = write_model_page(
        path,
        chosen.model,
        dataset,
        chosen.preprocess,
        name=Path(model).stem,
        class_names=chosen.class_names,
        most=show,
        target=explained,
        batches=batches,
    )
    console.say(f"{len(shown.images)} of {len(dataset)} pictures shown")
    console.wrote(path)


def _choose(
    model: str,
    image: str,
    class_names: str | None,
    split: str | None,
    index: int,
    class_name: str | None,
    seed: int,
) -> tuple[Chosen, Picked]:
    """The model and the one picture of a command."""
    chosen = choose_model(model, class_names)
    dataset = open_data(chosen, image, split=split, seed=seed)
    chosen = chosen.named(dataset)
    return chosen, pick(dataset, index=index, class_name=class_name, names=chosen.class_names)


def _units(chosen: Chosen) -> int | None:
    shape = chosen.model.output_shape
    return shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None


def _said(chosen: Chosen, picked: Picked, explained: int | None, x: Any) -> tuple[str, str]:
    """A title for the picture and a line for the reader: what is explained, what was predicted, what it is."""
    from tfviz.report.model import predict
    from tfviz.report.shots import class_name, probabilities

    names = chosen.class_names
    shares = probabilities(predict(chosen.model, x))[0]
    said = int(shares.argmax())
    subject = said if explained is None else explained
    line = f"predicted {class_name(names, said)} ({100 * shares[said]:.1f} %)"
    if picked.label is not None:
        line += f", labelled {class_name(names, picked.label)}"
    if subject != said:
        line += f", explained {class_name(names, subject)} ({100 * shares[subject]:.1f} %)"
    return f"{class_name(names, subject)} {100 * shares[subject]:.1f} %", line


_unit_commands.register(app)
_evaluate_command.register(app)
_explain_command.register(app)


def main() -> None:
    """The console script `tfviz`."""
    console.run(app)


if __name__ == "__main__":
    main()
