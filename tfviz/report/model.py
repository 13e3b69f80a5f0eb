"""The page of a Keras model: what it says of some pictures, where it looks, and what every layer makes of them."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.report.album import Album
from tfviz.report.page import section, write_page
from tfviz.report.panels import layer_panels, limits, pixel_budget, without_batch
from tfviz.report.shots import Pixels, looks_at, picture_uri, probabilities, scores, verdict_words
from tfviz.report.views import Fact, Headline, Layer, Section, Shot

if TYPE_CHECKING:
    import keras

    from tfviz.data import Dataset
    from tfviz.preprocess import Preprocess

MOST_SHOTS = 6
_PLUMBING = ("InputLayer", "Dropout", "SpatialDropout2D", "GaussianNoise", "Identity")


@dataclasses.dataclass(frozen=True)
class Judged:
    """Pictures with what a model said of them: uint8 (B, H, W, C), names, labels (B,) or None, outputs (B, K)."""

    images: Pixels
    names: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None
    outputs: npt.NDArray[np.float32]

    @property
    def said(self) -> npt.NDArray[np.int64]:
        """The class that the model names for each picture, (B,)."""
        return np.argmax(probabilities(self.outputs), axis=1)

    @property
    def right(self) -> npt.NDArray[np.bool_] | None:
        """Whether it named the label, (B,), or None without labels."""
        return None if self.labels is None else np.asarray(self.said == self.labels)

    def take(self, positions: Sequence[int]) -> "Judged":
        """Some of them, in this order."""
        chosen = list(positions)
        labels = None if self.labels is None else self.labels[chosen]
        return Judged(self.images[chosen], tuple(self.names[i] for i in chosen), labels, self.outputs[chosen])


def write_model_page(
    out: str | os.PathLike[str],
    model: "keras.Model",
    dataset: "Dataset",
    preprocess: "Preprocess",
    *,
    name: str = "",
    class_names: Sequence[str] = (),
    most: int = MOST_SHOTS,
    target: Any = None,
    batches: Iterable[Any] | None = None,
) -> Judged:
    """Write the page of `model` over a data set; all pictures are judged, a few are shown. Returns the shown ones.

    Args:
        out: the `.html` to write.
        model: with one picture as input and classes as output.
        dataset: from the data door.
        preprocess: what the model expects of pixels.
        name: of the model.
        class_names: of the outputs; may be empty.
        most: pictures to show, one of each class first, then wrong ones.
        target: what Grad-CAM and saliency explain; None: each picture's own prediction.
        batches: the data's batches, where the caller wants to watch them pass.

    Raises:
        InputError: the model gives no scores of classes, or the data do not fit.
    """
    right, total, kept = 0, 0, _Keeper(most)
    for batch in batches if batches is not None else dataset.batches(32):
        judged = Judged(batch.images, batch.names, batch.labels, predict(model, preprocess(batch.images)))
        total += len(judged.images)
        right += 0 if judged.right is None else int(judged.right.sum())
        kept.add(judged)
    shown = kept.shown()
    parts = [
        _headline(name or model.name, model, shown, right, total),
        *model_sections(model, shown, preprocess, class_names=class_names, target=target),
    ]
    footer = f"Made by tfviz from {dataset.spec}, data {dataset.identity}. Everything shown is in this file."
    write_page(out, name or model.name, parts, footer=footer)
    return shown


class _Keeper:
    """Chooses pictures while they stream by, in memory for `most` of each kind: first come, one of each class in turn.

    Up to a third of the pictures shown are ones that the model gets wrong, where there are any.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[bool, list[tuple[tuple[int, int], Judged]]] = {True: [], False: []}

    def add(self, judged: Judged) -> None:
        """Look at some more pictures."""
        for position in range(len(judged.images)):
            one = judged.take([position])
            kept = self._kept[one.right is None or bool(one.right[0])]
            label = -1 if one.labels is None else int(one.labels[0])
            turn = sum(other == label for (_, other), _ in kept)
            kept.append(((turn, label), one))
            kept.sort(key=lambda entry: entry[0])  # stable: of equal ones the earlier picture stays in front
            del kept[self._most :]

    def shown(self) -> Judged:
        """The chosen pictures, right ones first."""
        wrong = self._kept[False][: max(self._most // 3, self._most - len(self._kept[True]))]
        chosen = [one for _, one in self._kept[True][: self._most - len(wrong)] + wrong]
        if not chosen:
            raise InputError("The data hold no picture to show.")
        return Judged(
            np.concatenate([one.images for one in chosen]),
            tuple(name for one in chosen for name in one.names),
            None if chosen[0].labels is None else np.concatenate([np.asarray(one.labels) for one in chosen]),
            np.concatenate([one.outputs for one in chosen]),
        )


def predict(model: "keras.Model", x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A classifier's outputs (B, K) in inference mode; the model stays as it is.

    Raises:
        InputError: outputs of another rank.
    """
    from tfviz.tap import execute

    outputs = np.asarray(execute(model, ("report", "outputs"), _first_output, [x])[0])
    if outputs.ndim != 2:
        raise InputError(
            f"The page shows classifiers, with outputs (B, classes), and this model gives {outputs.shape}."
        )
    return outputs.astype(np.float32)


def _first_output(model: Any, images: Any) -> list[Any]:
    import keras

    from tfviz.tap import run

    return [keras.tree.flatten(run(model, images).outputs)[0]]


def model_section(
    model: "keras.Model", images: Pixels, preprocess: "Preprocess", *, class_names: Sequence[str] = ()
) -> Section:
    """The layers of `model` over uint8 pictures (B, H, W, C), as one section for any page."""
    judged = Judged(images, tuple(f"image {i}" for i in range(len(images))), None, predict(model, preprocess(images)))
    return model_sections(model, judged, preprocess, class_names=class_names)[1]


def model_sections(
    model: "keras.Model",
    judged: Judged,
    preprocess: "Preprocess",
    *,
    class_names: Sequence[str] = (),
    target: Any = None,
) -> tuple[Section, Section]:
    """The pictures with where the network looks, and the column of layers."""
    x = preprocess(judged.images)
    shots = _shots(model, judged, x, class_names, target)
    album = Album()
    column = _layers(model, x, album)
    intro = (
        "What each layer makes of the picture, from the input down to the classes. All maps of a layer have the same "
        "colours for the same numbers; choose one to see it closely."
    )
    return (
        section("shots.html.j2", "images", "Where it looks", shots=shots, note=""),
        section("layers.html.j2", "layers", "Layers", pictures=album.pictures, layers=column, shots=shots, intro=intro),
    )


def _headline(name: str, model: "keras.Model", shown: Judged, right: int, total: int) -> Section:
    from tfviz.tap import survey

    known = shown.labels is not None
    sentence = f"{name} names {right:,} of {total:,} pictures right." if known else f"What {name} sees."
    shape = " \N{MULTIPLICATION SIGN} ".join("?" if side is None else str(side) for side in model.input_shape[1:])
    facts = [
        Fact("Accuracy", f"{100 * right / total:.1f} %", f"of {total:,} pictures") if known else None,
        Fact("Input", shape, "height, width, channels"),
        Fact("Layers", str(len(survey(model).calls))),
        Fact("Parameters", f"{model.count_params():,}"),
        Fact("Classes", str(max(2, shown.outputs.shape[1]))),
    ]
    return section(
        "headline.html.j2", "verdict", "", headline=Headline(sentence), facts=[fact for fact in facts if fact]
    )


def _shots(
    model: "keras.Model", judged: Judged, x: npt.NDArray[np.float32], class_names: Sequence[str], target: Any
) -> list[Shot]:
    shares = probabilities(judged.outputs)
    looks = looks_at(model, judged.images, x, target)
    made = []
    for index, (picture, overlays) in enumerate(zip(judged.images, looks, strict=True)):
        label = None if judged.labels is None else int(judged.labels[index])
        said = int(judged.said[index])
        title, tone = verdict_words(class_names, said, label)
        table = scores({"share": shares[index]}, class_names, label)
        made.append(Shot(judged.names[index], title, tone, picture_uri(picture), overlays, table))
    return made


def _layers(model: "keras.Model", x: npt.NDArray[np.float32], album: Album) -> list[Layer]:
    """A record for each layer with something to show; one picture is run at a time, so memory stays small."""
    from tfviz import tap
    from tfviz.maps import feature_maps

    infos = [
        info
        for info in tap.layers(model)
        if info.class_name not in _PLUMBING and len(info.output_shape) in (2, 4) and info.dtype.startswith("float")
    ]
    taps = {info.address: _taps(info) for info in infos}
    wanted = [address for addresses in taps.values() for address, _, _ in addresses]
    maps = [feature_maps(model, x[index : index + 1], wanted) for index in range(len(x))]
    budget = pixel_budget(len(wanted) * len(x))
    made = []
    for number, info in enumerate(infos):
        engines = [
            (title, subtitle, [without_batch(of_image[address]) for of_image in maps])
            for address, title, subtitle in taps[info.address]
        ]
        panels = layer_panels(album, engines, pixels=budget)
        note = limits(panels[0].grid, engines[0][2][0].size)
        facts = (("parameters", f"{info.parameters:,}"),) if info.parameters else ()
        made.append(
            Layer(
                anchor=f"layer-{number}",
                number=str(number),
                name=info.address,
                kind=info.class_name,
                shape=_shape(info),
                panels=panels,
                facts=facts,
                notes=(note,) if note else (),
            )
        )
    return made


def _shape(info: Any) -> str:
    return " \N{MULTIPLICATION SIGN} ".join("?" if side is None else str(side) for side in info.output_shape[1:])


def _taps(info: Any) -> list[tuple[str, str, str]]:
    """(address, title, subtitle) of what is shown of a layer: before and after its activation where it has one."""
    if info.activation and info.class_name not in ("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Activation"):
        return [
            (f"{info.address}:pre", f"Before {info.activation}", "weights and bias"),
            (info.address, f"After {info.activation}", "what the next layer gets"),
        ]
    return [(info.address, "Output", info.activation or "")]
