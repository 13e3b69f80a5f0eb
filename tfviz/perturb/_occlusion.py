"""Occlusion: cover a patch, look at how much the score drops, slide on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.emptiness import warn_of_empty
from tfviz.errors import InputError
from tfviz.perturb._subject import blended, stream, subject, whole

# The default patch: an eighth of the side, so 64 patches for any picture.
_PATCHES_PER_SIDE = 8
Size = int | tuple[int, int]


def occlusion(
    predict: Any,
    images: Any,
    target: Any = None,
    *,
    patch: Size | None = None,
    stride: Size | None = None,
    fill: Any = 0.0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """How far the score drops when a patch is covered: y(x) - y(x with the patch at its fill), signed, `(B, H, W)`.

    A pixel shows the mean over the patches that cover it; with `stride` equal to `patch` that is its own patch's drop.
    The last patch of a row or column is moved back so that it ends at the edge: all patches are of one size. A pixel
    that no patch covers (a stride above the patch) shows 0. For a linear score, a patch's drop is the sum over it of
    w (x - fill). Source: Zeiler and Fergus 2014, section 4.2.

    Args:
        predict: a Keras model, or a function of images that returns scores `(B, K)`.
        images: `(B, H, W, C)`, or one image `(H, W, C)`. A function gets them in the dtype given here.
        target: of a Keras model, anything that `tfviz.target.plan` takes (an int is the logit); of a function, the
            column of its scores, or a function of them. None is each unchanged image's own class.
        patch: height and width, or one side; None for an eighth of the picture's sides.
        stride: from one patch to the next, down and across; None for the patch's own size.
        fill: what covers: a number, a colour `(C,)`, a picture, "mean" (of each image) or "blur".
        batch_size: how many covered images are asked for at once; None chooses.

    Raises:
        InputError: a patch that is not within the picture, a stride below 1; what does not fit.

    >>> occlusion(lambda x: x[:, 0, :, 0], np.array([[[2.0], [3.0]]]), 1, patch=1)
    array([[[0., 3.]]], dtype=float32)
    """
    with subject(predict, images, target, fill=fill, class_names=class_names, batch_size=batch_size) as asked:
        size = asked.images.shape[1], asked.images.shape[2]
        height, width = _pair(patch, (-(-size[0] // _PATCHES_PER_SIDE), -(-size[1] // _PATCHES_PER_SIDE)))
        down, across = _pair(stride, (height, width))
        if not (1 <= height <= size[0] and 1 <= width <= size[1] and min(down, across) >= 1):
            raise InputError(
                f"A patch of {height} x {width} with stride {down} x {across} was asked for on pictures of "
                f"{size[0]} x {size[1]}; a patch is within the picture and a stride at least 1."
            )
        places = np.array(
            [(top, left) for top in _starts(size[0], height, down) for left in _starts(size[1], width, across)]
        )
        covers = _covers(size, (height, width))
        before = whole(asked)
        drops = np.zeros(asked.images.shape[:3])
        times = np.zeros(size)
        for block, kept, scores in stream(asked, len(places), lambda some: 1 - covers(places[some.start : some.stop])):
            rows = slice(block.start, block.stop)
            drops[rows] += blended(before[rows, np.newaxis] - scores, 1 - kept)
            times += (1 - kept).sum(axis=0) if block.start == 0 else 0
    maps = np.asarray(drops / np.maximum(times, 1), np.float32)
    warn_of_empty("occlusion", maps, "no patch alone changes the score; try a larger patch or another fill.")
    return maps


def _pair(size: Size | None, default: tuple[int, int]) -> tuple[int, int]:
    if size is None:
        return default
    return (int(size), int(size)) if isinstance(size, int | np.integer) else (int(size[0]), int(size[1]))


def _starts(side: int, patch: int, stride: int) -> list[int]:
    """Where patches begin along a side: each stride, the last one ending at the edge.

    >>> _starts(8, 4, 4), _starts(8, 3, 3)
    ([0, 4], [0, 3, 5])
    """
    starts = list(range(0, side - patch + 1, stride))
    end = side - patch
    # A stride above the patch leaves gaps anyway, and one that steps over less than a patch at the end is such a gap.
    return starts if starts[-1] == end or stride > patch else [*starts, end]


def _covers(size: tuple[int, int], patch: tuple[int, int]) -> Any:
    rows, columns = np.arange(size[0]), np.arange(size[1])

    def covers(places: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        tops, lefts = places[:, 0, np.newaxis], places[:, 1, np.newaxis]
        down = (rows >= tops) & (rows < tops + patch[0])
        across = (columns >= lefts) & (columns < lefts + patch[1])
        return (down[:, :, np.newaxis] & across[:, np.newaxis]).astype(np.float32)

    return covers
