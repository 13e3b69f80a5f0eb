"""The microcontroller's part of the page, section by section."""

import dataclasses
from collections.abc import Sequence

from firmware_tools.report.chart import charts
from firmware_tools.report.layers import layers
from firmware_tools.report.words import (
    MEANING,
    TONES,
    board_title,
    count,
    decibel,
    describe,
    headline,
    key_facts,
    op_name,
    percent,
)
from firmware_tools.results import Comparison, OpResult
from tfviz.files import size
from tfviz.report.album import Album
from tfviz.report.page import section
from tfviz.report.views import Section, Shot

PACKAGES = ("firmware_tools.report",)


@dataclasses.dataclass(frozen=True)
class Memory:
    """A kind of memory of the board and how much of it is taken."""

    label: str
    words: str
    share: float
    note: str


def headline_section(comparison: Comparison) -> Section:
    """The verdict in one sentence, and the key numbers."""
    return section("headline.html.j2", "verdict", "", headline=headline(comparison), facts=key_facts(comparison))


def shots_section(shots: Sequence[Shot]) -> Section:
    """The images: what was shown, where the network looks, what every engine said."""
    explained = any(overlay.heat for shot in shots for overlay in shot.overlays)
    note = "Grad-CAM and saliency are of the float model, for the class that it names." if explained else ""
    return section("shots.html.j2", "images", "What it saw and what it said", shots=shots, note=note)


def layers_section(comparison: Comparison, shots: Sequence[Shot]) -> Section:
    """Every layer from every engine, side by side."""
    album = Album()
    column = layers(comparison, album)
    intro = (
        "Each layer's output from every engine, in the same colours for the same numbers. Choose an image above, and "
        "a map to see it closely."
        if any(layer.panels for layer in column)
        else "No tensors of single images were kept for this page; the numbers are over all images."
    )
    return section(
        "layers.html.j2", "layers", "Layers", pictures=album.pictures, layers=column, shots=shots, intro=intro
    )


def table_section(comparison: Comparison) -> Section:
    """All ops in one table; a column that nobody measured is left out."""
    cells = [_cells(op, comparison) for op in comparison.ops]
    columns = [name for name in (cells[0] if cells else {}) if any(row[name][0] for row in cells)]
    rows = [
        {
            "index": op.index,
            "op": op.op,
            "name": op_name(op),
            "verdict": str(op.verdict),
            "tone": TONES[op.verdict],
            "cells": row,
        }
        for op, row in zip(comparison.ops, cells, strict=True)
    ]
    seen = [
        (str(verdict), MEANING[verdict]) for verdict in MEANING if any(op.verdict is verdict for op in comparison.ops)
    ]
    return section(
        "table.html.j2",
        "table",
        "Numbers",
        packages=PACKAGES,
        rows=rows,
        columns=columns,
        meanings=seen,
        charts=charts(comparison),
    )


def _cells(op: OpResult, comparison: Comparison) -> dict[str, tuple[str, float | None]]:
    """Column -> (text, share of the column's bar)."""
    instructions = sum(other.instructions or 0 for other in comparison.ops) or 1
    largest = max((other.bytes for other in comparison.ops), default=1) or 1

    def text(value: object, shown: str) -> str:
        return "" if value is None else shown

    return {
        "same values": (text(op.exact_share, percent(op.exact_share or 0.0)), None),
        "max LSB": (text(op.max_lsb, str(op.max_lsb)), None),
        "its own": (text(op.local_max_lsb, str(op.local_max_lsb)), None),
        "SQNR": (text(op.sqnr_db, decibel(op.sqnr_db or 0.0)), None),
        "bytes": (f"{op.bytes:,}", op.bytes / largest),
        "instructions": (
            text(op.instructions, f"{op.instructions or 0:,}"),
            None if op.instructions is None else op.instructions / instructions,
        ),
        "cycles": (text(op.cycles, f"{op.cycles or 0:,}"), None),
    }


def dataset_section(comparison: Comparison) -> Section | None:
    """Agreement, accuracy and confusion over all images; None where nothing of it was measured."""
    if comparison.top1_agreement is None and not comparison.confusion:
        return None
    parts = [f"Over {count(comparison.images, 'image')}"]
    if comparison.top1_agreement is not None:
        parts.append(f"the engine names the reference's class in {percent(comparison.top1_agreement)}")
    if comparison.float_top1_agreement is not None:
        parts.append(f"and the float model's in {percent(comparison.float_top1_agreement)}")
    matrices = []
    for name, matrix in comparison.confusion.items():
        accuracy = comparison.accuracy.get(name)
        rows = []
        for label, counts in enumerate(matrix.tolist()):
            total = sum(counts) or 1
            shares = [(value, value / total, column == label) for column, value in enumerate(counts)]
            rows.append((_class(comparison, label), shares))
        matrices.append(
            (
                describe(name, comparison.board).removeprefix("the "),
                percent(accuracy) if accuracy is not None else "",
                rows,
            )
        )
    columns = [_class(comparison, index) for index in range(max((len(rows) for _, _, rows in matrices), default=0))]
    intro = f"{parts[0]} {' '.join(parts[1:])}.".replace("  ", " ")
    return section(
        "dataset.html.j2",
        "dataset",
        "Over the data",
        packages=PACKAGES,
        intro=intro,
        matrices=matrices,
        class_names=columns,
    )


def _class(comparison: Comparison, index: int) -> str:
    return comparison.class_names[index] if index < len(comparison.class_names) else str(index)


def board_section(comparison: Comparison, commands: Sequence[str]) -> Section:
    """Memory, engines with kernel sets, what is real in the emulated image, data identities, commands."""
    engine = comparison.engine("engine")
    emulated = engine is not None and engine.name.partition(":")[0] in ("emulator", "qemu")
    return section(
        "board.html.j2",
        "board",
        "Board and evidence",
        packages=PACKAGES,
        board=board_title(comparison.board) or "Memory",
        memories=_memories(comparison),
        engines=comparison.engines,
        real="the processor's instructions, the engine, the model and the memory map." if emulated else "",
        unreal=("the port: start-up, clock and serial line are the emulator's. Time is counted in instructions."),
        data=comparison.data,
        notes=comparison.notes + tuple(f"without a partner: {name}" for name in comparison.unpaired),
        commands=commands,
        instructions=comparison.instructions,
    )


def _memories(comparison: Comparison) -> list[Memory]:
    made = []
    for label, used, total, note in (
        ("Flash", comparison.flash_bytes, comparison.flash_total, "code, weights and tables"),
        ("RAM", comparison.ram_bytes, comparison.ram_total, "arena, stack, link buffers and state"),
        ("Arena", comparison.arena_bytes, comparison.ram_bytes, _arena_note(comparison)),
        ("Stack", comparison.stack_used, comparison.stack_bytes, "the most that was ever in use, measured"),
    ):
        if used is not None and total:
            share = used / total
            inside = label == "Arena"
            rest = f"{percent(share)} of {'the ' if inside else ''}{size(total)}{' of RAM in use' if inside else ''}"
            words = size(used) if inside else f"{size(used)} used, {size(max(total - used, 0))} left"
            made.append(Memory(label, words, min(share, 1.0), f"{rest}; {note}"))
    return made


def _arena_note(comparison: Comparison) -> str:
    if comparison.arena_lower_bound is None:
        return "all tensors of the model"
    return f"all tensors of the model; no plan can need less than {comparison.arena_lower_bound:,} B"
