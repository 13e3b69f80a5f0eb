"""A comparison as a notebook shows it: the verdict and one row an op, as a small piece of HTML."""

from html import escape

from firmware_tools import _show
from firmware_tools.report.words import TONES
from firmware_tools.results import Comparison, RunVerdict

_COLOURS = {"good": "#1d7a46", "warn": "#9a6700", "bad": "#b3261e", "": "inherit"}
_RUN = {RunVerdict.PASS: "good", RunVerdict.FAIL: "bad", RunVerdict.MEASURED: ""}


def comparison_html(found: Comparison) -> str:
    """The table of the command line, with its verdicts in colour."""
    verdict, _, rest = _show.summary(found).partition(":")
    heads = "".join(f"<th>{escape(head)}</th>" for head in _show.OP_HEADERS)
    rows = "".join(
        f"<tr>{''.join(_cell(cell, TONES[op.verdict] if cell == op.verdict.value else '') for cell in row)}</tr>"
        for op, row in zip(found.ops, _show.op_rows(found), strict=True)
    )
    said = "".join(f"<li>{escape(line)}</li>" for line in _show.findings(found))
    return (
        f"<p><strong style='color:{_COLOURS[_RUN[found.verdict]]}'>{escape(verdict)}</strong>:{escape(rest)}</p>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table><ul>{said}</ul>"
    )


def _cell(value: object, tone: str) -> str:
    colour = f" style='color:{_COLOURS[tone]}'" if tone else ""
    return f"<td{colour}>{escape(str(value))}</td>"
