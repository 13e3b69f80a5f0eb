"""A `Comparison` to `report.html`."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from firmware_tools.report import sections
from firmware_tools.report.words import engine_heads
from firmware_tools.results import Comparison, Sample
from tfviz.report.page import write_page
from tfviz.report.shots import Pixels, class_name, heat_overlay, picture_uri, probabilities, scores
from tfviz.report.views import Overlay, Scores, Shot
from tfviz.trace import Trace

if TYPE_CHECKING:
    import keras

    from tfviz.preprocess import Preprocess

MOST_CLASSES = 1000


def write_report(
    comparison: Comparison,
    out: str | os.PathLike[str],
    *,
    model: "keras.Model | None" = None,
    preprocess: "Preprocess | None" = None,
    title: str = "",
    commands: Sequence[str] = (),
) -> None:
    """Write the page of a comparison: one file, whole or not at all.

    Args:
        comparison: its `samples` are the images that the page shows.
        out: the `.html` to write.
        model: the float Keras model; with it the page also shows where the network looks (Grad-CAM, saliency).
        preprocess: what that model expects of pixels.
        title: of the page; default: the board's or the engine's name.
        commands: that made the page, to be repeated by its reader.

    Raises:
        InputError: `out` cannot be written.
    """
    shots = _shots(comparison, model, preprocess)
    parts = [sections.headline_section(comparison)]
    if shots:
        parts.append(sections.shots_section(shots))
    parts += [sections.layers_section(comparison, shots), sections.table_section(comparison)]
    dataset = sections.dataset_section(comparison)
    if dataset:
        parts.append(dataset)
    parts.append(sections.board_section(comparison, commands))
    engine = comparison.engine("engine")
    name = title or comparison.board or (engine.name if engine else "report")
    write_page(out, name, parts, footer="Made by firmware-tools. Everything shown is in this file.")


def _shots(comparison: Comparison, model: "keras.Model | None", preprocess: "Preprocess | None") -> list[Shot]:
    """The samples with a picture; none where any sample has none (then the layers' images have no names either)."""
    samples = comparison.samples
    pictures = [sample.image for sample in samples if sample.image is not None]
    if not samples or len(pictures) != len(samples):
        return []
    looks = _looks(pictures, model, preprocess) if model is not None else [()] * len(samples)
    return [
        _shot(comparison, sample, picture, look) for sample, picture, look in zip(samples, pictures, looks, strict=True)
    ]


def _shot(comparison: Comparison, sample: Sample, picture: Pixels, looks: Sequence[Overlay]) -> Shot:
    shown = _scores(comparison, sample)
    uri = picture_uri(picture)
    title, tone = _said(comparison, sample)
    height, width = picture.shape[:2]
    own = Overlay("The picture", f"{width} by {height} pixels, as the network gets it.", uri, None, width / height)
    return Shot(sample.name, title, tone, uri, (own, *looks), shown)


def _said(comparison: Comparison, sample: Sample) -> tuple[str, str]:
    outputs = _outputs(sample.engine)
    if outputs is None:
        return sample.name, ""
    said = class_name(comparison.class_names, int(np.argmax(outputs)))
    if sample.label is None:
        return f"Says {said}", ""
    if sample.label == int(np.argmax(outputs)):
        return f"Says {said}, and is right", "good"
    return f"Says {said}, but it is {class_name(comparison.class_names, sample.label)}", "bad"


def _scores(comparison: Comparison, sample: Sample) -> Scores | None:
    columns = {}
    heads = ("Float", *engine_heads(comparison))
    for head, trace in zip(heads, (sample.float, sample.reference, sample.engine), strict=True):
        outputs = _outputs(trace) if trace else None
        if outputs is not None:
            columns[head] = outputs
    if not columns or len({len(values) for values in columns.values()}) != 1:
        return None
    return scores(columns, comparison.class_names, sample.label)


def _outputs(trace: Trace) -> Any:
    """A classifier's first output as shares of 1 (K,), or None where the output is something else."""
    if not trace.outputs:
        return None
    values = trace.outputs[0].real
    if values.ndim != 2 or len(values) != 1 or values.shape[1] > MOST_CLASSES:
        return None
    return probabilities(values)[0]


def _looks(
    pictures: Sequence[Pixels], model: "keras.Model", preprocess: "Preprocess | None"
) -> list[tuple[Overlay, ...]]:
    """Grad-CAM and Simonyan's saliency of each picture, for the class that the float model names."""
    from tfviz.cam import grad_cam
    from tfviz.gradients import saliency

    from tfviz.preprocess import default_preprocess

    prepare = preprocess or default_preprocess(model.input_shape)
    x = prepare(np.stack(pictures))
    cams, pixels = grad_cam(model, x), saliency(model, x)
    return [
        (
            heat_overlay("Grad-CAM", "Where the last feature maps speak for the class named.", picture, cam),
            heat_overlay("Saliency", "Pixels whose change would change the score most.", picture, pixel, fine=True),
        )
        for picture, cam, pixel in zip(pictures, cams, pixels, strict=True)
    ]
