"""The `Exchange`: a request, repeated until it is answered, on a line that may lose, change or invent bytes.

All time-outs, retries and the frame size are decided here; the device only answers. Which messages there are is
`session`'s business.
"""

import dataclasses
import math
import random
import struct
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from firmware_tools.link import messages
from firmware_tools.link.framing import Deframer, Frame, encode
from firmware_tools.link.messages import ANSWER, Kind, Refusal
from firmware_tools.link.patience import AFTER_DAMAGE, AFTER_LAST, DEFAULT_TIMING, Quality, Rhythm, Timing, Wait
from firmware_tools.link.transport import Transport
from tfviz.errors import LinkError

_Answer = TypeVar("_Answer")
SMALLEST_CHUNK = 16
"""Bytes of data below which frames do not shrink, however bad the line."""
_PROMPT = frozenset({Kind.TENSORS, Kind.OPS, Kind.INPUT, Kind.READ, Kind.WRITE, Kind.STATS})
"""What costs the device no work: it answers at once. HELLO and DIGEST compute CRCs of any length, RUN and NEXT run."""
_ERROR = struct.Struct("<BBI")


class RefusedError(LinkError):
    """The device answered a request with an error."""

    def __init__(self, sentence: str, refusal: int, detail: int) -> None:
        super().__init__(sentence)
        self.refusal = refusal
        self.detail = detail


class ResetError(LinkError):
    """The device was reset in the middle, or another host took it over."""


@dataclasses.dataclass
class Counters:
    """Bytes on the line since the session began, and what went wrong on it."""

    sent: int = 0
    received: int = 0
    repeated: int = 0
    answers: int = 0


class Exchange:
    """One line: frames out, answers in."""

    def __init__(self, transport: Transport, *, timing: Timing = DEFAULT_TIMING, seed: int | None = None) -> None:
        self.transport = transport
        self.timing = timing
        self.counters = Counters()
        self.chunk = SMALLEST_CHUNK  # until HELLO says what the device's buffers hold
        self.last_good = "nothing was run yet"
        self.stopped = False  # by another thread: whatever is under way ends in a LinkError
        self._deframer = Deframer()
        self._random = random.Random(seed)
        self._nonce = 0
        self._sequence = self._random.randrange(1 << 16)
        self._largest = SMALLEST_CHUNK
        self._quality = Quality()
        self._on_the_way = 0
        self._rhythm = Rhythm()
        self._began = time.monotonic()

    @property
    def damaged(self) -> int:
        """Frames that arrived damaged at this end."""
        return self._deframer.damaged

    def _request(self, kind: Kind, payload: bytes, *, patience: float | None = None) -> bytes:
        """Send the same frame until its answer comes; the device knows a repeat by its content."""
        frame = self._frame(kind, payload)
        wait = self._wait(kind, patience)
        while True:
            answer = self._attempt(frame, wait.quiet)
            if answer is not None:
                return answer
            self._repeat(kind, wait)

    def _wait(self, kind: Kind, patience: float | None = None, *, size: int = 0) -> Wait:
        """A new wait for an answer: short where the device is known to be quick, patient where the line is silent."""
        quiet = min(self.timing.quiet, self._rhythm.quiet) if kind in _PROMPT else self.timing.quiet
        bad = self.chunk < self._largest  # it has lost something lately: silence is rather a loss than a busy device
        return Wait(
            self.timing,
            self.timing.request if patience is None else patience,
            size=size,
            quiet=quiet,
            growth=(1.0 if kind in _PROMPT else 1.3) if bad else 2.0,
        )

    def _repeat(self, kind: Kind, wait: Wait) -> None:
        """Count a repeat of a request, or give up with one sentence."""
        try:
            wait.again(kind.name, arrived=self._arrived)
        except TimeoutError as error:
            raise LinkError(f"{self.transport.name}: {error}; {self._where()}. {self._advice()}") from None
        self.counters.repeated += 1

    def _advice(self) -> str:
        if self.counters.received and not self.counters.answers:
            return (
                f"{self.counters.received} bytes arrived and no answer among them: the baud rate is wrong, "
                "or something else speaks on this line."
            )
        if self.damaged:
            return f"{self.damaged:,} frames arrived damaged: check cable, ground and baud rate."
        return "Check cable, power and baud rate."

    def located(self, sentence: str) -> str:
        """`sentence`, which has no full stop, with how far it got and when."""
        return f"{sentence}; {self._where()}."

    def _where(self) -> str:
        """How far it got, and when that was."""
        elapsed = time.monotonic() - self._began
        return f"{self.last_good} ({time.strftime('%H:%M:%S')}, {elapsed:.1f} s after the line was opened)"

    def _attempt(self, frame: Frame, quiet: float) -> bytes | None:
        """Send `frame` once; None where the line then stays silent for `quiet` seconds."""
        self._send(frame)
        for answer in self._answers(frame, quiet):
            return answer.payload
        return None

    def _frame(self, kind: Kind, payload: bytes) -> Frame:
        self._sequence = (self._sequence + 1) % (1 << 16)
        return Frame(kind, self._sequence, self._nonce, payload)

    def _send(self, frame: Frame) -> None:
        data = encode(frame)
        self.counters.sent += len(data)
        self._on_the_way += len(data)
        try:
            self.transport.write(data)
        except LinkError as error:
            raise self._with_place(error) from error.__cause__

    def _receive(self, timeout: float) -> bytes:
        if self.stopped:
            raise LinkError(self.located(f"{self.transport.name}: interrupted"))
        try:
            data = self.transport.read(timeout)
        except LinkError as error:
            raise self._with_place(error) from error.__cause__
        self.counters.received += len(data)
        return data

    def _with_place(self, error: LinkError) -> LinkError:
        """The transport's error, which does not know what was run, with how far it got."""
        sentence = str(error)
        if self.last_good not in sentence:
            error.args = (self.located(sentence.removesuffix(".")), *error.args[1:])
        return error

    def _answers(self, request: Frame, quiet: float, *, expected: int = 1) -> Iterator[Frame]:
        """The `expected` answers to `request` as they come, until nothing comes for `quiet` seconds; drops all others.

        After a damaged frame the rest is not waited for as long, and hardly at all where that was the last one.
        """
        line_time = self.chunk / self.timing.bytes_per_second
        quiet += line_time + self._on_the_way / self.timing.bytes_per_second
        self._on_the_way = 0
        self._arrived = None
        before, good = self.damaged, 0
        silent_since = sent = time.monotonic()
        while (left := silent_since + quiet - time.monotonic()) > 0:
            damaged = self.damaged - before
            data = self._receive(left)
            if not data:
                return
            for frame in self._deframer.feed(data):
                if self._answers_to(request, frame):
                    self.counters.answers += 1
                    good += 1
                    silent_since = time.monotonic()
                    if self._arrived is None and (request.kind in _PROMPT or self._rhythm.quiet == math.inf):
                        self._rhythm.heard(silent_since - sent)
                    yield frame
            if damaged < self.damaged - before <= expected:  # and not for ever: noise is no answer
                silent_since = time.monotonic()
                if self._arrived is None:
                    self._arrived = silent_since - sent
                last = good + self.damaged - before >= expected and request.kind in _PROMPT
                quiet = min(quiet, (AFTER_LAST if last else AFTER_DAMAGE) + line_time)

    _arrived: float | None = None
    """Seconds after which something damaged came of the last attempt; None where it brought nothing of the kind."""

    def _answers_to(self, request: Frame, frame: Frame) -> bool:
        if frame.sequence != request.sequence:
            return False
        if frame.kind == Kind.ERROR and len(frame.payload) == _ERROR.size:
            self._refused(request, frame)
        return frame.nonce == self._nonce and frame.kind == request.kind | ANSWER

    def _refused(self, request: Frame, frame: Frame) -> None:
        kind, refusal, detail = _ERROR.unpack(frame.payload)
        if refusal == Refusal.VERSION and kind == request.kind == Kind.HELLO:  # no session yet: any nonce
            raise RefusedError(self._other_version(detail), refusal, detail)
        # In our session that is the answer to a stale frame of an earlier one, whose number happens to be ours.
        if refusal == Refusal.SESSION and frame.nonce != self._nonce:
            raise ResetError(
                f"{self.transport.name}: the device was reset or taken over by another host; {self._where()}. "
                "Run the command again."
            )
        if frame.nonce != self._nonce or kind != request.kind or refusal == Refusal.SESSION:
            return
        why = messages.refusal_words(refusal, detail)
        asked = Kind(kind).name if kind in set(Kind) else f"message {kind:#04x}"
        sentence = self.located(f"{self.transport.name}: the device refused {asked} ({why})")
        raise RefusedError(sentence, refusal, detail)

    def _other_version(self, version: int) -> str:
        return (
            f"{self.transport.name}: the device speaks version {version} of the protocol, this program version "
            f"{messages.VERSION}; make both with the same version of firmware-tools."
        )

    def _parsed(self, kind: Kind, parse: Callable[[bytes], _Answer], payload: bytes) -> _Answer:
        """What an answer says; a device that answers whole frames of nonsense speaks another protocol."""
        try:
            return parse(payload)
        except (struct.error, IndexError, ValueError) as error:
            raise LinkError(
                f"{self.transport.name}: the answer to {kind.name} has {len(payload)} bytes and cannot be read "
                f"({error}); the device speaks another version of the protocol."
            ) from error

    def _went(self, size: int, lost: int) -> None:
        """So many bytes of data went over the line, in frames of which some got lost: the next are as long as pays."""
        self._quality.add(size, lost)
        self.chunk = max(SMALLEST_CHUNK, min(self._largest, self._quality.best))
