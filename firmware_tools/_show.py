"""Results as lines of text for the command line: pure functions from results to rows and sentences."""

import math
from collections.abc import Sequence

from firmware_tools.boards import Board
from firmware_tools.graph import Graph, GraphTensor
from firmware_tools.results import Comparison, Matrix, OpResult, Pair, RunVerdict
from tfviz.files import size

OP_HEADERS = ("op", "kind", "layer", "verdict", "exact %", "max LSB", "local LSB", "SQNR dB", "instructions")


def op_rows(comparison: Comparison) -> list[list[object]]:
    """One row an op, under `OP_HEADERS`."""
    return [
        [
            op.index,
            op.op,
            op.keras_layer or op.name,
            op.verdict.value,
            share(op.exact_share),
            shown(op.max_lsb),
            shown(op.local_max_lsb),
            decibel(op.sqnr_db),
            shown(op.instructions if op.instructions is not None else op.cycles),
        ]
        for op in comparison.ops
    ]


def findings(comparison: Comparison) -> list[str]:
    """What is said below the table: agreement, accuracy, memory, notes."""
    lines = []
    for name, accuracy in comparison.accuracy.items():
        if accuracy is not None:
            lines.append(
                f"accuracy of {name}: {percent(accuracy)} ({round(accuracy * comparison.images)} of "
                f"{comparison.images} images)"
            )
    reference, engine, real = (comparison.engine(role) for role in ("reference", "engine", "float"))
    if comparison.top1_agreement is not None and reference and engine:
        lines.append(f"{reference.name} and {engine.name} name the same class in {percent(comparison.top1_agreement)}")
    if (
        comparison.float_top1_agreement is not None
        and real
        and engine
        and reference
        and real.name not in (reference.name, engine.name)
    ):
        lines.append(f"{real.name} and {engine.name} name the same class in {percent(comparison.float_top1_agreement)}")
    if comparison.top5_agreement is not None and reference and engine:
        among = percent(comparison.top5_agreement)
        lines.append(f"the class that {reference.name} names is among the five highest of {engine.name} in {among}")
    lines += list(dict.fromkeys(f"kernels of {info.name}: {info.kernels}" for info in comparison.engines))
    if comparison.measured_against is not None:
        lines.append(f"SQNR is measured against {comparison.measured_against}")
    if comparison.flash_bytes is not None:
        lines.append(memory_line(comparison))
    if comparison.unpaired:
        lines.append(f"without a partner: {', '.join(comparison.unpaired)}")
    lines += [f"note: {note}" for note in comparison.notes]
    if comparison.cause:
        lines.append(f"cause: {comparison.cause}")
    if comparison.diagnosis is not None:
        lines += [f"evidence: {line}" for line in comparison.diagnosis.evidence]
        lines.append(f"what to do: {comparison.diagnosis.what_to_do}")
    return lines


MATRIX_CAPTION = (
    "every pair in a free run; above the diagonal: ops that are equal in every value, and the worst one (LSB, or dB "
    "where one side is float); below: how often both name the same class"
)


def matrix_table(matrix: Matrix) -> tuple[tuple[str, ...], list[list[object]]]:
    """Headers and rows of every pair of engines."""
    names = numbered([info.name for info in matrix.engines])
    cells = [["." if i == j else "-" for j in range(len(names))] for i in range(len(names))]
    for pair in matrix.pairs:
        cells[pair.first][pair.second] = _pair_text(pair)
        if pair.top1_agreement is not None:
            cells[pair.second][pair.first] = percent(pair.top1_agreement)
    return ("", *names), [[name, *row] for name, row in zip(names, cells, strict=True)]


def numbered(names: Sequence[str]) -> list[str]:
    """Names that are met twice get a number.

    >>> numbered(["tflm", "host", "tflm"])
    ['tflm 1', 'host', 'tflm 2']
    """
    return [
        f"{name} {names[: place + 1].count(name)}" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _pair_text(pair: Pair) -> str:
    equal = f"{pair.exact_ops}/{len(pair.ops)}"
    if pair.exact_ops == len(pair.ops):
        return equal
    return f"{equal}, {pair.max_lsb} LSB" if pair.max_lsb else f"{equal}, {decibel(pair.sqnr_db)} dB"


def threshold_lines(comparison: Comparison) -> list[str]:
    """What was demanded and missed, and how many demands were met."""
    from firmware_tools.thresholds import sentence

    if not comparison.thresholds:
        return []
    missed = [f"missed: {sentence(threshold)}" for threshold in comparison.thresholds if not threshold.met]
    return [*missed, f"thresholds: {len(comparison.thresholds) - len(missed)} of {len(comparison.thresholds)} met"]


def memory_line(comparison: Comparison) -> str:
    """Flash, RAM and arena on the board."""
    arena = "" if comparison.arena_bytes is None else f", arena {comparison.arena_bytes:,} B"
    if comparison.arena_lower_bound is not None:
        arena += f" (lower bound {comparison.arena_lower_bound:,})"
    if comparison.stack_used is not None:
        arena += f", stack {comparison.stack_used:,} of {comparison.stack_bytes or 0:,} B"
    return (
        f"{comparison.board}: flash {comparison.flash_bytes or 0:,} of {comparison.flash_total or 0:,} B, "
        f"RAM {comparison.ram_bytes or 0:,} of {comparison.ram_total or 0:,} B{arena}"
    )


def summary(comparison: Comparison) -> str:
    """The last line: which layers are EXACT against which kernels, worst SQNR, agreement, flash and RAM."""
    parts = [_exactness(comparison)]
    worst = comparison.worst_sqnr
    if worst is not None and comparison.engine("float") is not None:
        parts.append(f"float-to-int8 SQNR of the worst layer {decibel(worst.sqnr_db)} dB ({_name(worst)})")
    agreement = comparison.float_top1_agreement
    agreement = comparison.top1_agreement if agreement is None else agreement
    if agreement is not None:
        parts.append(f"top-1 agreement {percent(agreement)} over {comparison.images} images")
    if comparison.flash_bytes is not None and comparison.ram_bytes is not None:
        parts.append(
            f"flash {size(comparison.flash_bytes)} of {size(comparison.flash_total or 0)} and "
            f"RAM {size(comparison.ram_bytes)} of {size(comparison.ram_total or 0)} used"
        )
    return f"{comparison.verdict.value}: " + "; ".join(parts)


def _exactness(comparison: Comparison) -> str:
    reference = comparison.engine("reference")
    kernels = reference.kernels if reference else "unknown kernels"
    if comparison.verdict is RunVerdict.MEASURED:
        return f"{comparison.total_ops} layers measured against {kernels}"
    against = f"EXACT against {kernels}"
    if comparison.exact_ops == comparison.total_ops:
        return f"all {comparison.total_ops} layers {against}"
    exact = f"{comparison.exact_ops} of {comparison.total_ops} layers {against}"
    first = next((op for op in comparison.ops if op.index == comparison.first_divergent), None)
    worst = next((op for op in comparison.ops if op.index == comparison.worst), None)
    if first is None:
        return exact
    text = f"{exact}, the first other is op {first.index} {first.op} ({first.verdict.value})"
    return text if worst is None or not worst.max_lsb else f"{text}, the worst op {worst.index} ({worst.max_lsb} LSB)"


def _name(op: OpResult) -> str:
    return op.keras_layer or op.name


GRAPH_HEADERS = ("op", "kind", "layer", "output", "type", "MACs", "bytes")


def graph_rows(graph: Graph) -> list[list[object]]:
    """One row an op of a model, under `GRAPH_HEADERS`."""
    rows: list[list[object]] = []
    for op in graph.ops:
        output = graph.tensors[op.outputs[0]]
        shape = " x ".join(map(str, output.shape[1:] or output.shape))
        rows.append([op.index, op.name, op.layer, shape, output.dtype, f"{graph.op_macs(op):,}", f"{output.bytes:,}"])
    return rows


def tensor_line(kind: str, tensor: GraphTensor) -> str:
    """A model's input or output with its quantisation."""
    text = f"{kind} {tensor.name}: {tensor.dtype} {' x '.join(map(str, tensor.shape))}"
    if not len(tensor.scale):
        return text
    return f"{text}, real = {tensor.scale[0]:.9g} * (value - {tensor.zero_point[0]})"


BOARD_HEADERS = ("board", "chip", "core", "MHz", "flash", "RAM", "title")


def board_rows(boards: Sequence[Board]) -> list[list[object]]:
    """One row a board, under `BOARD_HEADERS`; flash and RAM are what the board leaves to the firmware."""
    return [
        [
            board.name,
            board.chip,
            board.core.name,
            f"{board.clock_hz / 1e6:g}",
            size(board.flash.usable[1]),
            size(board.ram.usable[1]),
            board.title,
        ]
        for board in boards
    ]


def shown(value: int | None) -> str:
    """A whole number, `-` where there is none."""
    return "-" if value is None else f"{value:,}"


def share(value: float | None) -> str:
    """A share in percent; never rounded up to 100.

    >>> share(1.0), share(0.99999), share(None)
    ('100', '99.99', '-')
    """
    if value is None:
        return "-"
    return "100" if value == 1 else f"{math.floor(value * 10_000) / 100:.2f}"


def percent(value: float) -> str:
    """A share as text.

    >>> percent(0.87706)
    '87.7 %'
    """
    return f"{100 * value:.1f} %"


def decibel(value: float | None) -> str:
    """dB with one decimal; `inf` where there is no error at all.

    >>> decibel(27.27), decibel(float("inf")), decibel(None)
    ('27.3', 'inf', '-')
    """
    if value is None:
        return "-"
    return f"{value:.1f}" if math.isfinite(value) else str(value)
