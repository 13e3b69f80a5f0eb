"""The protocol of docs/protocol.md for one host: requests to answers, without a line under it."""

import platform
import struct
import zlib
from collections.abc import Iterator

from . import cobs
from .model import ServedModel

PAYLOAD = 4096
"""Largest payload of a frame, in bytes, either way."""

# As link/messages.py names them; a test holds the two together.
VERSION = 1
HELLO, TENSORS, OPS, INPUT, RUN, NEXT, DIGEST, READ, WRITE, ABORT, STATS = range(1, 12)
ANSWER, ERROR = 0x80, 0xFF
UNKNOWN, LENGTH, SESSION, STATE, NAME, RANGE, WRONG_INPUT, STALE, OTHER_VERSION = range(1, 10)
TENSOR_SPACE = 0

_HEADER = struct.Struct("<BHI")


class Conversation:
    """What one host and the model are at: session, run and pause. `answers` to a request are whole frames."""

    def __init__(self, model: ServedModel) -> None:
        self._model = model
        self._nonce = self._sequence = self._run = self._pause = 0
        self._open = False
        self._inputs = {index: bytearray(model.bytes_of(index)) for index in model.inputs}
        self._values: dict[int, bytes] = {}
        self._good = self._damaged = self._refused = 0

    def answers(self, coded: bytes) -> Iterator[bytes]:
        """Frames to send for what stood between two zeros; none where that was noise."""
        try:
            body = cobs.decode(coded)
        except ValueError:
            body = b""
        if len(body) < _HEADER.size + 4 or zlib.crc32(body[:-4]) != struct.unpack("<I", body[-4:])[0]:
            self._damaged += 1
            return
        self._good += 1
        kind, sequence, nonce = _HEADER.unpack_from(body)
        try:
            for payload in self._handle(kind, sequence, nonce, body[_HEADER.size : -4]):
                yield self._frame(kind | ANSWER, sequence, payload)
        except _RefusalError as refusal:
            self._refused += 1
            error = struct.pack("<BBI", kind, refusal.code, refusal.detail)
            # A HELLO of another version opened no session, and its sender knows no nonce but its own.
            yield self._frame(ERROR, sequence, error, nonce=nonce if refusal.code == OTHER_VERSION else None)

    def _frame(self, kind: int, sequence: int, payload: bytes, *, nonce: int | None = None) -> bytes:
        body = _HEADER.pack(kind, sequence, self._nonce if nonce is None else nonce) + payload
        return b"\0" + cobs.encode(body + struct.pack("<I", zlib.crc32(body))) + b"\0"

    def _handle(self, kind: int, sequence: int, nonce: int, payload: bytes) -> Iterator[bytes]:
        if kind == HELLO:
            yield self._hello(sequence, nonce, payload)
            return
        if self._nonce == 0 or nonce != self._nonce:
            raise _RefusalError(SESSION, 0)
        if (sequence - self._sequence) % 65536 >= 0x8000:
            raise _RefusalError(STALE, self._sequence)
        self._sequence = sequence
        if kind in (TENSORS, OPS):
            yield self._table(kind, payload)
        elif kind == INPUT:
            yield self._input(payload)
        elif kind in (RUN, NEXT):
            yield self._step(kind, payload)
        elif kind == DIGEST:
            yield self._digests(payload)
        elif kind == READ:
            yield from self._read(payload)
        elif kind == WRITE:
            raise _RefusalError(NAME, struct.unpack_from("<H", _long(payload, 10), 4)[0])
        elif kind == ABORT:
            _exact(payload, 0)
            self._open = False
            yield b""
        elif kind == STATS:
            _exact(payload, 0)
            yield struct.pack("<IIIQ", self._good, self._damaged, self._refused, 0)
        else:
            raise _RefusalError(UNKNOWN, VERSION)

    def _hello(self, sequence: int, nonce: int, payload: bytes) -> bytes:
        if _long(payload, 1)[0] != VERSION:
            raise _RefusalError(OTHER_VERSION, VERSION)
        _exact(payload, 1)
        if nonce == 0:
            raise _RefusalError(SESSION, 0)
        if nonce != self._nonce:
            self._nonce, self._sequence, self._open, self._pause = nonce, sequence, False, 0
        model = self._model
        counts = (len(model.ops), len(model.rows), len(model.inputs), len(model.outputs), model.arena_bytes)
        head = struct.pack("<BBHIHHHHII", VERSION, 0, PAYLOAD, model.digest, *counts, 0)
        names = (model.engine, f"Python {platform.python_version()} on {platform.machine()}")
        return head + b"".join(bytes([len(text[:255])]) + text[:255].encode("ascii", "replace") for text in names)

    def _table(self, kind: int, payload: bytes) -> bytes:
        first, most = struct.unpack("<HB", _exact(payload, 3))
        rows = self._model.rows if kind == TENSORS else [_op_row(*op) for op in self._model.ops]
        answer = struct.pack("<H", first)
        for row in rows[first : first + most]:
            if len(answer) + len(row) > PAYLOAD:
                break
            answer += row
        return answer

    def _input(self, payload: bytes) -> bytes:
        run, tensor, offset = struct.unpack_from("<HHI", _long(payload, 8))
        if not (self._open and self._run == run and self._pause == 0):
            self._open, self._run, self._pause = True, run, 0
        if tensor not in self._inputs:
            raise _RefusalError(NAME, tensor)
        data, room = payload[8:], self._inputs[tensor]
        if offset + len(data) > len(room):
            raise _RefusalError(RANGE, len(room))
        room[offset : offset + len(data)] = data
        return struct.pack("<HI", tensor, offset)

    def _step(self, kind: int, payload: bytes) -> bytes:
        inputs = list(self._inputs.items())
        run, op = struct.unpack_from("<HH", _exact(payload, 2 + 4 * len(inputs) if kind == RUN else 4))
        op = 0 if kind == RUN else op
        if not self._open or run != self._run or (kind == NEXT and self._pause == 0):
            raise self._wrong_state()
        if op == self._pause < len(self._model.ops):
            if op == 0:
                for crc, (tensor, data) in zip(struct.unpack(f"<{len(inputs)}I", payload[2:]), inputs, strict=True):
                    if zlib.crc32(data) != crc:
                        raise _RefusalError(WRONG_INPUT, tensor)
                self._values = self._model.run({tensor: bytes(data) for tensor, data in inputs})
            self._pause += 1
        elif op + 1 != self._pause:
            raise self._wrong_state()
        outputs = self._model.ops[op][1]
        digests = (struct.pack("<HII", i, len(self._values[i]), zlib.crc32(self._values[i])) for i in outputs)
        return struct.pack("<HHQB", run, op, 0, len(outputs)) + b"".join(digests)

    def _wrong_state(self) -> "_RefusalError":
        return _RefusalError(STATE, self._run | self._pause << 16)

    def _here(self, payload: bytes) -> None:
        if not self._open or struct.unpack_from("<HH", payload) != (self._run, self._pause):
            raise self._wrong_state()

    def _named(self, space: int, name: int) -> bytes:
        if space != TENSOR_SPACE or self._model.births.get(name, 65536) > self._pause:
            raise _RefusalError(NAME, name)
        return bytes(self._inputs[name]) if name in self._inputs else self._values[name]

    def _digests(self, payload: bytes) -> bytes:
        if (len(_long(payload, 4)) - 4) % 3:
            raise _RefusalError(LENGTH, len(payload))
        self._here(payload)
        named = [self._named(*names) for names in struct.iter_unpack("<BH", payload[4:])]
        return b"".join(struct.pack("<II", len(data), zlib.crc32(data)) for data in named)

    def _read(self, payload: bytes) -> Iterator[bytes]:
        _, _, space, name, offset, length, chunk = struct.unpack("<HHBHIIH", _exact(payload, 17))
        self._here(payload)
        data = self._named(space, name)
        if offset + length > len(data):
            raise _RefusalError(RANGE, len(data))
        chunk = chunk if 0 < chunk <= PAYLOAD - 4 else PAYLOAD - 4
        for at in range(offset, max(offset + length, offset + 1), chunk):
            yield struct.pack("<I", at) + data[at : min(at + chunk, offset + length)]


class _RefusalError(Exception):
    """A request that is answered with ERROR."""

    def __init__(self, code: int, detail: int) -> None:
        self.code = code
        self.detail = detail


def _exact(payload: bytes, length: int) -> bytes:
    if len(payload) != length:
        raise _RefusalError(LENGTH, len(payload))
    return payload


def _long(payload: bytes, least: int) -> bytes:
    if len(payload) < least:
        raise _RefusalError(LENGTH, len(payload))
    return payload


def _op_row(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> bytes:
    return struct.pack(f"<BBB{len(inputs) + len(outputs)}H", len(inputs), len(outputs), 0, *inputs, *outputs)
