"""How the error grows through the network: small line charts, as records for the page's SVG."""

import dataclasses
import math
from collections.abc import Sequence

from firmware_tools.report.words import op_name
from firmware_tools.results import Comparison

WIDTH, HEIGHT = 900.0, 150.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 12.0, 12.0, 26.0


@dataclasses.dataclass(frozen=True)
class Dot:
    """A value in the chart: place in pixels, and what it says."""

    x: float
    y: float
    text: str
    anchor: str


@dataclasses.dataclass(frozen=True)
class Line:
    """A series: its SVG path (with gaps where nothing was measured) and its dots."""

    name: str
    tone: str
    path: str
    dots: tuple[Dot, ...]


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart with ticks (y, label) and labels (x, op index)."""

    title: str
    note: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]
    labels: tuple[tuple[float, str], ...]


def charts(comparison: Comparison) -> tuple[Chart, ...]:
    """SQNR against the float model, and the accumulated and local error in LSB; only what there is to see."""
    made = []
    sqnr = [op.sqnr_db for op in comparison.ops]
    if sum(_finite(value) for value in sqnr) > 1:
        made.append(
            _chart(
                comparison,
                "Signal to quantisation noise, int8 against float",
                "dB; higher is better, and a step down is a layer that loses",
                [("SQNR", "", sqnr, "dB")],
            )
        )
    accumulated: list[float | None] = [op.max_lsb for op in comparison.ops]
    local: list[float | None] = [op.local_max_lsb for op in comparison.ops]
    if any(accumulated):
        made.append(
            _chart(
                comparison,
                "Largest difference from the reference",
                "LSB; accumulated is a free run, its own is what the op adds to the reference's inputs",
                [("accumulated", "bad", accumulated, "LSB"), ("its own", "warn", local, "LSB")],
            )
        )
    return tuple(made)


def _chart(
    comparison: Comparison, title: str, note: str, series: Sequence[tuple[str, str, Sequence[float | None], str]]
) -> Chart:
    measured = [value for _, _, values, _ in series for value in values if value is not None and _finite(value)]
    low, high = min(0.0, *measured), max(1.0, *measured)
    step = _nice((high - low) / 3)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    count = len(comparison.ops)

    def across(position: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (position + 0.5) / count

    def up(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    lines = []
    for name, tone, values, unit in series:
        path, dots, pen = [], [], "M"
        for position, (op, value) in enumerate(zip(comparison.ops, values, strict=True)):
            if value is None or not _finite(value):
                pen = "M"
                continue
            x, y = across(position), up(value)
            path.append(f"{pen}{x:.1f} {y:.1f}")
            dots.append(Dot(x, y, f"{op_name(op)}: {name} {value:.3g} {unit}", f"op-{op.index}"))
            pen = "L"
        lines.append(Line(name, tone, "".join(path), tuple(dots)))
    ticks = tuple((up(low + step * at), f"{low + step * at:g}") for at in range(round((high - low) / step) + 1))
    every = max(1, math.ceil(count / 30))
    labels = tuple((across(at), str(op.index)) for at, op in enumerate(comparison.ops) if at % every == 0)
    return Chart(title, note, tuple(lines), ticks, labels)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _nice(step: float) -> float:
    """The next of 1, 2, 5, 10, 20 ... that is not smaller.

    >>> _nice(11.5), _nice(0.3)
    (20.0, 0.5)
    """
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= step * 0.999)
