"""Where float, int8 and board look: the page's section of a `Drift`, all maps of a picture in one colour scale."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from firmware_tools.report.words import describe, percent
from firmware_tools.results import Comparison, Drift
from tfviz.report.page import section
from tfviz.report.shots import class_name, heat_overlay
from tfviz.report.views import Overlay, Section

if TYPE_CHECKING:
    from firmware_tools.explain import Looks

PACKAGES = ("firmware_tools.report",)
_SHORT = {"float": "Float", "int8": "int8", "device": "Board"}


def drift_section(drift: Drift, looks: "Sequence[Looks]", comparison: Comparison) -> Section:
    """The question, its answer, a row of pictures for each image, and the figures of each engine."""
    names = comparison.class_names
    heads = [describe(gaze.engine, comparison.board).removeprefix("the ") for gaze in drift.engines]
    short = [_SHORT[gaze.role] for gaze in drift.engines]
    rows = []
    for look in looks:
        top = max(float(heat.max()) for heat in look.maps) or 1.0
        said = [class_name(names, index) for index in look.said]
        label = "" if look.label is None else f", which is {class_name(names, look.label)}"
        overlays: list[Overlay] = [
            heat_overlay(head, f"says {name}", look.image, heat, top=top)
            for head, name, heat in zip(short, said, look.maps, strict=True)
        ]
        rows.append((f"{look.name}{label}", overlays, len(set(look.said)) > 1))
    figures = [
        (
            head,
            _number(gaze.spearman),
            _share(gaze.overlap),
            _share(gaze.pointing),
            _share(gaze.mass),
            _share(gaze.same_class),
        )
        for head, gaze in zip(heads, drift.engines, strict=True)
    ]
    columns = ["rank correlation", "top 20 % shared", "points at it", "mass on it", "same class"]
    kept = [at for at in range(len(columns)) if any(row[at + 1] for row in figures)]
    return section(
        "gaze.html.j2",
        "gaze",
        "Where it looks",
        packages=PACKAGES,
        question=drift.question,
        answer=drift.answer,
        rows=rows,
        columns=[columns[at] for at in kept],
        figures=[(row[0], [row[at + 1] for at in kept]) for row in figures],
        method=drift.method,
    )


def _share(value: float | None) -> str:
    return "" if value is None else percent(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
