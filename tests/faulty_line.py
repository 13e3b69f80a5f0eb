"""A line that drops, doubles, flips and inserts bytes, both ways, under a seed."""

import random

from firmware_tools.link import Transport


class FaultyLine:
    def __init__(
        self, inner: Transport, *, seed: int, rate: float, kinds: tuple[str, ...] = ("drop", "double", "flip", "insert")
    ) -> None:
        self.name = inner.name
        self.faults = 0
        self._inner = inner
        self._random = random.Random(seed)
        self._rate = rate
        self._kinds = kinds

    def write(self, data: bytes) -> None:
        self._inner.write(self._spoil(data))

    def read(self, timeout: float) -> bytes:
        return self._spoil(self._inner.read(timeout))

    def close(self) -> None:
        self._inner.close()

    def _spoil(self, data: bytes) -> bytes:
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
