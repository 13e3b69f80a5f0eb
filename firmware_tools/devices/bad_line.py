"""A line with faults, under a seed: bytes dropped, doubled, flipped and inserted both ways, and a cable pulled.

For tests, and for whoever wants to see what a broken cable looks like: `--fault errors=0.001,seed=3,cut=50000`.
"""

import random
from typing import Self

from firmware_tools.link import Transport
from tfviz.errors import InputError, LinkError

KINDS = ("drop", "double", "flip", "insert")
SHAPE = "errors=RATE, seed=NUMBER, cut=BYTES, joined by commas"


class BadLine:
    """`inner`, spoilt.

    Args:
        inner: the line that works.
        rate: share of bytes that something happens to, each of `kinds` as often as the others.
        seed: of what happens.
        cut: bytes, both ways, after which the cable is pulled for good; None: never.

    Attributes:
        faults: bytes that something happened to.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        seed: int = 0,
        rate: float = 0,
        kinds: tuple[str, ...] = KINDS,
        cut: int | None = None,
    ) -> None:
        self.name = inner.name
        self.faults = 0
        self._inner = inner
        self._random = random.Random(seed)
        self._rate = rate
        self._kinds = kinds
        self._left = cut

    @classmethod
    def parse(cls, inner: Transport, text: str) -> Self:
        """`inner` with the faults that `text` names.

        Raises:
            InputError: it is not of the shape `errors=0.001,seed=3,cut=50000`.
        """
        given: dict[str, float] = {}
        for part in text.split(","):
            name, _, value = part.strip().partition("=")
            try:
                given[name] = float(value)
            except ValueError:
                given["?"] = 0
        if set(given) - {"errors", "seed", "cut"} or not 0 <= given.get("errors", 0) <= 1:
            raise InputError(f"{text!r} names no fault; expected {SHAPE}, such as errors=0.001,cut=50000.")
        cut = int(given["cut"]) if "cut" in given else None
        return cls(inner, rate=given.get("errors", 0), seed=int(given.get("seed", 0)), cut=cut)

    def write(self, data: bytes) -> None:
        """Send what becomes of `data`."""
        self._inner.write(self._spoil(self._pass(data)))

    def read(self, timeout: float) -> bytes:
        """What becomes of what arrived."""
        return self._spoil(self._pass(self._inner.read(timeout)))

    def close(self) -> None:
        """Close the line."""
        self._inner.close()

    def _pass(self, data: bytes) -> bytes:
        """As much as goes through before the cable is pulled."""
        if self._left is None:
            return data
        if self._left <= 0:
            raise LinkError(f"{self.name}: the cable was pulled.")
        data, self._left = data[: self._left], self._left - len(data)
        return data

    def _spoil(self, data: bytes) -> bytes:
        if not self._rate:
            return data
        spoilt = bytearray()
        for byte in data:
            if self._random.random() >= self._rate:
                spoilt.append(byte)
                continue
            self.faults += 1
            kind = self._random.choice(self._kinds)
            if kind == "double":
                spoilt += bytes([byte, byte])
            elif kind == "flip":
                spoilt.append(byte ^ 1 << self._random.randrange(8))
            elif kind == "insert":
                spoilt += bytes([self._random.randrange(256), byte])
        return bytes(spoilt)
