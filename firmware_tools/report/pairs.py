"""Two sections that are there only when they were asked for: every pair of engines, and what was demanded."""

import dataclasses

from firmware_tools._show import numbered
from firmware_tools.report.words import decibel, op_name, percent
from firmware_tools.results import Comparison, Pair
from tfviz.report.page import section
from tfviz.report.views import Section

PACKAGES = ("firmware_tools.report",)


@dataclasses.dataclass(frozen=True)
class Cell:
    """What two engines have to do with each other: a line in bold, a line below, and how good it is."""

    head: str
    words: str = ""
    tone: str = ""


def pairs_section(comparison: Comparison) -> Section | None:
    """Every engine against every other; None where that was not asked for."""
    matrix = comparison.matrix
    if matrix is None:
        return None
    names = numbered([info.name for info in matrix.engines])
    size = len(names)
    cells = [[Cell("") for _ in range(size)] for _ in range(size)]
    for pair in matrix.pairs:
        cells[pair.first][pair.second] = _layers(pair)
        if pair.top1_agreement is not None:
            tone = "good" if pair.top1_agreement == 1 else ""
            cells[pair.second][pair.first] = Cell(percent(pair.top1_agreement), "name the same class", tone)
    return section(
        "pairs.html.j2", "pairs", "Every pair of engines", packages=PACKAGES, names=names,
        rows=list(zip(names, [info.kernels for info in matrix.engines], cells, strict=True)),
    )  # fmt: skip


def thresholds_section(comparison: Comparison) -> Section | None:
    """What was demanded and what was found; None where nothing was."""
    if not comparison.thresholds:
        return None
    layers = {f"op {op.index}": op_name(op) for op in comparison.ops}
    missed = [threshold for threshold in comparison.thresholds if not threshold.met]
    intro = f"{len(comparison.thresholds) - len(missed)} of {len(comparison.thresholds)} demands are met."
    rows = [
        (layers.get(one.scope, one.scope), one.metric, one.bound, _value(one.value), one.met)
        for one in [*missed, *(one for one in comparison.thresholds if one.met)]
    ]
    return section("thresholds.html.j2", "demands", "Demands", packages=PACKAGES, intro=intro, rows=rows)


def _layers(pair: Pair) -> Cell:
    head = f"{pair.exact_ops} of {len(pair.ops)} layers equal"
    if pair.exact_ops == len(pair.ops):
        return Cell(head, "in every value", "good")
    name = next((op.name for op in pair.ops if op.index == pair.worst), "")
    if pair.max_lsb:
        return Cell(head, f"at most {pair.max_lsb} LSB apart ({name})", "bad" if pair.max_lsb > 1 else "warn")
    return Cell(head, "" if pair.sqnr_db is None else f"{decibel(pair.sqnr_db)} in the worst ({name})")


def _value(value: float | str | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
