"""Both ends of docs/protocol.md, written from that page alone: neither imports anything of this project.

The `Device` runs a model given as a table of functions; the `Host` validates all layers of whatever stands at the other
end. If the page lacks a rule, one of the two does not work with the product's other end, or they lack it together.
"""

import dataclasses
import struct
import zlib
from collections.abc import Callable, Sequence

HELLO, TENSORS, OPS, INPUT, RUN, NEXT, DIGEST, READ, WRITE, ABORT, STATS, CAPTURE, FEED = range(1, 14)
UNKNOWN, LENGTH, SESSION, STATE, NAME, RANGE, WRONG_INPUT, STALE, VERSION, SENSOR = range(1, 11)


def cobs(body: bytes) -> bytes:
    """Blocks of a code and up to 254 bytes that are not zero."""
    coded = b""
    for part in body.split(b"\0"):
        while len(part) >= 254:
            coded, part = coded + b"\xff" + part[:254], part[254:]
        coded += bytes([len(part) + 1]) + part
    return coded


def uncobs(coded: bytes) -> bytes | None:
    body = b""
    while coded:
        code, block, coded = coded[0], coded[1 : coded[0]], coded[coded[0] :]
        if len(block) != code - 1:
            return None
        body += block + (b"\0" if code < 255 and coded else b"")
    return body


def frame(kind: int, sequence: int, nonce: int, payload: bytes) -> bytes:
    body = struct.pack("<BHI", kind, sequence, nonce) + payload
    return b"\0" + cobs(body + struct.pack("<I", zlib.crc32(body))) + b"\0"


def frames(stream: bytes) -> list[tuple[int, int, int, bytes]]:
    """Kind, sequence, nonce and payload of every whole frame."""
    found = []
    for part in stream.split(b"\0"):
        body = uncobs(part)
        if body is not None and len(body) >= 11 and body[-4:] == struct.pack("<I", zlib.crc32(body[:-4])):
            found.append((*struct.unpack_from("<BHI", body), body[7:-4]))
    return found


@dataclasses.dataclass(frozen=True)
class Op:
    """An op: tensors in, tensors out, and what it computes of bytes."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    compute: Callable[..., Sequence[bytes]]


class _RefusedError(Exception):
    pass


class Device:
    """A device in memory: `answer` takes what came over the line and gives what goes back.

    Every tensor lives from where it is made to the end, in a place of its own.
    """

    def __init__(self, model: bytes, sizes: dict[int, int], inputs: Sequence[int], ops: Sequence[Op]) -> None:
        self.model, self.sizes, self.inputs, self.ops = model, sizes, list(inputs), list(ops)
        self.memory = {index: bytearray(size) for index, size in sizes.items()}
        self.birth = dict.fromkeys(inputs, 0) | {out: k + 1 for k, op in enumerate(ops) for out in op.outputs}
        self.nonce = self.newest = self.run = self.pause = 0
        self.begun = False
        self.done = b""  # OP_DONE of the op before this pause
        self.rest = b""
        self.counts = [0, 0, 0]  # good, damaged, refused

    def answer(self, stream: bytes) -> bytes:
        *parts, self.rest = (self.rest + stream).split(b"\0")
        out = b""
        for part in filter(None, parts):
            found = frames(part)
            self.counts[0 if found else 1] += 1
            for request in found:
                out += self._answer(*request)
        return out

    def _answer(self, kind: int, sequence: int, nonce: int, payload: bytes) -> bytes:
        try:
            answers = self._handle(kind, sequence, nonce, payload)
        except _RefusedError as error:
            self.counts[2] += 1
            code, detail = error.args
            under = nonce if code == VERSION else self.nonce
            return b"" if kind == FEED else frame(0xFF, sequence, under, struct.pack("<BBI", kind, code, detail))
        return b"" if kind == FEED else b"".join(frame(kind | 0x80, sequence, self.nonce, one) for one in answers)

    def _handle(self, kind: int, sequence: int, nonce: int, payload: bytes) -> list[bytes]:
        if kind == HELLO:
            return [self._hello(sequence, nonce, payload)]
        if nonce != self.nonce or self.nonce == 0:
            raise _RefusedError(SESSION, 0)
        if (sequence - self.newest) & 0x8000:
            raise _RefusedError(STALE, self.newest)
        self.newest = sequence
        known = {
            TENSORS: (3, 3, self._tensors), OPS: (3, 3, self._ops), INPUT: (8, 4096, self._input),
            FEED: (8, 4096, self._input), RUN: (2 + 4 * len(self.inputs),) * 2 + (self._run,), NEXT: (4, 4, self._next),
            DIGEST: (4, 4096, self._digest), READ: (17, 17, self._read), WRITE: (10, 4096, self._write),
            ABORT: (0, 0, self._abort), STATS: (0, 0, self._stats),
        }  # fmt: skip
        if kind not in known:
            raise _RefusedError(UNKNOWN, 1)
        least, most, handle = known[kind]
        if not least <= len(payload) <= most:
            raise _RefusedError(LENGTH, len(payload))
        return handle(payload)

    def _hello(self, sequence: int, nonce: int, payload: bytes) -> bytes:
        if payload[:1] != b"\1":
            raise _RefusedError(*((VERSION, 1) if payload else (LENGTH, 0)))
        if len(payload) != 1:
            raise _RefusedError(LENGTH, len(payload))
        if nonce == 0:
            raise _RefusedError(SESSION, 0)
        if nonce != self.nonce:
            self.nonce, self.newest, self.begun, self.pause = nonce, sequence, False, 0
        counts = (len(self.ops), len(self.sizes), len(self.inputs), 1, sum(self.sizes.values()), 0)
        head = struct.pack("<BBHIHHHHII", 1, 1 | 4 | 8, 4096, zlib.crc32(self.model), *counts)
        return head + b"\x0dfrom the page" + b"\x06python"

    def _tensors(self, payload: bytes) -> list[bytes]:
        first, most = struct.unpack("<HB", payload)
        offsets = {index: sum(list(self.sizes.values())[:i]) for i, index in enumerate(self.sizes)}
        rows = [
            struct.pack("<HHHHII", index, self.birth[index], len(self.ops), i, offsets[index], size)
            for i, (index, size) in enumerate(self.sizes.items())
        ]
        return [payload[:2] + b"".join(rows[first : first + min(most, 200)])]

    def _ops(self, payload: bytes) -> list[bytes]:
        first, most = struct.unpack("<HB", payload)
        rows = [
            struct.pack(
                f"<BBB{len(op.inputs + op.outputs)}H", len(op.inputs), len(op.outputs), 0, *op.inputs, *op.outputs
            )
            for op in self.ops
        ]
        return [payload[:2] + b"".join(rows[first : first + min(most, 100)])]

    def _input(self, payload: bytes) -> list[bytes]:
        self.run, self.begun, self.pause = struct.unpack_from("<H", payload)[0], True, 0
        return self._store(payload[2:], self.inputs)

    def _write(self, payload: bytes) -> list[bytes]:
        self._here(payload)
        return self._store(payload[4:], self.inputs if self.pause == 0 else self.ops[self.pause - 1].outputs)

    def _store(self, payload: bytes, allowed: Sequence[int]) -> list[bytes]:
        index, offset = struct.unpack_from("<HI", payload)
        if index not in allowed:
            raise _RefusedError(NAME, index)
        if offset + len(payload) - 6 > self.sizes[index]:
            raise _RefusedError(RANGE, self.sizes[index])
        self.memory[index][offset : offset + len(payload) - 6] = payload[6:]
        return [payload[:6]]

    def _run(self, payload: bytes) -> list[bytes]:
        run, *crcs = struct.unpack(f"<H{len(self.inputs)}I", payload)
        if self.begun and run == self.run and self.pause == 0:
            for index, crc in zip(self.inputs, crcs, strict=True):
                if zlib.crc32(self.memory[index]) != crc:
                    raise _RefusedError(WRONG_INPUT, index)
        return self._step(run, 0)

    def _next(self, payload: bytes) -> list[bytes]:
        run, op = struct.unpack("<HH", payload)
        return self._step(run, 0xFFFF if self.pause == 0 else op)

    def _step(self, run: int, op: int) -> list[bytes]:
        if not self.begun or run != self.run or op not in (self.pause, self.pause - 1) or op >= len(self.ops):
            raise _RefusedError(STATE, self.run | self.pause << 16)
        if op == self.pause:
            chosen = self.ops[op]
            made = chosen.compute(*(bytes(self.memory[index]) for index in chosen.inputs))
            self.done = struct.pack("<HHQB", run, op, 0, len(made))
            for index, data in zip(chosen.outputs, made, strict=True):
                self.memory[index][:] = data
                self.done += struct.pack("<HII", index, len(data), zlib.crc32(data))
            self.pause += 1
        return [self.done]

    def _digest(self, payload: bytes) -> list[bytes]:
        if len(payload) % 3 != 1:
            raise _RefusedError(LENGTH, len(payload))
        self._here(payload)
        named = [self._named(*name) for name in struct.iter_unpack("<BH", payload[4:])]
        return [b"".join(struct.pack("<II", len(data), zlib.crc32(data)) for data in named)]

    def _read(self, payload: bytes) -> list[bytes]:
        self._here(payload)
        space, index, offset, length, chunk = struct.unpack("<BHIIH", payload[4:])
        data = self._named(space, index)
        if offset + length > len(data):
            raise _RefusedError(RANGE, len(data))
        chunk = min(chunk or 1000, 1000)
        places = range(offset, offset + length, chunk) or [offset]
        return [struct.pack("<I", at) + data[at : min(at + chunk, offset + length)] for at in places]

    def _named(self, space: int, index: int) -> bytes:
        if space != 0 or self.birth.get(index, 0xFFFF) > self.pause:
            raise _RefusedError(NAME, index)
        return bytes(self.memory[index])

    def _here(self, payload: bytes) -> None:
        if not self.begun or struct.unpack_from("<HH", payload) != (self.run, self.pause):
            raise _RefusedError(STATE, self.run | self.pause << 16)

    def _abort(self, _payload: bytes) -> list[bytes]:
        self.begun = False
        return [b""]

    def _stats(self, _payload: bytes) -> list[bytes]:
        return [struct.pack("<IIIQ", *self.counts, 0)]


class Host:
    """Runs a model on the device behind `exchange` (bytes out, bytes back) and reads what every op made."""

    def __init__(self, exchange: Callable[[bytes], bytes], nonce: int) -> None:
        self.exchange, self.nonce, self.sequence = exchange, nonce, 0

    def ask(self, kind: int, payload: bytes = b"") -> list[bytes]:
        self.sequence += 1
        request = frame(kind, self.sequence, self.nonce, payload)
        for _ in range(50):
            answers = [
                answer
                for answer in frames(self.exchange(request))
                if answer[:3] == (kind | 0x80, self.sequence, self.nonce)
            ]
            if answers:
                return [payload for *_, payload in answers]
        raise TimeoutError

    def all_layers(self, run: int, data: bytes) -> tuple[int, list[dict[int, bytes]]]:
        """The device's digest of its model, and per op its outputs by index."""
        (hello,) = self.ask(HELLO, b"\1")
        _, _, room, digest, ops, tensors, inputs, _, _, _ = struct.unpack_from("<BBHIHHHHII", hello)
        assert inputs == 1
        (table,) = self.ask(TENSORS, struct.pack("<HB", 0, tensors))
        entry = struct.unpack_from("<H", table, 2)[0]  # the input is alive first
        for at in range(0, len(data), room - 8):
            self.ask(INPUT, struct.pack("<HHI", run, entry, at) + data[at : at + room - 8])
        made = []
        for op in range(ops):
            payload = struct.pack("<HI", run, zlib.crc32(data)) if op == 0 else struct.pack("<HH", run, op)
            (done,) = self.ask(RUN if op == 0 else NEXT, payload)
            assert struct.unpack_from("<HH", done) == (run, op)
            made.append(
                {index: self._read(run, op + 1, index, *of) for index, *of in struct.iter_unpack("<HII", done[13:])}
            )
        return digest, made

    def _read(self, run: int, pause: int, index: int, size: int, crc: int) -> bytes:
        got = bytearray(size)
        for part in self.ask(READ, struct.pack("<HHBHIIH", run, pause, 0, index, 0, size, 0)):
            at = struct.unpack_from("<I", part)[0]
            got[at : at + len(part) - 4] = part[4:]
        assert zlib.crc32(got) == crc
        return bytes(got)
