"""A hook of MkDocs: the table of the built-in engine's ops, read from its registry, so that it is never out of date."""

from typing import Any

from firmware_tools.codegen import registry

PLACE = "<!-- table of ops -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs with each page's text."""
    return markdown.replace(PLACE, table()) if PLACE in markdown else markdown


def table() -> str:
    """One row an op, with the types that it has a kernel of its own for."""
    wide, real = (set(registry.ops_of(dtype)) for dtype in ("int16", "float32"))
    rows = [f"| {op} | yes | {_yes(op in wide)} | {_yes(op in real)} |" for op in registry.known_ops()]
    return "\n".join(["| op | int8 | int16x8 | float32 |", "|---|---|---|---|", *rows])


def _yes(known: bool) -> str:
    return "yes" if known else ""
