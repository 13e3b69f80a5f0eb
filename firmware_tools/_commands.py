"""What commands of `firmware-tools` share: opening engines and data, steps on the console, how a comparison ends."""

import contextlib
import dataclasses
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from firmware_tools._links import LinkOptions, own_file, several, short
from tfviz import console
from tfviz.errors import InputError, LinkError

if TYPE_CHECKING:
    import numpy as np

    from firmware_tools.pictures import Expectation
    from firmware_tools.results import Comparison
    from tfviz.data import Dataset
    from tfviz.trace import Engine


class Steps:
    """The steps of a chain on the console, one after the other."""

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._stack = contextlib.ExitStack()
        self._advance: Any = None

    def begin(self, text: str) -> None:
        """End the last step and begin another; comparing is the one that counts images."""
        self._stack.close()
        total = self._total if text == "comparing" else None
        self._advance = self._stack.enter_context(console.step(text, total=total))

    def advance(self, count: int) -> None:
        """So many images more."""
        if self._advance is not None:
            self._advance(count)

    def close(self) -> None:
        """End the last step."""
        self._stack.close()


def finish(
    result: "Comparison", report: Path | None, json: Path | None, keras_model: Any, expected: "Expectation"
) -> None:
    """Say what was found, write what was asked for, and leave with the exit code."""
    from firmware_tools import _show
    from firmware_tools.results import RunVerdict

    console.table(_show.OP_HEADERS, _show.op_rows(result))
    for line in _show.findings(result):
        console.say(line)
    write(result, report, json, keras_model, expected)
    console.say(_show.summary(result))
    if result.verdict is RunVerdict.FAIL:
        raise typer.Exit(console.DIFFERS)


def write(
    result: "Comparison", report: Path | None, json: Path | None, keras_model: Any, expected: "Expectation"
) -> None:
    """Write the page and the numbers that were asked for, and say so."""
    from tfviz.files import write_text

    if json is not None:
        write_text(json, result.to_json())
        console.wrote(json)
    if report is not None:
        from firmware_tools.report import write_report

        write_report(
            result,
            report,
            model=keras_model,
            preprocess=expected.preprocess,
            commands=[console.command_line()],
        )
        console.wrote(report)


def finish_all(
    found: "Sequence[Comparison | LinkError]",
    names: Sequence[str],
    report: Path | None,
    json: Path | None,
    keras_model: Any,
    expected: "Expectation",
) -> None:
    """`finish` for several engines: one table, a page and a file of numbers for each, the worst verdict's exit code."""
    from firmware_tools import _show
    from firmware_tools.results import RunVerdict

    if len(found) == 1:
        if isinstance(found[0], LinkError):
            raise found[0]
        finish(found[0], report, json, keras_model, expected)
        return
    console.table(*several(found, names))
    failed, broken = False, None
    for position, (name, result) in enumerate(zip(names, found, strict=True)):
        if isinstance(result, LinkError):
            console.say(f"{short(name)}: {result}")
            broken = broken or result
            continue
        write(result, own_file(report, name, position), own_file(json, name, position), keras_model, expected)
        console.say(f"{short(name)}: {_show.summary(result)}")
        failed |= result.verdict is RunVerdict.FAIL
    if broken is not None:
        raise broken
    if failed:
        raise typer.Exit(console.DIFFERS)


def own_command() -> list[str]:
    """The command that runs, as a reader can repeat it; empty where the program was not started by its own name."""
    if Path(sys.argv[0]).stem != "firmware-tools":
        return []
    return [shlex.join(["firmware-tools", *sys.argv[1:]])]


@contextlib.contextmanager
def opened_engines(
    specs: list[str],
    model: Path | None,
    options: LinkOptions = LinkOptions(),  # noqa: B008  (frozen)
) -> "Iterator[tuple[list[Engine], Expectation]]":
    """Open engines, all names checked first, with what is recorded beside their models."""
    from firmware_tools.engines import input_tensors, open_engine, parse
    from firmware_tools.pictures import expectation

    parsed = [parse(spec) for spec in specs]
    files = [spec.file for spec in parsed if spec.file is not None and spec.kind != "trace"]
    tflite = model or next((spec.file for spec in parsed if spec.is_tflite), None)
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(open_engine(spec, model=tflite, **options.of(spec))) for spec in specs]
        tensors = next((found for found in map(input_tensors, opened) if found), None)
        shape = tensors[0].shape if tensors else (1, *opened[0].inputs[0].shape)  # type: ignore[attr-defined]
        beside: list[str | Path] = [*files, *([model] if model else [])]
        yield opened, expectation(beside, shape)


def pictures_of(spec: str, expected: "Expectation", split: str | None, limit: int | None) -> "Dataset":
    from firmware_tools.pictures import open_data

    return open_data(spec, expected, split=split, limit=limit)


def nth(data: "Dataset", index: int) -> "np.ndarray[Any, Any]":
    batch = next(iter(dataclasses.replace(data, positions=data.positions[index : index + 1]).batches(1)))
    return batch.images


def recorded(opened: "list[Engine]") -> "np.ndarray[Any, Any]":
    """The input that a trace among the engines was recorded with."""
    from firmware_tools.engines import TraceEngine

    for engine in opened:
        if isinstance(engine, TraceEngine):
            return engine.trace.inputs[0].values
    raise InputError("There is nothing to compare on; give images by --data (dog-poses, a folder, an .npz).")
