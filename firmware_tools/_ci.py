"""A comparison for continuous integration: JUnit XML and GitHub's annotations. Pure functions to text."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from firmware_tools.results import Comparison, OpResult, RunVerdict, Verdict
from firmware_tools.thresholds import sentence
from tfviz.errors import LinkError

# What XML 1.0 cannot hold (section 2.2), not even escaped; a tensor's name may.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Found = Comparison | LinkError


def failures(comparison: Comparison) -> dict[str, list[str]]:
    """What is wrong, by scope (`run`, `layers` or `op 3`): demands that are not met; without demands, verdicts."""
    wrong: dict[str, list[str]] = {}
    if comparison.thresholds:
        for threshold in comparison.thresholds:
            if not threshold.met:
                wrong.setdefault(threshold.scope, []).append(sentence(threshold))
        return wrong
    if comparison.verdict is not RunVerdict.FAIL:
        return wrong
    passing = {Verdict.EXACT, Verdict.MEASURED}
    if comparison.tolerated == "rounding":
        passing |= {Verdict.ROUNDING, Verdict.INHERITED}
    for op in comparison.ops:
        if op.verdict not in passing:
            wrong[f"op {op.index}"] = [_difference(op)]
    return wrong or {"run": [f"{len(comparison.ops)} of {comparison.total_ops} ops could be compared"]}


def junit(found: Sequence[Found], names: Sequence[str]) -> str:
    """JUnit XML: a suite for each engine, a case for the run and for each op; a broken link is an error."""
    root = ET.Element("testsuites", name="firmware-tools")
    for result, name in zip(found, names, strict=True):
        _suite(root, result, name)
    for total in ("tests", "failures", "errors"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def annotations(found: Sequence[Found], names: Sequence[str]) -> list[str]:
    """GitHub's workflow commands: one error for each op (or demand) that fails, a notice where nothing does."""
    lines = []
    for result, name in zip(found, names, strict=True):
        if isinstance(result, LinkError):
            lines.append(_command("error", f"{name}: the link failed", str(result)))
            continue
        wrong = failures(result)
        layers = {f"op {op.index}": op.keras_layer or op.name for op in result.ops}
        for scope, sentences in wrong.items():
            place = f"{scope} ({layers[scope]})" if scope in layers else scope
            lines.append(_command("error", f"{name}: {place}", "; ".join(sentences)))
        if not wrong:
            told = f"{result.exact_ops} of {result.total_ops} layers EXACT over {result.images} images"
            lines.append(_command("notice", f"{name}: {result.verdict.value}", told))
    return lines


def _suite(root: ET.Element, result: Found, name: str) -> None:
    suite = ET.SubElement(root, "testsuite", name=_text(name))
    if isinstance(result, LinkError):
        case = ET.SubElement(suite, "testcase", classname=_text(name), name="link")
        ET.SubElement(case, "error", message=_text(str(result)))
        suite.set("tests", "1")
        suite.set("failures", "0")
        suite.set("errors", "1")
        return
    wrong = failures(result)
    _case(suite, name, "run", wrong.get("run", []) + wrong.get("layers", []))
    for op in result.ops:
        label = f"op {op.index} {op.op} {op.keras_layer or op.name}"
        _case(suite, name, label, wrong.get(f"op {op.index}", []))
    suite.set("tests", str(len(result.ops) + 1))
    suite.set("failures", str(sum(case.find("failure") is not None for case in suite)))
    suite.set("errors", "0")
    if result.seconds is not None:
        suite.set("time", f"{result.seconds:.3f}")


def _case(suite: ET.Element, name: str, label: str, sentences: Sequence[str]) -> None:
    case = ET.SubElement(suite, "testcase", classname=_text(name), name=_text(label))
    if sentences:
        failure = ET.SubElement(case, "failure", message=_text(sentences[0]))
        failure.text = _text("\n".join(sentences))


def _difference(op: OpResult) -> str:
    text = f"{op.verdict.value}: {op.max_lsb} LSB apart at most" if op.max_lsb else op.verdict.value
    if op.local_max_lsb is not None:
        text += f", {op.local_max_lsb} of its own"
    if op.where is not None:
        image, *index = op.where
        text += f"; image {image}, index {tuple(index)}"
    return text


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def _command(kind: str, title: str, message: str) -> str:
    """A workflow command, escaped as its reader unescapes it (in a property the colon and the comma as well).

    >>> _command("error", "a: b, c", "50 %" + chr(10) + "wrong")
    '::error title=a%3A b%2C c::50 %25%0Awrong'
    """
    message, title = (text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A") for text in (message, title))
    return f"::{kind} title={title.replace(':', '%3A').replace(',', '%2C')}::{message}"
