"""The validated network as a column of layers: each op's tensor from every engine at one scale, with its numbers."""

import math
from collections.abc import Sequence

import numpy as np

from firmware_tools.report.words import MEANING, TONES, decibel, engine_heads, engine_names, op_name, percent
from firmware_tools.results import Comparison, OpResult, Sample, Verdict
from tfviz.report.album import Album
from tfviz.report.panels import difference_panel, layer_panels, limits, number, pixel_budget, without_batch
from tfviz.report.tiles import Real
from tfviz.report.views import Bars, Layer, Panel
from tfviz.trace import Step, Tensor, Trace

MOST_CHANNELS = 256


def layers(comparison: Comparison, album: Album) -> tuple[Layer, ...]:
    """A record for each op of the comparison, in the model's order."""
    budget = pixel_budget(4 * len(comparison.ops) * max(len(comparison.samples), 1))
    clock = _clock(comparison)
    return tuple(_layer(comparison, op, album, budget, clock) for op in comparison.ops)


def _clock(comparison: Comparison) -> int | None:
    """The board's clock in Hz; None where no built-in board ran."""
    from firmware_tools import boards

    return boards.load(comparison.board).clock_hz if comparison.board in boards.names() else None


def _layer(comparison: Comparison, op: OpResult, album: Album, budget: int, clock: int | None) -> Layer:
    panels = _panels(comparison, op, album, budget)
    notes = [limits(panels[0].grid, math.prod(op.shape))] if panels else []
    if op.verdict not in (Verdict.EXACT, Verdict.MEASURED):
        notes.insert(0, f"{op.verdict}: {MEANING[op.verdict]}.")
    return Layer(
        anchor=f"op-{op.index}",
        number=str(op.index),
        name=op_name(op),
        kind=op.op,
        shape=f"{shape_words(op.shape)} {op.dtype}",
        panels=panels,
        chips=((str(op.verdict), TONES[op.verdict]),),
        facts=_facts(op, clock),
        notes=tuple(note for note in notes if note),
        tone=TONES[op.verdict],
        bars=_by_channel(op),
    )


def _by_channel(op: OpResult) -> Bars | None:
    """The largest difference of each channel where there is any, else its error against float."""
    found = op.channels
    if found is None:
        return None
    if found.max_lsb is not None and any(found.max_lsb):
        values: Sequence[float] = found.max_lsb
        title, unit = "largest difference, channel by channel", "LSB"
    elif found.rmse_scale is not None and any(map(math.isfinite, found.rmse_scale)):
        values, title, unit = found.rmse_scale, "error against float, channel by channel", "steps (RMSE)"
    else:
        return None
    values = [value if math.isfinite(value) else 0.0 for value in values[:MOST_CHANNELS]]
    tallest = max(values)
    if not tallest:
        return None
    return Bars(
        title,
        tuple(value / tallest for value in values),
        tuple(f"channel {channel}: {value:.3g} {unit}" for channel, value in enumerate(values)),
        f"tallest: channel {values.index(tallest)}, {tallest:.3g} {unit}",
    )


def _panels(comparison: Comparison, op: OpResult, album: Album, budget: int) -> tuple[Panel, ...]:
    samples = [sample for sample in comparison.samples if _step(sample.reference, op) and _step(sample.engine, op)]
    if not samples or len(samples) != len(comparison.samples):
        return ()
    names, heads = engine_names(comparison), engine_heads(comparison)
    references = [_tensor(sample.reference, op) for sample in samples]
    answers = [_tensor(sample.engine, op) for sample in samples]
    quantised = op.scale is not None
    kind = f" {op.dtype}" if quantised else ""
    columns = [
        (f"{head}{kind}", name.removeprefix("the "), [_real(tensor) for tensor in tensors])
        for head, name, tensors in zip(heads, names, (references, answers), strict=True)
    ]
    floats = _floats(samples, op, columns[0][2])
    if floats:
        columns.insert(0, ("Float", "Keras", floats))
    panels = layer_panels(album, columns, pixels=budget)
    differences = [
        without_batch(second.values.astype(np.float64) - first.values.astype(np.float64))
        for first, second in zip(references, answers, strict=True)
    ]
    subtitle = f"{heads[1].lower()} \N{MINUS SIGN} {heads[0].lower()}"
    unit = "LSB" if quantised else ""
    return (*panels, difference_panel(album, "Difference", subtitle, differences, pixels=budget, unit=unit))


def _real(tensor: Tensor) -> Real:
    return without_batch(tensor.real)


def _floats(samples: Sequence[Sample], op: OpResult, alike: Sequence[Real]) -> list[Real]:
    """The float model's tensors of the op's Keras layer, or nothing where any is missing or of another shape."""
    found = []
    for sample, like in zip(samples, alike, strict=True):
        step = _float_step(sample.float, op)
        if step is None or without_batch(step.output.real).size != like.size:
            return []
        found.append(without_batch(step.output.real).reshape(like.shape))
    return found


def _float_step(trace: Trace | None, op: OpResult) -> Step | None:
    if trace is None or op.keras_layer is None:
        return None
    return next((step for step in trace.steps if step.name == op.keras_layer), None)


def _step(trace: Trace, op: OpResult) -> Step | None:
    return next((step for step in trace.steps if step.index == op.index and step.outputs), None)


def _tensor(trace: Trace, op: OpResult) -> Tensor:
    return trace.step(op.index).output


def _time(op: OpResult, clock: int | None) -> str | None:
    """The op's time at the board's clock: of its cycles, or at least that of its instructions."""
    count = op.cycles if op.cycles is not None else op.instructions
    if clock is None or not count:
        return None
    least = "" if op.cycles is not None else "\N{GREATER-THAN OR EQUAL TO} "
    return f"{least}{number(1e3 * count / clock)} ms at {number(clock / 1e6)} MHz"


def _facts(op: OpResult, clock: int | None) -> tuple[tuple[str, str], ...]:
    """The numbers under a layer: only those that were measured."""
    listed: list[tuple[str, str | None]] = [
        ("same values", None if op.exact_share is None else percent(op.exact_share)),
        ("largest difference", None if op.max_lsb is None else f"{op.max_lsb} LSB"),
        ("of its own", None if op.local_max_lsb is None else f"{op.local_max_lsb} LSB"),
        ("int8 to float (SQNR)", None if op.sqnr_db is None else decibel(op.sqnr_db)),
        ("RMSE", None if op.rmse_scale is None else f"{op.rmse_scale:.3f} steps"),
        ("cosine", None if op.cosine is None else f"{op.cosine:.5f}"),
        ("saturated", None if op.saturated_share is None else percent(op.saturated_share)),
        ("output", f"{op.bytes:,} B"),
        ("instructions", None if op.instructions is None else f"{op.instructions:,}"),
        ("instructions a MAC", f"{op.instructions / op.macs:.2f}" if op.instructions and op.macs else None),
        ("cycles", None if op.cycles is None else f"{op.cycles:,}"),
        ("time", _time(op, clock)),
        ("stands for", None if op.scale is None else f"{number(op.scale)} \N{MULTIPLICATION SIGN} (q {_shift(op)})"),
        ("NaN", f"{op.nan_count:,}" if op.nan_count else None),
        ("infinity", f"{op.infinity_count:,}" if op.infinity_count else None),
    ]
    return tuple((name, value) for name, value in listed if value is not None)


def _shift(op: OpResult) -> str:
    return f"+ {-op.zero_point}" if op.zero_point <= 0 else f"\N{MINUS SIGN} {op.zero_point}"


def shape_words(shape: Sequence[int]) -> str:
    """A shape without its batch axis.

    >>> shape_words((1, 32, 32, 16)).split(), shape_words((1, 3))
    (['32', '\N{MULTIPLICATION SIGN}', '32', '\N{MULTIPLICATION SIGN}', '16'], '3')
    """
    return " \N{MULTIPLICATION SIGN} ".join(str(length) for length in (shape[1:] if len(shape) > 1 else shape))
