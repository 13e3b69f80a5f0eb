"""The bytes of an image file -> RGB pixels, with a sentence for everything that is not one plain picture."""

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError

Pixels = npt.NDArray[np.uint8]


def decode(data: bytes, name: str) -> Pixels:
    """Decode the bytes of one image file to (H, W, 3) uint8 RGB; `name` is what errors call it.

    Raises:
        InputError: see `tfviz.image.read_image`.
    """
    from tfviz._opencv import cv2

    if not data:
        raise InputError(f"The image {name} is empty (0 bytes).")
    if _is_cut_short(data):
        raise InputError(f"The image {name} is cut short: its end marker is missing. Copy or download it again.")
    buffer = np.frombuffer(data, np.uint8)
    try:
        if _frames(data, buffer) > 1:
            raise InputError(f"The image {name} is animated or has several pages; save the one that is meant.")
        # A JPEG has neither alpha nor 16 bits: one decoding is enough.
        plain = None if data[:2] == b"\xff\xd8" else cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
        if plain is not None and plain.ndim == 3 and plain.shape[2] == 4:
            pixels: Pixels | None = _over_white(_eight_bits(plain, name))
        else:
            colour = cv2.imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
            pixels = None if colour is None else _eight_bits(colour, name)
    except cv2.error as error:
        raise InputError(f"The image {name} cannot be decoded: {str(error.err or error).strip()}.") from error
    if pixels is None:
        raise InputError(f"{name} is not an image that can be read (JPEG, PNG, BMP, TIFF, WebP, ... were expected).")
    height, width = pixels.shape[:2]
    if height < 2 or width < 2:
        raise InputError(f"The image {name} is {width} x {height} pixels: there is nothing to see in it.")
    return np.ascontiguousarray(pixels[:, :, ::-1])


def _is_cut_short(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end; decoders fill the rest with grey and say nothing."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return b"IEND" not in data
    if data[:2] != b"\xff\xd8":
        return False
    position = 2
    # Walk the segments up to the first scan: a thumbnail inside EXIF has an end marker of its own.
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != 0xDA:
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return b"\xff\xd9" not in data[position:]


def _frames(data: bytes, buffer: Pixels) -> int:
    from tfviz._opencv import cv2

    may_have_several = data[:4] in (b"GIF8", b"II*\x00", b"MM\x00*") or b"ANIM" in data[:64] or b"acTL" in data[:1024]
    if not may_have_several:
        return 1
    if data[:4] in (b"II*\x00", b"MM\x00*"):
        return len(cv2.imdecodemulti(buffer, cv2.IMREAD_REDUCED_GRAYSCALE_8)[1])
    return len(cv2.imdecodeanimation(buffer)[1].frames)


def _eight_bits(pixels: npt.NDArray[np.generic], name: str) -> Pixels:
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    if pixels.dtype == np.uint16:
        return np.rint(pixels.astype(np.float32) / 257).astype(np.uint8)  # 65535 / 255: white stays white
    raise InputError(f"The image {name} has {pixels.dtype} pixels; 8 or 16 bits were expected.")


def _over_white(pixels: Pixels) -> Pixels:
    colour, alpha = pixels[:, :, :3].astype(np.float32), pixels[:, :, 3:].astype(np.float32) / 255
    return np.rint(colour * alpha + 255 * (1 - alpha)).astype(np.uint8)
