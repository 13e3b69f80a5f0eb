"""The `Exchange`: a request, repeated until it is answered, on a line that may lose, change or invent bytes.

All time-outs, retries and the frame size are decided here; the device only answers. Which messages there are is
`session`'s business.
"""

import dataclasses
import random
import struct
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from firmware_tools.link import messages
from firmware_tools.link.framing import Deframer, Frame, encode
from firmware_tools.link.messages import ANSWER, Kind, Refusal
from firmware_tools.link.patience import AFTER_DAMAGE, DEFAULT_TIMING, Timing, Wait
from firmware_tools.link.transport import Transport
from tfviz.errors import LinkError

_Answer = TypeVar("_Answer")
SMALLEST_CHUNK = 16
"""Bytes of data below which frames do not shrink, however bad the line."""
_GROWS_AFTER = 32
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
        self._clean = 0
        self._on_the_way = 0
        self._began = time.monotonic()

    @property
    def damaged(self) -> int:
        """Frames that arrived damaged at this end."""
        return self._deframer.damaged

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
            wait.again(alive=self._alive)
        except TimeoutError as error:
            raise LinkError(
                f"{self.transport.name}: no answer to {kind.name} {error}; {self._where()}. {self._advice()}"
            ) from None
        self.counters.repeated += 1

    def _advice(self) -> str:
        if self.counters.received and not self.counters.answers:
            return (
                f"{self.counters.received} bytes arrived and no answer among them: the baud rate is wrong, "
                "or something else speaks on this line."
            )
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

    def _answers(self, request: Frame, quiet: float) -> Iterator[Frame]:
        """Answers to `request` as they come, until nothing comes for `quiet` seconds; other frames are dropped."""
        damaged = self.damaged
        quiet += (self._on_the_way + self.chunk) / self.timing.bytes_per_second
        self._on_the_way = 0
        self._alive = False
        silent_since = time.monotonic()
        while (left := silent_since + quiet - time.monotonic()) > 0:
            data = self._receive(left)
            if not data:
                return
            for frame in self._deframer.feed(data):
                if self._answers_to(request, frame):
                    self.counters.answers += 1
                    silent_since = time.monotonic()
                    yield frame
            if self.damaged > damaged and not self._alive:
                self._alive = True
                silent_since = time.monotonic()
                quiet = min(quiet, AFTER_DAMAGE + self.chunk / self.timing.bytes_per_second)

    _alive = False

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

    def _grow(self) -> None:
        self._clean += 1
        if self._clean >= _GROWS_AFTER:
            self._clean = 0
            self.chunk = min(2 * self.chunk, self._largest)

    def _shrink(self) -> None:
        self._clean = 0
        self.chunk = max(self.chunk // 2, SMALLEST_CHUNK)
