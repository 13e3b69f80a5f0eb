"""Shows the docstrings' doctests as code on the site: a griffe extension that mkdocs.yml names."""

from typing import Any

import griffe


class DoctestFences(griffe.Extension):
    """Puts a fence around each doctest; Markdown would take `>>>` for three quotations in each other."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute that was read."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """`text` with a `pycon` fence around each run of lines from a `>>>` to the next blank line.

    >>> fenced("Adds.\\n\\n>>> 1 + 1\\n2\\n\\nThe end.").splitlines()
    ['Adds.', '', '```pycon', '>>> 1 + 1', '2', '```', '', 'The end.']
    """
    lines: list[str] = []
    inside = False
    for line in [*text.splitlines(), ""]:
        if not inside and line.startswith(">>>"):
            lines.append("```pycon")
            inside = True
        elif inside and not line.strip():
            lines.append("```")
            inside = False
        lines.append(line)
    return "\n".join(lines).rstrip("\n")
