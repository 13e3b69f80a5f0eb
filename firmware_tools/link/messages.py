"""Names and layouts of the messages, as docs/protocol.md specifies them. All numbers are little endian."""

import dataclasses
import enum
import struct
from collections.abc import Sequence

VERSION = 1
ANSWER = 0x80


class Kind(enum.IntEnum):
    """What a request asks for; its answer has bit 7 set as well."""

    HELLO = 0x01
    TENSORS = 0x02
    OPS = 0x03
    INPUT = 0x04
    RUN = 0x05
    NEXT = 0x06
    DIGEST = 0x07
    READ = 0x08
    WRITE = 0x09
    ABORT = 0x0A
    STATS = 0x0B
    CAPTURE = 0x0C
    FEED = 0x0D
    ERROR = 0xFF


class Refusal(enum.IntEnum):
    """Why a device answers ERROR."""

    UNKNOWN = 1
    LENGTH = 2
    SESSION = 3
    STATE = 4
    NAME = 5
    RANGE = 6
    INPUT = 7
    STALE = 8
    VERSION = 9
    SENSOR = 10


class Space(enum.IntEnum):
    """What a name in DIGEST and READ means: a tensor's index in the .tflite, a constant of the next op, a raw frame."""

    TENSOR = 0
    CONSTANT = 1
    RAW = 2


class Capability(enum.IntFlag):
    """What a device can do, as it says at HELLO."""

    WRITE = 1
    CONSTANTS = 2
    FEED = 4
    KEEPS_INPUT = 8
    CAPTURE = 16


class RawFormat(enum.IntEnum):
    """How the bytes of a captured frame are to be read."""

    OPAQUE = 0
    GREY8 = 1
    RGB888 = 2
    RGB565_BIG = 3
    RGB565_LITTLE = 4


@dataclasses.dataclass(frozen=True)
class Hello:
    """Who answers at the other end. `digest` is a CRC-32 that the device computed over the model that it runs."""

    protocol: int
    capabilities: int
    payload: int
    digest: int
    ops: int
    tensors: int
    inputs: int
    outputs: int
    arena_bytes: int
    tick_hz: int
    engine: str
    build: str


@dataclasses.dataclass(frozen=True)
class TensorRow:
    """One activation tensor in the device's table; alive from pause `birth` to pause `death`, both included."""

    id: int
    birth: int
    death: int
    alias_of: int
    offset: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class OpRow:
    """One op in the device's table: .tflite indices of its activations, sizes of its constants in bytes."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    constants: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Digest:
    """A tensor's size in bytes and CRC-32, computed by the device."""

    tensor: int
    bytes: int
    crc32: int


@dataclasses.dataclass(frozen=True)
class OpDone:
    """Op `op` of run `run` has run; `ticks` is what it took in the device's own clock."""

    run: int
    op: int
    ticks: int
    outputs: tuple[Digest, ...]


@dataclasses.dataclass(frozen=True)
class Captured:
    """The device has filled its own input: the sensor's frame as it came, and what was made of it."""

    run: int
    format: int
    width: int
    height: int
    raw_bytes: int
    raw_crc32: int
    inputs: tuple[Digest, ...]


@dataclasses.dataclass(frozen=True)
class Stats:
    """What the device's receiver saw since its reset."""

    good_frames: int
    damaged_frames: int
    refused: int
    ticks: int


_HELLO = struct.Struct("<BBHIHHHHII")
_TENSOR = struct.Struct("<HHHHII")
_OP_DONE = struct.Struct("<HHQB")
_DIGEST = struct.Struct("<HII")
_CAPTURED = struct.Struct("<HBHHIIB")
_STATS = struct.Struct("<IIIQ")


_WORDS = {
    Refusal.UNKNOWN: "it does not know this message",
    Refusal.LENGTH: "its {0} bytes are too many or too few",
    Refusal.SESSION: "it has no session with this host",
    Refusal.STATE: "it is at pause {2} of run {1}",
    Refusal.NAME: "{0} is not the name of anything alive or writable at this pause",
    Refusal.RANGE: "outside the {0} bytes that there are",
    Refusal.INPUT: "its input tensor {0} is not what was sent",
    Refusal.STALE: "older than request {0}",
    Refusal.VERSION: "it speaks version {0} of the protocol",
    Refusal.SENSOR: "its sensor gave nothing",
}


def refusal_words(refusal: int, detail: int) -> str:
    """What an ERROR says, in words.

    >>> refusal_words(Refusal.STATE, 0x00030007), refusal_words(77, 1)
    ('STATE: it is at pause 3 of run 7', 'error 77, detail 0x1')
    """
    if refusal not in set(Refusal):
        return f"error {refusal}, detail {detail:#x}"
    return f"{Refusal(refusal).name}: {_WORDS[Refusal(refusal)].format(detail, detail & 0xFFFF, detail >> 16)}"


def run(number: int, crcs: Sequence[int]) -> bytes:
    """Payload of RUN: run number and the CRC-32 of each model input."""
    return struct.pack(f"<H{len(crcs)}I", number, *crcs)


def pause(number: int, at: int) -> bytes:
    """Payload of NEXT, and the beginning of all requests at a pause: run number and pause (= next op)."""
    return struct.pack("<HH", number, at)


def store(tensor: int, offset: int, data: bytes) -> bytes:
    """Second half of INPUT and WRITE: bytes into a named tensor."""
    return struct.pack("<HI", tensor, offset) + data


def names(pairs: Sequence[tuple[Space, int]]) -> bytes:
    """Second half of DIGEST: what to compute the CRC-32 of."""
    return b"".join(struct.pack("<BH", space, name) for space, name in pairs)


def window(space: Space, name: int, offset: int, length: int, chunk: int) -> bytes:
    """Second half of READ: `length` bytes from `offset`, in answers of up to `chunk` bytes."""
    return struct.pack("<BHIIH", space, name, offset, length, chunk)


def parse_hello(payload: bytes) -> Hello:
    """Read the answer to HELLO."""
    numbers: tuple[int, int, int, int, int, int, int, int, int, int] = _HELLO.unpack_from(payload)
    rest = payload[_HELLO.size :]
    engine = rest[1 : 1 + rest[0]]
    build = rest[2 + rest[0] : 2 + rest[0] + rest[1 + rest[0]]]
    return Hello(*numbers, engine.decode(errors="replace"), build.decode(errors="replace"))


def parse_tensors(payload: bytes) -> list[TensorRow]:
    """Read the answer to TENSORS."""
    return [TensorRow(*_TENSOR.unpack_from(payload, at)) for at in range(2, len(payload), _TENSOR.size)]


def parse_ops(payload: bytes) -> list[OpRow]:
    """Read the answer to OPS."""
    rows = []
    at = 2
    while at < len(payload):
        counts = payload[at : at + 3]
        at += 3
        inputs, outputs = (
            struct.unpack_from(f"<{n}H", payload, at + skip)
            for n, skip in zip(counts[:2], (0, 2 * counts[0]), strict=True)
        )
        at += 2 * (counts[0] + counts[1])
        rows.append(OpRow(inputs, outputs, struct.unpack_from(f"<{counts[2]}I", payload, at)))
        at += 4 * counts[2]
    return rows


def parse_op_done(payload: bytes) -> OpDone:
    """Read OP_DONE, the answer to RUN and NEXT."""
    number, op, ticks, count = _OP_DONE.unpack_from(payload)
    return OpDone(number, op, ticks, _digests(payload, _OP_DONE.size, count))


def parse_captured(payload: bytes) -> Captured:
    """Read the answer to CAPTURE."""
    numbers: tuple[int, int, int, int, int, int, int] = _CAPTURED.unpack_from(payload)
    return Captured(*numbers[:6], _digests(payload, _CAPTURED.size, numbers[6]))


def _digests(payload: bytes, start: int, count: int) -> tuple[Digest, ...]:
    places = (start + i * _DIGEST.size for i in range(count))
    return tuple(Digest(*_DIGEST.unpack_from(payload, at)) for at in places)


def parse_digests(payload: bytes, wanted: Sequence[tuple[Space, int]]) -> list[Digest]:
    """Read the answer to DIGEST; it is in the order of the request."""
    numbers = struct.unpack(f"<{2 * len(wanted)}I", payload)
    return [Digest(name, *numbers[2 * i : 2 * i + 2]) for i, (_, name) in enumerate(wanted)]


def parse_stats(payload: bytes) -> Stats:
    """Read the answer to STATS."""
    return Stats(*_STATS.unpack(payload))
