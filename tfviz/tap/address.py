"""Layer addresses: `path[@call][:pre]`. Imports nothing but the standard library."""

import dataclasses
import re

from tfviz.errors import InputError

_ADDRESS = re.compile(r"(?P<path>.+?)(?:@(?P<call>\d+))?(?P<pre>:pre)?")


@dataclasses.dataclass(frozen=True)
class Tap:
    """One place in a model: the `call`-th call along `path`, before its activation if `pre`."""

    path: str
    call: int = 0
    pre: bool = False


def parse(address: str) -> tuple[str, int | None, bool]:
    """Split an address into path, call (None where it names none) and whether it is before the activation.

    >>> parse("backbone/conv@1:pre")
    ('backbone/conv', 1, True)
    >>> parse("conv")
    ('conv', None, False)

    Raises:
        InputError: the address is empty.
    """
    match = _ADDRESS.fullmatch(address.strip("/"))
    if match is None:
        raise InputError(
            f"{address!r} is no layer address; expected `path[@call][:pre]`, such as 'backbone/conv@1:pre'."
        )
    call = match["call"]
    return match["path"], None if call is None else int(call), match["pre"] is not None
