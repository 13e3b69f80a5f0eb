"""A hand-written model for tests of build, link and devices: four ops, an alias, two outputs, reused memory."""

import re
import zlib

import numpy as np

from firmware_tools.graph import Graph, GraphTensor, Op
from tfviz.trace import Step, Tensor, Trace

WEIGHTS = bytes([1, 2, 3, 4])
MODEL_C = r"""
#include "nn/nn.h"

static uint8_t arena[96] __attribute__((aligned(16)));
static const uint8_t weights[4] = {1, 2, 3, 4};

static void op_shift(uint8_t *a) { for (int i = 0; i < 48; i++) a[48 + i] = (uint8_t)(a[i] + weights[i % 4]); }
static void op_split(uint8_t *a) { for (int i = 0; i < 48; i++) a[i] = (uint8_t)(a[48 + i] ^ 0x55); }
static void op_join(uint8_t *a) { for (int i = 0; i < 24; i++) a[48 + i] = (uint8_t)(3 * a[i] + a[24 + i]); }

static const uint16_t p0[] = {0}, p1[] = {1}, p2[] = {2}, p34[] = {3, 4}, p5[] = {5};
static const nn_tensor tensors[] = {
    {0, 0, 0, 0, 0, 48}, {7, 1, 2, 1, 48, 48}, {8, 2, 2, 1, 48, 48},
    {9, 3, 3, 3, 0, 24}, {10, 3, 3, 4, 24, 24}, {11, 4, 4, 5, 48, 24},
};
static const nn_block shift_constants[] = {{weights, 4}};
static const nn_op ops[] = {
    {op_shift, p0, p1, shift_constants, 1, 1, 1},
    {0, p1, p2, 0, 1, 1, 0},
    {op_split, p2, p34, 0, 1, 2, 0},
    {op_join, p34, p5, 0, 2, 1, 0},
};
static const nn_block digested[] = {{weights, 4}, {tensors, sizeof tensors}};
const nn_model nn_the_model = {tensors, ops, p0, p5, digested, arena, 96, 6, 4, 1, 1, 2};
"""


def model_c(width: int = 48) -> str:
    """The model for inputs of another width, a multiple of 12."""
    return re.sub(r"\b(48|24|96)\b", lambda size: str(int(size[0]) * width // 48), MODEL_C)


def digest(width: int = 48) -> int:
    """What a device with this model answers at HELLO."""
    w, h = width, width // 2
    rows = ((0, 0, 0, 0, 0, w), (7, 1, 2, 1, w, w), (8, 2, 2, 1, w, w))
    rows += ((9, 3, 3, 3, 0, h), (10, 3, 3, 4, h, h), (11, 4, 4, 5, w, h))
    table = b"".join(np.array(row[:4], "<u2").tobytes() + np.array(row[4:], "<u4").tobytes() for row in rows)
    return zlib.crc32(WEIGHTS + table)


DIGEST = digest()


def tiny_graph(width: int = 48) -> Graph:
    """The model as the host knows it."""

    def tensor(index: int, shape: tuple[int, ...]) -> GraphTensor:
        scale, zero_point = np.array([0.5], np.float32), np.array([3], np.int64)
        return GraphTensor(index, f"t{index}", shape, "uint8", scale, zero_point, 0, None)

    w, h = width, width // 2
    shapes = {0: (1, w), 7: (1, w), 8: (1, 4, w // 4), 9: (1, h), 10: (1, h), 11: (1, h)}
    tensors = tuple(tensor(i, shapes.get(i, (1,))) for i in range(12))
    ops = (
        Op(0, "ADD", "shift", (0, 1), (7,), {}),
        Op(1, "RESHAPE", "alias", (7,), (8,), {}),
        Op(2, "SPLIT", "split", (8,), (9, 10), {}),
        Op(3, "ADD", "join", (9, 10), (11,), {}),
    )
    return Graph(ops, tensors, (0,), (11,), b"tiny")


def tiny_input(seed: int = 0, width: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, width), np.uint8)


def tiny_trace(x: np.ndarray, *, wrong_op: int | None = None) -> Trace:
    """What the model computes, in NumPy; `wrong_op` flips a bit of that op's output, and goes on."""

    def made(index: int, values: np.ndarray) -> np.ndarray:
        if index == wrong_op:
            values = values.copy()
            values.flat[0] ^= 1
        return values

    def tensor(index: int, values: np.ndarray) -> Tensor:
        return Tensor(f"t{index}", values, 0.5, 3)

    w, h = x.size, x.size // 2
    shifted = made(0, x + np.resize(np.frombuffer(WEIGHTS, np.uint8), w))
    alias = made(1, shifted.reshape(1, 4, w // 4))
    mixed = made(2, alias.reshape(1, w) ^ 0x55)
    joined = made(3, (3 * mixed[:, :h] + mixed[:, h:]).astype(np.uint8))
    steps = (
        Step(0, "ADD", "shift", (tensor(7, shifted),)),
        Step(1, "RESHAPE", "alias", (tensor(8, alias),)),
        Step(2, "SPLIT", "split", (tensor(9, mixed[:, :h]), tensor(10, mixed[:, h:]))),
        Step(3, "ADD", "join", (tensor(11, joined),)),
    )
    return Trace("numpy", "numpy", tiny_graph(x.size).fingerprint, (tensor(0, x),), steps, (tensor(11, joined),))


def same_steps(one: Trace, other: Trace) -> bool:
    """Whether two traces hold the same bytes, op by op."""
    pairs = zip(one.steps, other.steps, strict=True)
    return all(np.array_equal(a.values, b.values) for x, y in pairs for a, b in zip(x.outputs, y.outputs, strict=True))
