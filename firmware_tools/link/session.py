"""The `Session`: each message of docs/protocol.md as a call. Nothing here knows what a model is."""

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from firmware_tools.link import messages
from firmware_tools.link.exchange import SMALLEST_CHUNK, Exchange, RefusedError
from firmware_tools.link.messages import (
    Capability,
    Captured,
    Digest,
    Hello,
    Kind,
    OpDone,
    OpRow,
    Refusal,
    Space,
    Stats,
    TensorRow,
)
from firmware_tools.link.patience import DEFAULT_TIMING, Timing
from firmware_tools.link.transport import Transport
from tfviz.errors import LinkError

_Row = TypeVar("_Row")
_Inputs = Sequence[tuple[int, bytes]]
_STORE_HEAD = 10
"""Bytes of WRITE, the longest of the messages that carry data to the device, before its data."""
_DIGESTS = 9
"""Names of one DIGEST: what a payload of 32 bytes, the least that a device may take, has room for."""
_LAST_GOOD, _EARLIER = "the last good op was", " of the run before"
_PATIENCE = 120.0
_WORTH = 256
"""Bytes between two lost frames that are rather read again than left out by a request of their own."""
_MOST_WARY = 64


class Session(Exchange):
    """One host, one device, one line.

    >>> from firmware_tools.link import Timing
    >>> class Silent:
    ...     name = "a cut cable"
    ...     def write(self, data): pass
    ...     def read(self, timeout): return b""
    ...     def close(self): pass
    >>> Session(Silent(), timing=Timing(tries=2)).hello()
    Traceback (most recent call last):
    tfviz.errors.LinkError: a cut cable: no answer to HELLO in 0.0 s (2 tries); nothing was run yet...
    """

    def __init__(self, transport: Transport, *, timing: Timing = DEFAULT_TIMING, seed: int | None = None) -> None:
        super().__init__(transport, timing=timing, seed=seed)
        self.capabilities = Capability(0)
        self._run = self._random.randrange(1 << 16)
        self._unproven: _Inputs = ()  # sent without answers: RUN's CRCs tell whether they arrived
        self._wary = 0  # runs to come whose inputs are sent with answers, since some got lost without
        self._next_wary = 1
        self._piece = 1  # bytes of data in READ's frames, as far as seen

    def hello(self) -> Hello:
        """Open a session: whatever the device was doing is over."""
        self._nonce = self._random.randrange(1, 1 << 32)
        answer = self._request(Kind.HELLO, bytes([messages.VERSION]))
        hello = self._parsed(Kind.HELLO, messages.parse_hello, answer)
        if hello.protocol != messages.VERSION:
            raise LinkError(self._other_version(hello.protocol))
        self._largest = self.chunk = max(SMALLEST_CHUNK, hello.payload - _STORE_HEAD)
        self.capabilities = Capability(hello.capabilities)
        return hello

    def tensors(self, count: int) -> list[TensorRow]:
        """The device's table of activation tensors."""
        return self._table(Kind.TENSORS, count, messages.parse_tensors)

    def ops(self, count: int) -> list[OpRow]:
        """The device's table of ops."""
        return self._table(Kind.OPS, count, messages.parse_ops)

    def begin(self, inputs: _Inputs, *, kept: bool = False) -> int:
        """Send the model's inputs as (tensor, bytes); returns the number of the run that they begin.

        They go out without waiting for answers where the device takes that and the line has not lost any lately; `run`
        sends them again where they did not arrive. With `kept` the device still has them, and nothing is sent.
        """
        self._next_run()
        head = struct.pack("<H", self._run)
        if kept:
            self._unproven = inputs
            self._request(Kind.INPUT, head + messages.store(inputs[0][0], 0, b""))
        elif self._wary or Capability.FEED not in self.capabilities:
            self._wary = max(0, self._wary - 1)
            self._answered_inputs(inputs)
        else:
            self._unproven = inputs
            for tensor, data in inputs:
                for offset in range(0, len(data), self.chunk):
                    part = messages.store(tensor, offset, data[offset : offset + self.chunk])
                    self._send(self._frame(Kind.FEED, head + part))
        return self._run

    def capture(self, *, patience: float | None = None) -> Captured:
        """Let the device fill its own input from its sensor; that begins a run."""
        self._next_run()
        payload = self._request(Kind.CAPTURE, struct.pack("<H", self._run), patience=patience or _PATIENCE)
        return self._parsed(Kind.CAPTURE, messages.parse_captured, payload)

    def run(self, number: int, crcs: Sequence[int], *, patience: float | None = None) -> OpDone:
        """Let op 0 run, provided that the inputs on the device have these CRCs."""
        payload = messages.run(number, crcs)
        try:
            return self._op(Kind.RUN, payload, number, 0, patience)
        except RefusedError as error:
            if not self._unproven or error.refusal not in (Refusal.INPUT, Refusal.STATE):
                raise
        self._went(sum(len(data) for _, data in self._unproven), 1)
        self._wary, self._next_wary = self._next_wary, min(2 * self._next_wary, _MOST_WARY)
        self._answered_inputs(self._unproven)
        return self._op(Kind.RUN, payload, number, 0, patience)

    def next(self, number: int, op: int, *, patience: float | None = None) -> OpDone:
        """Let op `op` run; the device must be at the pause before it."""
        return self._op(Kind.NEXT, messages.pause(number, op), number, op, patience)

    def digest(self, number: int, at: int, wanted: Sequence[tuple[Space, int]]) -> list[Digest]:
        """Size and CRC-32 of tensors and constants at pause `at`, a few at a time: the smallest buffers hold them."""
        digests = []
        for start in range(0, len(wanted), _DIGESTS):
            some = wanted[start : start + _DIGESTS]
            payload = self._request(Kind.DIGEST, messages.pause(number, at) + messages.names(some))
            digests += self._parsed(Kind.DIGEST, partial(messages.parse_digests, wanted=some), payload)
        return digests

    def write(self, number: int, at: int, tensor: int, data: bytes) -> None:
        """Overwrite a model input (pause 0) or an output of the op before pause `at`."""
        self._store(Kind.WRITE, messages.pause(number, at), tensor, data)

    def read(self, number: int, at: int, space: Space, name: int, length: int) -> bytes:
        """Bytes of a tensor or constant at pause `at`, in windows; what got lost is asked for again, not the rest."""
        buffer = bytearray(length)
        missing = [(0, length)]
        wait = self._wait(Kind.READ, size=length)
        while missing:
            start, end = missing.pop(0)
            payload = messages.pause(number, at) + messages.window(space, name, start, end - start, self.chunk)
            got = self._window(payload, buffer, (start, end), wait.quiet)
            self._went(*self._seen(end - start, len(got)))
            lost = _holes((start, end), got, worth=_WORTH)
            missing[:0] = lost
            if got:
                wait.progress()
            if lost:
                self._repeat(Kind.READ, wait)
        return bytes(buffer)

    def _seen(self, size: int, got: int) -> tuple[int, int]:
        """Bytes of data that a READ put on the line, and frames that got lost; where none came, the request did."""
        frame = min(self.chunk, self._piece)
        return (size, max(0, -(-size // frame) - got)) if got else (min(size, frame), 1)

    def abort(self) -> None:
        """End the run."""
        self._request(Kind.ABORT, b"")

    def stats(self) -> Stats:
        """What the device's receiver saw."""
        return self._parsed(Kind.STATS, messages.parse_stats, self._request(Kind.STATS, b""))

    def _next_run(self) -> None:
        self._run = (self._run + 1) % (1 << 16)
        self._unproven = ()
        if self.last_good.startswith(_LAST_GOOD) and not self.last_good.endswith(_EARLIER):
            self.last_good += _EARLIER

    def _answered_inputs(self, inputs: _Inputs) -> None:
        for tensor, data in inputs:
            self._store(Kind.INPUT, struct.pack("<H", self._run), tensor, data)

    def _op(self, kind: Kind, payload: bytes, number: int, op: int, patience: float | None) -> OpDone:
        wanted = self.timing.op or patience or _PATIENCE
        done = self._parsed(kind, messages.parse_op_done, self._request(kind, payload, patience=wanted))
        if (done.run, done.op) != (number, op):
            raise LinkError(self.located(f"{self.transport.name}: asked for op {op}, the device ran op {done.op}"))
        self.last_good = f"{_LAST_GOOD} {op}"
        return done

    def _table(self, kind: Kind, count: int, parse: Callable[[bytes], list[_Row]]) -> list[_Row]:
        rows: list[_Row] = []
        while len(rows) < count:
            most = min(255, max(1, self.chunk // 24))
            got = self._parsed(kind, parse, self._request(kind, struct.pack("<HB", len(rows), most)))
            if not got:
                short = f"{self.transport.name}: the device's {kind.name} table is shorter than it says"
                raise LinkError(self.located(short))
            rows += got
        return rows

    def _store(self, kind: Kind, head: bytes, tensor: int, data: bytes) -> None:
        offset = 0
        wait = self._wait(kind, size=len(data))
        while offset < len(data):
            part = data[offset : offset + self.chunk]
            if self._attempt(self._frame(kind, head + messages.store(tensor, offset, part)), wait.quiet) is None:
                self._went(len(part), 1)
                self._repeat(kind, wait)
            else:
                offset += len(part)
                self._went(len(part), 0)
                wait.progress()

    def _window(
        self, payload: bytes, buffer: bytearray, wanted: tuple[int, int], quiet: float
    ) -> list[tuple[int, int]]:
        """Ask for one range; store what comes of it and return the ranges that came."""
        frame = self._frame(Kind.READ, payload)
        self._send(frame)
        got: list[tuple[int, int]] = []
        start, end = wanted
        for answer in self._answers(frame, quiet, expected=-(-(end - start) // min(self.chunk, self._piece))):
            offset = int.from_bytes(answer.payload[:4], "little")
            data = answer.payload[4:]
            if not data or offset < start or offset + len(data) > end:
                wrong = f"{self.transport.name}: READ of {start} to {end} was answered with {offset}"
                raise LinkError(self.located(wrong))
            buffer[offset : offset + len(data)] = data
            self._piece = len(data) if offset + len(data) < end else max(self._piece, len(data))
            got.append((offset, offset + len(data)))
            if offset + len(data) == end:
                break
        return got


def _holes(wanted: tuple[int, int], got: Sequence[tuple[int, int]], *, worth: int = 0) -> list[tuple[int, int]]:
    """Ranges of `wanted` that `got` leaves out; what lies between two holes counts as one where it is not `worth` it.

    >>> _holes((0, 10), [(0, 4), (6, 8)])
    [(4, 6), (8, 10)]
    >>> _holes((0, 10), [(0, 4), (6, 8)], worth=2)
    [(4, 10)]
    """
    holes: list[tuple[int, int]] = []
    at = wanted[0]
    for start, end in [*sorted(got), (wanted[1], wanted[1])]:
        if start > at:
            close = bool(holes) and at - holes[-1][1] <= worth
            holes[-1 if close else len(holes) :] = [(holes[-1][0] if close else at, start)]
        at = max(at, end)
    return holes
