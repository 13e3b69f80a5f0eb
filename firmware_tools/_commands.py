"""What commands of `firmware-tools` share: opening engines and data, steps on the console, how a comparison ends."""

import contextlib
import dataclasses
import os
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

    from firmware_tools.explain import Looks
    from firmware_tools.pictures import Expectation
    from firmware_tools.results import Comparison
    from firmware_tools.thresholds import Demands
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


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a comparison is to be written as, and what decides its exit code."""

    report: Path | None = None
    json: Path | None = None
    junit: Path | None = None
    demands: "Demands | None" = None
    github: bool = False

    @classmethod
    def asked(
        cls, report: Path | None, json: Path | None, junit: Path | None, thresholds: Path | None, github: bool | None
    ) -> "Outputs":
        """From the options; a thresholds file is read before minutes are spent. GitHub's runner sets GITHUB_ACTIONS."""
        from firmware_tools import thresholds as known

        demands = None if thresholds is None else known.load(thresholds)
        asked = os.environ.get("GITHUB_ACTIONS") == "true" if github is None else github
        return cls(report, json, junit, demands, asked)

    def judged(self, result: "Comparison") -> "Comparison":
        """The comparison with what the thresholds say of it."""
        from firmware_tools import thresholds as known

        if self.demands is None:
            return result
        return dataclasses.replace(result, thresholds=known.check(result, self.demands))


def finish_all(
    found: "Sequence[Comparison | LinkError]",
    names: Sequence[str],
    outputs: Outputs,
    keras_model: Any,
    expected: "Expectation",
    looks: "Sequence[Looks]" = (),
) -> None:
    """Say what was found, write what was asked for, and leave with the exit code.

    Several engines stand in one table; each gets a page and a file of numbers of its own.
    """
    from firmware_tools import _show
    from firmware_tools.results import Comparison

    judged = [outputs.judged(result) if isinstance(result, Comparison) else result for result in found]
    alive = [result for result in judged if isinstance(result, Comparison)]
    if len(found) == 1 and alive:
        console.table(_show.OP_HEADERS, _show.op_rows(alive[0]))
        for line in _show.findings(alive[0]):
            console.say(line)
    elif len(found) > 1:
        console.table(*several(judged, names))
    if alive and alive[0].matrix is not None:
        console.say(_show.MATRIX_CAPTION)
        console.table(*_show.matrix_table(alive[0].matrix))
    for position, (name, result) in enumerate(zip(names, judged, strict=True)):
        one = len(found) == 1
        own = (
            outputs
            if one
            else dataclasses.replace(
                outputs,
                report=own_file(outputs.report, name, position),
                json=own_file(outputs.json, name, position),
            )
        )
        if isinstance(result, Comparison):
            _write(result, own, keras_model, expected, looks if position == 0 else ())
            for line in _show.threshold_lines(result):
                console.say(line if one else f"{short(name)}: {line}")
            console.say(_show.summary(result) if one else f"{short(name)}: {_show.summary(result)}")
        elif not one:
            console.say(f"{short(name)}: {result}")
    _for_ci(judged, names, outputs)
    broken = next((result for result in judged if isinstance(result, LinkError)), None)
    if broken is not None:
        raise broken
    if any(_fails(result) for result in alive):
        raise typer.Exit(console.DIFFERS)


def _fails(result: "Comparison") -> bool:
    """Thresholds decide where there are any, else the verdict."""
    from firmware_tools.results import RunVerdict

    if result.thresholds:
        return not all(threshold.met for threshold in result.thresholds)
    return result.verdict is RunVerdict.FAIL


def _for_ci(found: "Sequence[Comparison | LinkError]", names: Sequence[str], outputs: Outputs) -> None:
    from firmware_tools import _ci
    from tfviz.files import write_text

    labels = [short(name) for name in names]
    if outputs.junit is not None:
        write_text(outputs.junit, _ci.junit(found, labels))
        console.wrote(outputs.junit)
    if outputs.github:
        for line in _ci.annotations(found, labels):
            console.say(line)


def _write(
    result: "Comparison", outputs: Outputs, keras_model: Any, expected: "Expectation", looks: "Sequence[Looks]"
) -> None:
    """Write the page and the numbers that were asked for, and say so."""
    from tfviz.files import write_text

    if outputs.json is not None:
        write_text(outputs.json, result.to_json())
        console.wrote(outputs.json)
    if outputs.report is not None:
        from firmware_tools.report import write_report

        write_report(
            result,
            outputs.report,
            model=keras_model,
            preprocess=expected.preprocess,
            looks=looks,
            commands=[console.command_line()],
        )
        console.wrote(outputs.report)


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
