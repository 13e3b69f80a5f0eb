"""Every method by name, for Python, the command lines, `tfviz methods` and the report.

Light: a method's function is imported when it is first used. The list itself is `tfviz.catalogue`.
"""

import difflib

from tfviz.catalogue import METHODS, Kind, Method
from tfviz.errors import InputError


def names(kind: Kind | None = None) -> list[str]:
    """The names of all methods, or of those of a kind.

    >>> "grad-cam" in names("layer"), "grad-cam" in names("pixel")
    (True, False)
    """
    return [name for name, method in METHODS.items() if kind in (None, method.kind)]


def find(name: str, kind: Kind | None = None) -> Method:
    """The method called `name`; `_` is taken for `-`.

    Raises:
        InputError: there is none, or it is of another kind; the message lists near names.
    """
    wanted = name.lower().replace("_", "-")
    known = names(kind)
    if wanted in known:
        return METHODS[wanted]
    of_kind = f"{kind} method" if kind else "method"
    if wanted in METHODS:
        raise InputError(f"{wanted!r} is a {METHODS[wanted].kind} method; the {of_kind}s are {', '.join(known)}.")
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
    raise InputError(
        f"There is no {of_kind} {name!r}; {'near names' if near else 'there are'}: {', '.join(near or known)}."
    )


__all__ = ["METHODS", "Kind", "Method", "find", "names"]
