"""What a comparison has to reach, from a small TOML file, for continuous integration.

[run]                       # the whole: any number of `Comparison`
top1_agreement = ">= 0.98"
verdict = "== PASS"

[layers]                    # every op of which the metric was measured
sqnr_db = ">= 20"
max_lsb = "<= 1"

[layer.conv3]               # one op, by Keras layer, name or index; it stands instead of what [layers] says
sqnr_db = ">= 15"
"""

import dataclasses
import difflib
import math
import operator
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from firmware_tools.results import Comparison, OpResult, Threshold
from tfviz.errors import InputError

_BOUND = re.compile(r"\s*(>=|<=|==)\s*(\S+)\s*")
_MEETS: Mapping[str, Callable[[Any, Any], bool]] = {">=": operator.ge, "<=": operator.le, "==": operator.eq}
_NOT_NUMBERS = {"shape", "where", "channels", "name", "op", "keras_layer", "dtype"}
RUN_METRICS = (
    "verdict", "exact_ops", "total_ops", "images", "top1_agreement", "float_top1_agreement", "top5_agreement",
    "float_top5_agreement", "accuracy", "instructions", "flash_bytes", "ram_bytes", "arena_bytes",
)  # fmt: skip
OP_METRICS = tuple(field.name for field in dataclasses.fields(OpResult) if field.name not in _NOT_NUMBERS)


@dataclasses.dataclass(frozen=True)
class Bound:
    """One demand: `metric` compared with `value` by `relation`."""

    metric: str
    relation: str
    value: float | str

    def __str__(self) -> str:
        value = f"{self.value:g}" if isinstance(self.value, float) else self.value
        return f"{self.relation} {value}"

    def met(self, measured: object) -> bool:
        """Whether a measured value meets it; what was not measured does not, nor does NaN."""
        if measured is None:
            return False
        if isinstance(self.value, str) or isinstance(measured, str):
            return str(measured) == str(self.value)
        return bool(_MEETS[self.relation](measured, self.value))


@dataclasses.dataclass(frozen=True)
class Demands:
    """A thresholds file: of the run, of every op, and of single ops by what the file calls them."""

    run: tuple[Bound, ...] = ()
    layers: tuple[Bound, ...] = ()
    layer: Mapping[str, tuple[Bound, ...]] = dataclasses.field(default_factory=dict)


def load(path: str | os.PathLike[str]) -> Demands:
    """Read a thresholds file.

    Raises:
        InputError: no such file, no TOML, a metric that there is not, or a bound that is none.
    """
    file = Path(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"There is no thresholds file {file}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not TOML: {error}.") from error
    unknown = set(content) - {"run", "layers", "layer"}
    if unknown or not content:
        given = ", ".join(f"[{name}]" for name in sorted(unknown)) or "nothing"
        raise InputError(f"{file} may have [run], [layers] and [layer.NAME]; it has {given}.")
    single = _table(content.get("layer", {}), f"[layer] of {file}")
    return Demands(
        run=_bounds(content.get("run", {}), RUN_METRICS, f"[run] of {file}"),
        layers=_bounds(content.get("layers", {}), OP_METRICS, f"[layers] of {file}"),
        layer={name: _bounds(table, OP_METRICS, f"[layer.{name}] of {file}") for name, table in single.items()},
    )


def check(comparison: Comparison, demands: Demands) -> tuple[Threshold, ...]:
    """Every demand and whether it is met.

    A demand on all layers is made on those of which the metric was measured, and is not met where that is none.

    Raises:
        InputError: the file names a layer that the model does not have.
    """
    found = [_judged("run", bound, _of_run(comparison, bound.metric)) for bound in demands.run]
    single = {name: _op(comparison.ops, name) for name in demands.layer}
    for bound in demands.layers:
        exempt = {
            op.index for name, op in single.items() if any(own.metric == bound.metric for own in demands.layer[name])
        }
        measured = [op for op in comparison.ops if getattr(op, bound.metric) is not None]
        found += [
            _judged(f"op {op.index}", bound, getattr(op, bound.metric)) for op in measured if op.index not in exempt
        ]
        if not measured:
            found.append(_judged("layers", bound, None))
    for name, bounds in demands.layer.items():
        op = single[name]
        found += [_judged(f"op {op.index}", bound, getattr(op, bound.metric)) for bound in bounds]
    return tuple(found)


def sentence(threshold: Threshold) -> str:
    """What was demanded and what was found.

    >>> sentence(Threshold("op 3", "sqnr_db", ">= 20", 12.34567, False))
    'op 3: sqnr_db is 12.3457, demanded is >= 20'
    """
    value = threshold.value
    text = "not measured" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return f"{threshold.scope}: {threshold.metric} is {text}, demanded is {threshold.bound}"


def _judged(scope: str, bound: Bound, measured: Any) -> Threshold:
    value = measured if measured is None or isinstance(measured, int | float) else str(measured)
    return Threshold(scope, bound.metric, str(bound), value, bound.met(measured))


def _of_run(comparison: Comparison, metric: str) -> Any:
    """A run's value; the accuracy is that of the engine that is judged."""
    if metric != "accuracy":
        return getattr(comparison, metric)
    judged = comparison.engine("engine")
    return None if judged is None else comparison.accuracy.get(judged.name)


def _op(ops: Sequence[OpResult], name: str) -> OpResult:
    for told in ("keras_layer", "name", "index"):
        for op in ops:
            if str(getattr(op, told)) == name:
                return op
    known = [op.keras_layer or op.name for op in ops]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else f" There are {', '.join(known[:12])}."
    raise InputError(f"The thresholds name the layer {name!r}, which the model does not have.{hint}")


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} is no table; write one line for each metric below it.")
    return value


def _bounds(table: Any, known: Sequence[str], where: str) -> tuple[Bound, ...]:
    return tuple(_bound(metric, text, known, where) for metric, text in _table(table, where).items())


def _bound(metric: str, text: Any, known: Sequence[str], where: str) -> Bound:
    if metric not in known:
        near = difflib.get_close_matches(metric, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else f" There are {', '.join(known)}."
        raise InputError(f"{where} names {metric!r}, which is no metric.{hint}")
    shape = _BOUND.fullmatch(text) if isinstance(text, str) else None
    if shape is None:
        raise InputError(f'{where}: {metric} = {text!r} is no bound; write ">= 20", "<= 1" or "== 0".')
    relation, given = shape.groups()
    if metric == "verdict":
        if relation != "==":
            raise InputError(f'{where}: a verdict is demanded as "== PASS", not {text!r}.')
        return Bound(metric, relation, given)
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise InputError(f"{where}: {metric} = {text!r} holds no number.")
    return Bound(metric, relation, value)
