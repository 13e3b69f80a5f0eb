"""A `Comparison` to `report.html`."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from firmware_tools.report import pairs, sections
from firmware_tools.report.gaze import drift_section
from firmware_tools.report.words import engine_heads
from firmware_tools.report.words import title as title_of
from firmware_tools.results import Comparison, Sample
from tfviz.report.page import write_page
from tfviz.report.shots import (
    Pixels,
    looks_at,
    picture_overlay,
    picture_uri,
    probabilities,
    scores,
    verdict_words,
)
from tfviz.report.views import Overlay, Scores, Shot
from tfviz.trace import Trace

if TYPE_CHECKING:
    import keras

    from firmware_tools.explain import Looks
    from tfviz.preprocess import Preprocess

MOST_CLASSES = 1000


def write_report(
    comparison: Comparison,
    out: str | os.PathLike[str],
    *,
    model: "keras.Model | None" = None,
    preprocess: "Preprocess | None" = None,
    looks: "Sequence[Looks]" = (),
    title: str = "",
    commands: Sequence[str] = (),
) -> None:
    """Write the page of a comparison: one file, whole or not at all.

    Args:
        comparison: its `samples` are the images that the page shows.
        out: the `.html` to write.
        model: the float Keras model; with it the page also shows where the network looks (Grad-CAM, saliency).
        preprocess: what that model expects of pixels.
        looks: the pictures of the comparison's `drift` with every engine's map.
        title: of the page; default: the board, or the two engines.
        commands: that made the page, to be repeated by its reader.

    Raises:
        InputError: `out` cannot be written.
    """
    shots = _shots(comparison, model, preprocess)
    parts = [sections.headline_section(comparison)]
    if shots:
        parts.append(sections.shots_section(shots))
    if comparison.drift is not None:
        parts.append(drift_section(comparison.drift, looks, comparison))
    parts += [sections.layers_section(comparison, shots), sections.table_section(comparison)]
    asked = (
        sections.dataset_section(comparison),
        pairs.pairs_section(comparison),
        pairs.thresholds_section(comparison),
    )
    parts += [part for part in asked if part is not None]
    parts.append(sections.board_section(comparison, commands))
    write_page(
        out, title or title_of(comparison), parts, footer="Made by firmware-tools. Everything shown is in this file."
    )


def _shots(comparison: Comparison, model: "keras.Model | None", preprocess: "Preprocess | None") -> list[Shot]:
    """The samples with a picture; none where any sample has none (then the layers' images have no names either)."""
    samples = comparison.samples
    pictures = [sample.image for sample in samples if sample.image is not None]
    if not samples or len(pictures) != len(samples):
        return []
    looks = _looks(pictures, model, preprocess)
    return [
        _shot(comparison, sample, picture, look) for sample, picture, look in zip(samples, pictures, looks, strict=True)
    ]


def _looks(
    pictures: Sequence[Pixels], model: "keras.Model | None", preprocess: "Preprocess | None"
) -> list[tuple[Overlay, ...]]:
    """The pictures, with a model also where it looks for the class that it names."""
    if model is None:
        return [(picture_overlay(picture),) for picture in pictures]
    from tfviz.preprocess import default_preprocess

    images = np.stack(pictures)
    return looks_at(model, images, (preprocess or default_preprocess(model.input_shape))(images))


def _shot(comparison: Comparison, sample: Sample, picture: Pixels, looks: tuple[Overlay, ...]) -> Shot:
    outputs = _outputs(sample.engine)
    title, tone = (
        (sample.name, "")
        if outputs is None
        else verdict_words(comparison.class_names, int(np.argmax(outputs)), sample.label)
    )
    return Shot(sample.name, title, tone, picture_uri(picture), looks, _scores(comparison, sample))


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
