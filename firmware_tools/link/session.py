"""The `Session`: requests that are repeated until answered, on a line that may lose, change or invent bytes.

All time-outs, retries and the frame size are decided here; the device only answers. Nothing here knows what a model is.
"""

import dataclasses
import random
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from firmware_tools.link import messages
from firmware_tools.link.framing import Deframer, Frame, encode
from firmware_tools.link.messages import ANSWER, Digest, Hello, Kind, OpDone, OpRow, Refusal, Space, Stats, TensorRow
from firmware_tools.link.patience import DEFAULT_TIMING, Timing, Wait
from firmware_tools.link.transport import Transport
from tfviz.errors import LinkError

_Row = TypeVar("_Row")
SMALLEST_CHUNK = 16
"""Bytes of payload below which frames do not shrink, however bad the line."""


class RefusedError(LinkError):
    """The device answered a request with an error."""

    def __init__(self, sentence: str, refusal: int, detail: int) -> None:
        super().__init__(sentence)
        self.refusal = refusal
        self.detail = detail


@dataclasses.dataclass
class Counters:
    """Bytes on the line since the session began, and what went wrong on it."""

    sent: int = 0
    received: int = 0
    repeated: int = 0


class Session:
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
        self.transport = transport
        self.timing = timing
        self.counters = Counters()
        self.chunk = SMALLEST_CHUNK  # until HELLO says what the device's buffers hold
        self.last_good = "nothing was run yet"
        self._deframer = Deframer()
        self._random = random.Random(seed)
        self._nonce = self._random.randrange(1, 1 << 32)
        self._sequence = 0
        self._run = self._random.randrange(1 << 16)
        self._largest = SMALLEST_CHUNK
        self._clean = 0

    @property
    def damaged(self) -> int:
        """Frames that arrived damaged at this end."""
        return self._deframer.damaged

    def hello(self) -> Hello:
        """Open a session: whatever the device was doing is over."""
        self._nonce = self._random.randrange(1, 1 << 32)
        hello = messages.parse_hello(self._request(Kind.HELLO, bytes([messages.VERSION])))
        self._largest = self.chunk = max(SMALLEST_CHUNK, hello.payload - 16)
        return hello

    def tensors(self, count: int) -> list[TensorRow]:
        """The device's table of activation tensors."""
        return self._table(Kind.TENSORS, count, messages.parse_tensors)

    def ops(self, count: int) -> list[OpRow]:
        """The device's table of ops."""
        return self._table(Kind.OPS, count, messages.parse_ops)

    def begin(self, inputs: Sequence[tuple[int, bytes]]) -> int:
        """Send the model's inputs as (tensor, bytes); returns the number of the run that they begin."""
        self._run = (self._run + 1) % (1 << 16)
        for tensor, data in inputs:
            self._store(Kind.INPUT, struct.pack("<H", self._run), tensor, data)
        return self._run

    def run(self, number: int, crcs: Sequence[int]) -> OpDone:
        """Let op 0 run, provided that the inputs on the device have these CRCs."""
        return self._op(Kind.RUN, messages.run(number, crcs), number, 0)

    def next(self, number: int, op: int) -> OpDone:
        """Let op `op` run; the device must be at the pause before it."""
        return self._op(Kind.NEXT, messages.pause(number, op), number, op)

    def digest(self, number: int, at: int, wanted: Sequence[tuple[Space, int]]) -> list[Digest]:
        """Size and CRC-32 of tensors and constants at pause `at`."""
        payload = messages.pause(number, at) + messages.names(wanted)
        return messages.parse_digests(self._request(Kind.DIGEST, payload), wanted)

    def write(self, number: int, at: int, tensor: int, data: bytes) -> None:
        """Overwrite a model input (pause 0) or an output of the op before pause `at`."""
        self._store(Kind.WRITE, messages.pause(number, at), tensor, data)

    def read(self, number: int, at: int, space: Space, name: int, length: int) -> bytes:
        """Bytes of a tensor or constant at pause `at`, in windows; what got lost is asked for again, not the rest."""
        buffer = bytearray(length)
        missing = [(0, length)]
        wait = Wait(self.timing, self.timing.request)
        while missing:
            start, end = missing.pop(0)
            payload = messages.pause(number, at) + messages.window(space, name, start, end - start, self.chunk)
            got = self._window(payload, buffer, (start, end), wait.quiet)
            lost = _holes((start, end), got)
            missing[:0] = lost
            if got:
                wait = Wait(self.timing, self.timing.request)
            if lost:
                self._shrink()
                self._repeat(Kind.READ, wait)
        return bytes(buffer)

    def abort(self) -> None:
        """End the run."""
        self._request(Kind.ABORT, b"")

    def stats(self) -> Stats:
        """What the device's receiver saw."""
        return messages.parse_stats(self._request(Kind.STATS, b""))

    def _op(self, kind: Kind, payload: bytes, number: int, op: int) -> OpDone:
        done = messages.parse_op_done(self._request(kind, payload, patience=self.timing.op))
        if (done.run, done.op) != (number, op):
            raise LinkError(f"{self.transport.name}: asked for op {op}, the device ran op {done.op}.")
        self.last_good = f"the last good op was {op}"
        return done

    def _table(self, kind: Kind, count: int, parse: Callable[[bytes], list[_Row]]) -> list[_Row]:
        rows: list[_Row] = []
        while len(rows) < count:
            most = min(255, max(1, self.chunk // 24))
            got = parse(self._request(kind, struct.pack("<HB", len(rows), most)))
            if not got:
                raise LinkError(f"{self.transport.name}: the device's {kind.name} table is shorter than it says.")
            rows += got
        return rows

    def _store(self, kind: Kind, head: bytes, tensor: int, data: bytes) -> None:
        offset = 0
        wait = Wait(self.timing, self.timing.request)
        while offset < len(data):
            part = data[offset : offset + self.chunk]
            if self._attempt(self._frame(kind, head + messages.store(tensor, offset, part)), wait.quiet) is None:
                self._shrink()
                self._repeat(kind, wait)
            else:
                offset += len(part)
                self._grow()
                wait = Wait(self.timing, self.timing.request)

    def _request(self, kind: Kind, payload: bytes, *, patience: float | None = None) -> bytes:
        """Send the same frame until its answer comes; the device knows a repeat by its content."""
        frame = self._frame(kind, payload)
        wait = Wait(self.timing, self.timing.request if patience is None else patience)
        while True:
            answer = self._attempt(frame, wait.quiet)
            if answer is not None:
                return answer
            self._repeat(kind, wait)

    def _repeat(self, kind: Kind, wait: Wait) -> None:
        """Count a repeat of a request, or give up with one sentence."""
        try:
            wait.again()
        except TimeoutError as error:
            raise LinkError(
                f"{self.transport.name}: no answer to {kind.name} {error}; {self.last_good}. "
                "Check cable, power and baud rate."
            ) from None
        self.counters.repeated += 1

    def _attempt(self, frame: Frame, quiet: float) -> bytes | None:
        """Send `frame` once; None where the line then stays silent for `quiet` seconds."""
        self._send(frame)
        for answer in self._answers(frame, quiet):
            return answer.payload
        return None

    def _window(
        self, payload: bytes, buffer: bytearray, wanted: tuple[int, int], quiet: float
    ) -> list[tuple[int, int]]:
        """Ask for one range; store what comes of it and return the ranges that came."""
        frame = self._frame(Kind.READ, payload)
        self._send(frame)
        got: list[tuple[int, int]] = []
        start, end = wanted
        for answer in self._answers(frame, quiet):
            offset = struct.unpack_from("<I", answer.payload)[0]
            data = answer.payload[4:]
            if not data or offset < start or offset + len(data) > end:
                raise LinkError(f"{self.transport.name}: READ of {start} to {end} was answered with {offset}.")
            buffer[offset : offset + len(data)] = data
            got.append((offset, offset + len(data)))
            self._grow()
            if offset + len(data) == end:
                break
        return got

    def _frame(self, kind: Kind, payload: bytes) -> Frame:
        self._sequence = (self._sequence + 1) % (1 << 16)
        return Frame(kind, self._sequence, self._nonce, payload)

    def _send(self, frame: Frame) -> None:
        data = encode(frame)
        self.counters.sent += len(data)
        self.transport.write(data)

    def _answers(self, request: Frame, quiet: float) -> Iterator[Frame]:
        """Answers to `request` as they come, until nothing comes for `quiet` seconds; other frames are dropped."""
        silent_since = time.monotonic()
        while (left := silent_since + quiet - time.monotonic()) > 0:
            data = self.transport.read(left)
            if not data:
                return
            self.counters.received += len(data)
            for frame in self._deframer.feed(data):
                if self._answers_to(request, frame):
                    silent_since = time.monotonic()
                    yield frame

    def _answers_to(self, request: Frame, frame: Frame) -> bool:
        if frame.sequence != request.sequence:
            return False
        if frame.kind == Kind.ERROR:
            self._refused(request, frame)
        return frame.nonce == self._nonce and frame.kind == request.kind | ANSWER

    def _refused(self, request: Frame, frame: Frame) -> None:
        kind, refusal, detail = struct.unpack("<BBI", frame.payload)
        if refusal == Refusal.SESSION:
            raise LinkError(
                f"{self.transport.name}: the device was reset or taken over by another host; {self.last_good}. "
                "Run the command again."
            )
        if frame.nonce != self._nonce or kind != request.kind:
            return
        name = Refusal(refusal).name if refusal in set(Refusal) else str(refusal)
        asked = Kind(kind).name if kind in set(Kind) else f"message {kind:#04x}"
        sentence = f"{self.transport.name}: the device refused {asked} ({name}, {detail:#x}); {self.last_good}."
        raise RefusedError(sentence, refusal, detail)

    def _grow(self) -> None:
        self._clean += 1
        if self._clean >= 32:
            self._clean = 0
            self.chunk = min(2 * self.chunk, self._largest)

    def _shrink(self) -> None:
        self._clean = 0
        self.chunk = max(self.chunk // 2, SMALLEST_CHUNK)


def _holes(wanted: tuple[int, int], got: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of `wanted` that `got` leaves out.

    >>> _holes((0, 10), [(0, 4), (6, 8)])
    [(4, 6), (8, 10)]
    """
    holes = []
    at = wanted[0]
    for start, end in sorted(got):
        if start > at:
            holes.append((at, start))
        at = max(at, end)
    return [*holes, (at, wanted[1])] if at < wanted[1] else holes
