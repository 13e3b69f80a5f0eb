"""Frames on a byte stream: kind, sequence number, session nonce, payload and CRC-32, as COBS between zero bytes."""

import dataclasses
import struct
import zlib

from cobs import cobs

_HEADER = struct.Struct("<BHI")
_CRC = struct.Struct("<I")
OVERHEAD = _HEADER.size + _CRC.size
"""Bytes of a frame that are not payload, before COBS: 11."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """One request or answer."""

    kind: int
    sequence: int
    nonce: int
    payload: bytes


def encode(frame: Frame) -> bytes:
    r"""Bytes of `frame` for the line. The zero in front ends whatever noise the line carried before.

    >>> encode(Frame(kind=0x0B, sequence=1, nonce=2, payload=b"")).hex()
    '00030b010202010105aa903efe00'
    """
    body = _HEADER.pack(frame.kind, frame.sequence, frame.nonce) + frame.payload
    return b"\0" + cobs.encode(body + _CRC.pack(zlib.crc32(body))) + b"\0"


def decode(encoded: bytes) -> Frame | None:
    """The frame between two delimiters; None where it is damaged.

    >>> decode(b"noise") is None
    True
    """
    try:
        body = cobs.decode(encoded)
    except cobs.DecodeError:
        return None
    if len(body) < OVERHEAD or zlib.crc32(body[: -_CRC.size]) != _CRC.unpack_from(body, len(body) - _CRC.size)[0]:
        return None
    kind, sequence, nonce = _HEADER.unpack_from(body)
    return Frame(kind, sequence, nonce, body[_HEADER.size : -_CRC.size])


class Deframer:
    """Cuts frames out of a stream, whatever stands between them; counts what it had to throw away."""

    def __init__(self, longest: int = 70_000) -> None:
        self.damaged = 0
        self._longest = longest
        self._partial = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take received bytes; return the frames that they complete."""
        *complete, rest = (bytes(self._partial) + data).split(b"\0")
        self._partial = bytearray(rest if len(rest) <= self._longest else b"\1")  # endless noise must not eat memory
        frames = [decode(part) for part in complete if part]
        self.damaged += frames.count(None)
        return [frame for frame in frames if frame is not None]
