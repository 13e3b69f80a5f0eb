"""Consistent Overhead Byte Stuffing (Cheshire and Baker 1999), so that no package is needed for it."""


def encode(data: bytes) -> bytes:
    r"""`data` without a zero in it.

    >>> encode(b"\x01\x00\x02").hex()
    '02010202'
    """
    coded = bytearray()
    for block in data.split(b"\0"):
        while len(block) >= 0xFE:
            coded += b"\xff" + block[:0xFE]
            block = block[0xFE:]
        coded += bytes([len(block) + 1]) + block
    last = data.rpartition(b"\0")[2]
    full_to_the_end = last and len(last) % 0xFE == 0
    return bytes(coded[:-1] if full_to_the_end else coded)  # a full last block needs no empty one behind it


def decode(coded: bytes) -> bytes:
    r"""Undo `encode`.

    >>> decode(bytes.fromhex("02010202"))
    b'\x01\x00\x02'

    Raises:
        ValueError: cut inside a block.
    """
    data = bytearray()
    at = 0
    while at < len(coded):
        code = coded[at]
        block = coded[at + 1 : at + code]
        if len(block) != code - 1:
            raise ValueError("cut inside a block")
        data += block
        at += code
        if code != 0xFF and at < len(coded):
            data.append(0)
    return bytes(data)
