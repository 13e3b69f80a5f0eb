"""A comparison in plain words: pure functions from `Comparison` to sentences. Nothing here knows HTML."""

import math

from firmware_tools.results import Comparison, OpResult, RunVerdict, Verdict
from tfviz.files import size
from tfviz.report.views import Fact, Headline

TONES = {
    Verdict.EXACT: "good",
    Verdict.INHERITED: "warn",
    Verdict.ROUNDING: "warn",
    Verdict.DIVERGED: "bad",
    Verdict.UNFORCED: "warn",
    Verdict.MEASURED: "",
}
_BOARDS = ("emulator", "qemu", "serial")
MEANING = {
    Verdict.EXACT: "every value is the same, bit for bit",
    Verdict.INHERITED: "adds no error of its own; what differs came from an earlier op",
    Verdict.ROUNDING: "adds at most 1 LSB of its own",
    Verdict.DIVERGED: "adds more than 1 LSB of its own",
    Verdict.UNFORCED: "differs, and whether by its own fault is unknown (the engine cannot be given inputs)",
    Verdict.MEASURED: "float on one side: measured, without a verdict",
}


def headline(comparison: Comparison) -> Headline:
    """The page's first sentence: does the engine compute what the reference computes, and if not, from where on."""
    reference, engine = engine_names(comparison)
    images = count(comparison.images, "image")
    if comparison.verdict is RunVerdict.MEASURED:
        return Headline(
            f"{_capital(engine)} measured against {reference}.",
            (f"One of the two computes in float: differences are measured over {images}, without a verdict.",),
            "MEASURED",
        )
    if comparison.exact_ops == comparison.total_ops:
        sentence = (
            "The board sees exactly what the desktop sees."
            if _on_board(comparison)
            else f"{_capital(engine)} computes exactly what {reference} computes."
        )
        detail = (
            f"All {comparison.total_ops} layers {_place(comparison)} {engine} gave the same bytes as {reference} in "
            f"{images} (kernels: {_kernels(comparison)})."
        )
        return Headline(sentence, (detail, *_look(comparison)), "PASS", "good")
    passed = comparison.verdict is RunVerdict.PASS
    first = _op(comparison, comparison.first_divergent)
    where = f"first in {op_name(first)}" if first else "in some ops"
    who, other = ("The board", "the desktop") if _on_board(comparison) else (_capital(engine), reference)
    sentence = f"{who} differs from {other}{' within the tolerance' if passed else ''}, {where}."
    details = [
        f"{comparison.exact_ops} of {comparison.total_ops} layers {_place(comparison)} {engine} gave the same bytes as "
        f"{reference} in {images} (kernels: {_kernels(comparison)})."
    ]
    if first:
        details.append(_first_difference(first))
    details.append(f"Cause: {comparison.cause}" if comparison.cause else "No cause was established.")
    if comparison.diagnosis is not None and comparison.diagnosis.what_to_do:
        details.append(f"What to do: {comparison.diagnosis.what_to_do}")
    details += _look(comparison)
    return Headline(sentence, tuple(details), "PASS" if passed else "DIFFERS", "warn" if passed else "bad")


def _look(comparison: Comparison) -> tuple[str, ...]:
    """Whether it still looks where it looked, in a line; the figures have a section of their own."""
    if comparison.drift is None:
        return ()
    return (f"{comparison.drift.question} {comparison.drift.answer.partition(':')[0]}.",)


def _first_difference(op: OpResult) -> str:
    share = f"{percent(1 - op.exact_share)} of its values differ" if op.exact_share is not None else "its values differ"
    worst = f", by at most {op.max_lsb} LSB" if op.max_lsb is not None else ""
    names = ("image", "row", "column", "channel") if op.where and len(op.where) == 4 else ("image", "value")
    place = f" ({', '.join(f'{name} {at}' for name, at in zip(names, op.where, strict=False))})" if op.where else ""
    local = ""
    if op.local_max_lsb is not None:
        local = f" Given the reference's own inputs, it still differs by {op.local_max_lsb} LSB."
    return f"In {op_name(op)} (op {op.index}, {op.op}) {share}{worst}{place}.{local}"


def key_facts(comparison: Comparison) -> tuple[Fact, ...]:
    """Up to six numbers for the first screen."""
    facts = []
    if comparison.verdict is not RunVerdict.MEASURED:
        whole = comparison.exact_ops == comparison.total_ops
        facts.append(
            Fact(
                "Layers exact",
                f"{comparison.exact_ops} of {comparison.total_ops}",
                f"in {count(comparison.images, 'image')}",
                tone="good" if whole else "bad",
            )
        )
    if comparison.top1_agreement is not None:
        note = f"{count(comparison.images, 'image')}"
        if comparison.float_top1_agreement is not None:
            note = f"with the float model: {percent(comparison.float_top1_agreement)}"
        facts.append(Fact("Same class named", percent(comparison.top1_agreement), note))
    facts += [fact for fact in (_accuracy(comparison), _quantisation(comparison)) if fact]
    facts += [
        fact
        for fact in (
            _memory("Flash used", comparison.flash_bytes, comparison.flash_total),
            _memory("RAM used", comparison.ram_bytes, comparison.ram_total),
        )
        if fact
    ]
    return tuple(facts)


def _accuracy(comparison: Comparison) -> Fact | None:
    engine, floating = comparison.engine("engine"), comparison.engine("float")
    value = comparison.accuracy.get(engine.name) if engine else None
    if value is None:
        return None
    before = comparison.accuracy.get(floating.name) if floating else None
    return Fact("Accuracy", percent(value), f"float model: {percent(before)}" if before is not None else "")


def _quantisation(comparison: Comparison) -> Fact | None:
    worst = comparison.worst_sqnr
    if worst is None or worst.sqnr_db is None:
        return None
    return Fact("Worst layer, int8 to float", decibel(worst.sqnr_db), f"SQNR, {op_name(worst)}")


def _memory(label: str, used: int | None, total: int | None) -> Fact | None:
    if used is None:
        return None
    if not total:
        return Fact(label, size(used))
    return Fact(label, size(used), f"of {size(total)}, {percent(used / total)}", used / total)


def engine_names(comparison: Comparison) -> tuple[str, str]:
    """Reference and engine as a sentence calls them."""
    reference, engine = comparison.engine("reference"), comparison.engine("engine")
    return (
        describe(reference.name, None) if reference else "the reference",
        describe(engine.name, comparison.board) if engine else "the engine",
    )


def engine_heads(comparison: Comparison) -> tuple[str, str]:
    """Reference and engine as heads of columns."""
    reference, engine = comparison.engine("reference"), comparison.engine("engine")
    of_reference = "Desktop" if _on_board(comparison) else short_name(reference.name) if reference else "Reference"
    return of_reference, short_name(engine.name) if engine else "Engine"


def title(comparison: Comparison) -> str:
    """What the page is about: the board, or the two engines."""
    if _on_board(comparison) and comparison.board:
        return board_title(comparison.board)
    reference, engine = engine_heads(comparison)
    return f"{engine} against {reference}"


def describe(engine: str, board: str | None) -> str:
    """An engine's name as words.

    >>> describe("emulator:nano33ble:m.tflite", "Arduino Nano 33 BLE Sense")
    'the emulated Arduino Nano 33 BLE Sense'
    >>> describe("tflm:m.tflite", None)
    'TensorFlow Lite Micro'
    """
    kind = engine.partition(":")[0]
    named = {
        "tflm": "TensorFlow Lite Micro",
        "litert": "LiteRT",
        "litert-xnnpack": "LiteRT with XNNPACK",
        "keras": "the float Keras model",
        "host": "the engine on this computer",
        "trace": "the recorded trace",
    }
    if kind in named:
        return named[kind]
    if kind in ("emulator", "qemu"):
        return f"the emulated {board_title(board) or 'board'}"
    if kind == "serial":
        return f"the {board_title(board)}" if board else f"the board at {engine.partition(':')[2]}"
    return engine


def op_name(op: OpResult) -> str:
    """The op as a reader knows it: its Keras layer where there is one."""
    return op.keras_layer or f"{op.op} (op {op.index})"


def board_title(board: str | None) -> str:
    """The board as people call it; its name where it is not one of ours.

    >>> board_title("nano33ble"), board_title("my-board"), board_title(None)
    ('Arduino Nano 33 BLE (Sense)', 'my-board', '')
    """
    from firmware_tools import boards

    if not board:
        return ""
    return boards.load(board).title if board in boards.names() else board


def short_name(engine: str) -> str:
    """An engine's name as the head of a column.

    >>> short_name("emulator:nano33ble:m.tflite"), short_name("litert-xnnpack:m.tflite")
    ('Board', 'XNNPACK')
    """
    kind = engine.partition(":")[0]
    if kind in _BOARDS:
        return "Board"
    names = {"keras": "Float", "tflm": "TFLM", "litert": "LiteRT", "litert-xnnpack": "XNNPACK", "host": "Host"}
    return names.get(kind, "Trace" if kind == "trace" else engine)


def _on_board(comparison: Comparison) -> bool:
    engine = comparison.engine("engine")
    return engine is not None and engine.name.partition(":")[0] in _BOARDS


def _place(comparison: Comparison) -> str:
    return "on" if _on_board(comparison) else "of"


def _op(comparison: Comparison, index: int | None) -> OpResult | None:
    return next((op for op in comparison.ops if op.index == index), None)


def _kernels(comparison: Comparison) -> str:
    reference = comparison.engine("reference")
    return reference.kernels if reference else "of the reference"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def count(number: int, noun: str) -> str:
    """A number and its noun.

    >>> count(1, "image"), count(100, "image")
    ('1 image', '100 images')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """A share of 0..1 in per cent; never rounded up to 100 or down to 0.

    >>> [percent(share).replace("\N{NO-BREAK SPACE}", " ") for share in (1.0, 0.9999, 0.875, 0.00001)]
    ['100 %', '99.99 %', '87.5 %', '<0.01 %']
    """
    return f"{_per_cent(share)}\N{NO-BREAK SPACE}%"


def _per_cent(share: float) -> str:
    if share in (0, 1):
        return f"{100 * share:.0f}"
    if share < 0.0001:
        return "<0.01"
    if share > 0.9999:
        return ">99.99"
    if share > 0.999 or share < 0.01:
        return f"{100 * share:.2f}".rstrip("0").rstrip(".")
    return f"{100 * share:.1f}"


def decibel(value: float) -> str:
    """A ratio in dB; infinite means that there is no difference at all.

    >>> decibel(31.26), decibel(float("inf"))
    ('31.3 dB', 'no difference')
    """
    if math.isinf(value) and value > 0:
        return "no difference"
    return f"{value:.1f} dB".replace("-", "\N{MINUS SIGN}")
