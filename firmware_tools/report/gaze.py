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
    measures = {
        "rank correlation": [_number(gaze.spearman) for gaze in drift.engines],
        "top 20 % shared": [_share(gaze.overlap) for gaze in drift.engines],
        "points at it": [_share(gaze.pointing) for gaze in drift.engines],
        "mass on it": [_share(gaze.mass) for gaze in drift.engines],
        "same class": [_share(gaze.same_class) for gaze in drift.engines],
    }
    return section(
        "gaze.html.j2",
        "gaze",
        "Where it looks",
        packages=PACKAGES,
        question=drift.question,
        answer=drift.answer,
        rows=rows,
        engines=heads,
        figures=[(name, texts) for name, texts in measures.items() if any(texts)],
        method=drift.method,
    )


def _share(value: float | None) -> str:
    return "" if value is None else percent(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
