"""Hypotheses about the way to the device: an input of the run before, a chunk that was lost or came twice."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools._diagnose.feeding import Feeding
from firmware_tools._diagnose.registry import about_input

Array = npt.NDArray[Any]
Replays = Iterator[tuple[str, Array]]
# Frame and packet sizes in use: powers of two, Bluetooth (20, 244), USB (64, 512), one COBS block (254).
SMALLEST = 1024
"""At most so many chunks to an input: a picture is not sent in smaller ones."""
CHUNKS = (8, 16, 20, 32, 48, 60, 64, 96, 100, 128, 192, 200, 240, 244, 250, 254, 256, 384, 512, 768, 1024, 2048, 4096)


@about_input(
    "stale tensor, the previous run's",
    family="transfer",
    fix="Wait until the new input is there before the model is invoked.",
)
def stale(feeding: Feeding) -> Replays:
    """The input of the run before in the new one's place."""
    if feeding.previous is not None:
        yield "", feeding.previous
    if feeding.previous_right is not None:
        yield "what the run before should have had", feeding.previous_right


def _places(feeding: Feeding, raw: Array) -> Iterator[tuple[int, int]]:
    """(start, length) of chunks that may be concerned; where the device's input is known, it begins where they part.

    Else at a multiple of its length, near the first place that the op's output tells of.
    """
    if feeding.seen is not None:
        given = feeding.seen.ravel().view(np.uint8)
        apart = np.flatnonzero(given != raw)
        if apart.size:
            first = int(apart[0])
            for length in range(1, min(raw.size - first, 8192) + 1):
                yield first, length
            for length in CHUNKS:  # a chunk whose first bytes happen to agree
                if first // length * length + length <= raw.size:
                    yield first // length * length, length
        return
    low, high = feeding.suspect or (0, raw.size)
    for length in (chunk for chunk in CHUNKS if chunk * SMALLEST >= raw.size):
        for start in range(low // length * length, min(high, raw.size - length + 1), length):
            yield start, length


@about_input(
    "a chunk of the transfer dropped",
    family="transfer",
    fix="Number and acknowledge the chunks of the transfer; slow the sender.",
)
def dropped(feeding: Feeding) -> Replays:
    """What follows the lost chunk moves up, and the end keeps the previous input (or zeros); or a gap stays."""
    raw = feeding.integers.ravel().view(np.uint8)
    olds = [np.zeros_like(raw)] if feeding.previous is None else [feeding.previous.ravel().view(np.uint8), 0 * raw]
    for start, length in _places(feeding, raw):
        end = start + length
        for name, old in zip(("zeros",) if len(olds) == 1 else ("old bytes", "zeros"), olds, strict=True):
            moved = np.concatenate([raw[:start], raw[end:], old[raw.size - length :]])
            yield f"{length} bytes from byte {start}, {name} at the end", _as_input(feeding, moved)
            gap = np.concatenate([raw[:start], old[start:end], raw[end:]])
            yield f"{length} bytes from byte {start}, {name} in the gap", _as_input(feeding, gap)


@about_input(
    "a chunk of the transfer doubled",
    family="transfer",
    fix="Drop a chunk whose number was seen already.",
)
def doubled(feeding: Feeding) -> Replays:
    """A chunk comes twice, what follows moves down, and the last bytes find no room."""
    raw = feeding.integers.ravel().view(np.uint8)
    for start, length in _places(feeding, raw):
        for first in {start, start - length} if feeding.seen is not None else {start}:
            if first >= 0:
                again = np.concatenate([raw[: first + length], raw[first:]])[: raw.size]
                yield f"{length} bytes from byte {first}", _as_input(feeding, again)


def _as_input(feeding: Feeding, raw: Array) -> Array:
    return raw.view(feeding.integers.dtype).reshape(feeding.tensor.shape)
