"""The contest: all contestants of a network side by side, call by call, and what the times say.

Noise: other work on the machine meets the contestants of one round alike, so the ratio is taken within each round. A
limit is missed when three quarters of a row's rounds are beyond it, the lower quartile of the ratios (for a peer that
should be slower, the upper one); the middle one is what is printed. Two processes of the very same floor were measured
up to 9 % apart in the median, so a peer counts as faster from 5 % on.
"""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator
from statistics import median, quantiles
from typing import Any

import numpy as np

from explanations.process import ContestantError, Process

LIMIT = 1.1
FASTER = 1 / 1.05  # a peer's time over ours
# Milliseconds over the model's own first call, on a and b; of processor time, in which others' work does not count.
FIRST_CALL_LIMIT = 500.0
FEWEST, MOST = 5, 40  # rounds
ENOUGH = 2  # rounds of a peer that takes more than twice our time: its place is not in doubt
ALL = (
    "feature maps",
    "Grad-CAM",
    "five CAMs",
    "gradient",
    "SmoothGrad x 50",
    "Integrated Gradients x 50",
    "Score-CAM",
    "occlusion, 64 patches",
    "RISE x 1000",
    "maximisation x 200",
)
ROWS = {"a": ALL, "b": (*ALL[:4], "Score-CAM"), "c": ALL[:6]}
# Not the same numbers: everybody has draws of their own, or Adam, which makes steps of one size of gradients of any,
# enlarges the last digit's rounding.
APART = ("SmoothGrad x 50", "RISE x 1000", "maximisation x 200")


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table: the times of each contestant, round by round, and their first calls, in milliseconds."""

    net: str
    item: str
    times: dict[str, list[float]]
    first: dict[str, float]
    extra: float
    """Processor time of our first call beyond that of a later one."""

    def ratios(self, name: str, to: str = "floors") -> list[float]:
        """By round; a slow peer has fewer."""
        return [a / b for a, b in zip(self.times[name], self.times[to], strict=False)]

    def missed(self) -> list[str]:
        """What is beyond its limit by more than noise."""
        found = []
        if quartiles(self.ratios("ours"))[0] > LIMIT:
            found.append(f"above {LIMIT} x the floor")
        peers = (name for name in self.times if name not in ("floors", "ours"))
        return found + [f"slower than {name}" for name in peers if quartiles(self.ratios(name, "ours"))[2] < FASTER]


@dataclasses.dataclass(frozen=True)
class Contest:
    """All rows of a network, and the model's own first and later call."""

    net: str
    rows: list[Row]
    own: dict[str, float]
    """Of the model itself: its first call on the clock, `eager` and, for comparison, `compiled` (a process each), and
    the processor time of the eager one beyond that of a later one, `extra`."""
    load: tuple[float, float]
    differences: list[str]

    def late(self) -> list[str]:
        """Rows whose first call is further above the model's own than allowed (without the work of one call)."""
        if self.net == "c":
            return []
        extra = {row.item: row.extra - self.own["extra"] for row in self.rows}
        return [f"{item}: first call {more:.0f} ms over" for item, more in extra.items() if more > FIRST_CALL_LIMIT]


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """The three of them; of one value, that value."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high


def hold(net: str, names: list[str], *, seconds: float, only: tuple[str, ...] | None = None) -> Contest:
    """Measure all rows of a network; `seconds` is about how long each row may take."""
    before = os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        everyone = {name: stack.enter_context(Process(name, net)) for name in names}
        own = _own_calls(net, everyone["floors"])
        rows, differences = [], []
        for item in ROWS[net]:
            if only is None or item in only:
                print(f"{net}: {item} ...", file=sys.stderr, flush=True)
                rows.append(_row(net, item, everyone, seconds))
                differences += _differences(item, everyone)
    return Contest(net, rows, own, (before, os.getloadavg()[0]), differences)


def _own_calls(net: str, floors: Process) -> dict[str, float]:
    first, later = (floors.ask(do="own", compiled=False) for _ in range(2))
    with Process("floors", net) as alone:
        compiled = alone.ask(do="own", compiled=True)["ms"]
    return {"eager": first["ms"], "compiled": compiled, "extra": first["cpu"] - later["cpu"]}


def _row(net: str, item: str, everyone: dict[str, Process], seconds: float) -> Row:
    first: dict[str, dict[str, float]] = {}
    once: dict[str, dict[str, float]] = {}
    for name, asked in _able(item, everyone):
        try:
            first[name], once[name] = asked.call(item), asked.call(item)
        except ContestantError as error:
            if name in ("floors", "ours"):
                raise
            print(f"  ({error})")
    rounds = int(np.clip(1e3 * seconds / sum(spent["ms"] for spent in once.values()), FEWEST, MOST))
    times: dict[str, list[float]] = {name: [] for name in once}
    for number in range(rounds):
        for name, kept in times.items():
            slow = name not in ("floors", "ours") and once[name]["ms"] > 2 * once["ours"]["ms"]
            if number < ENOUGH or not slow:
                kept.append(everyone[name].milliseconds(item))
    clock = {name: spent["ms"] for name, spent in first.items()}
    return Row(net, item, times, clock, first["ours"]["cpu"] - once["ours"]["cpu"])


def _able(item: str, everyone: dict[str, Process]) -> Iterator[tuple[str, Process]]:
    return ((name, asked) for name, asked in everyone.items() if item in asked.items)


def _differences(item: str, everyone: dict[str, Process]) -> list[str]:
    """Floor and ours must be the same sums, or the ratio says nothing."""
    if item in APART:
        return []
    floor, ours = everyone["floors"].answer(item), everyone["ours"].answer(item)
    apart = max(_apart(a, b) for a, b in zip(floor, ours, strict=True))
    return [f"{item}: floor and ours differ by {apart:.1e} of the largest value"] if apart > 1e-3 else []


def _apart(a: Any, b: Any) -> float:
    return float(np.abs(a - b).max() / (np.abs(a).max() or 1))


def median_ms(row: Row, name: str) -> float:
    """The time of a contestant."""
    return median(row.times[name])
