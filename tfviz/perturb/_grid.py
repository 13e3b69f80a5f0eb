"""Pictures cut into a grid of cells, for masks that are drawn cell by cell."""

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError

Ints = npt.NDArray[np.int64]


def cell_numbers(size: tuple[int, int], grid: int | tuple[int, int]) -> Ints:
    """The number of each pixel's cell, `(H, W)`, row by row; cells are as equal as whole pixels allow.

    >>> cell_numbers((2, 4), 2).tolist()
    [[0, 0, 1, 1], [2, 2, 3, 3]]

    Raises:
        InputError: more cells than pixels, or none.
    """
    down, across = rows_and_columns(size, grid)
    rows = np.arange(size[0]) * down // size[0]
    columns = np.arange(size[1]) * across // size[1]
    return np.asarray(rows[:, np.newaxis] * across + columns[np.newaxis], np.int64)


def rows_and_columns(size: tuple[int, int], grid: int | tuple[int, int]) -> tuple[int, int]:
    """How many cells a picture of `size` is cut into, down and across."""
    down, across = (grid, grid) if isinstance(grid, int | np.integer) else grid
    if not (1 <= down <= size[0] and 1 <= across <= size[1]):
        raise InputError(
            f"A grid of {down} x {across} cells was asked for on pictures of {size[0]} x {size[1]} pixels."
        )
    return int(down), int(across)


def default_grid(size: tuple[int, int], cells: int) -> tuple[int, int]:
    """`cells` down and across, or as many as there are pixels."""
    return min(cells, size[0]), min(cells, size[1])
