"""The planted faults, the diagnosis of each, and the table of docs/diagnosis.md.

python tests/fault_table.py --write docs/diagnosis.md
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import camera
import numpy as np
from planted import (
    GREY,
    PREPROCESS,
    Misfed,
    device,
    flash_bit,
    integers,
    loaded,
    model,
    normalised,
    overlapped,
    pictures,
)

from firmware_tools import codegen
from firmware_tools._diagnose import diagnose
from firmware_tools.graph import Graph
from firmware_tools.reference import litert_xnnpack, tflm
from firmware_tools.results import Diagnosis
from tfviz.preprocess import Preprocess
from tfviz.trace import Array, Engine

LARGE = (48, 36)


@dataclasses.dataclass(frozen=True)
class Plant:
    """A fault: where it is planted, the first answer that is expected (and a part of its detail)."""

    where: str
    what: str
    answer: str
    detail: str = ""
    wrong: Callable[[Array], Array] | None = None
    make: Callable[[], Engine] | None = None
    size: tuple[int, int] = (20, 20)
    preprocess: Preprocess = PREPROCESS
    others: bool = False
    camera: str = ""

    @property
    def name(self) -> str:
        """Of a test."""
        return f"{self.answer}: {self.what}"

    def diagnosis(self) -> Diagnosis | None:
        """Plant it, and ask."""
        if self.camera:
            return camera.captured(self.camera)
        frames = pictures(8, size=self.size)
        reference = tflm(loaded(1, self.preprocess.channels))
        others = {"planted2.tflite": tflm(loaded(2))} if self.others else None
        with self.engine(frames) as engine:
            return diagnose(reference, engine, frames, preprocess=self.preprocess, others=others)

    def engine(self, frames: Array) -> Any:
        """An engine with the fault; those of the input are planted for these frames."""
        if self.wrong is None:
            return (self.make or _none)()
        return Misfed(tflm(loaded(1, self.preprocess.channels)), frames, self.wrong, self.preprocess)


def _none() -> Engine:
    raise AssertionError


def _pipeline(what: str, answer: str, wrong: Callable[[Array], Array], detail: str = "", **more: object) -> Plant:
    return Plant("input pipeline", what, answer, detail, wrong=wrong, **more)  # type: ignore[arg-type]


def _fed(picture: Array) -> Array:
    return integers(normalised(picture), loaded())


def _grey(luma: Array) -> Array:
    return integers(normalised(luma[..., None].astype(np.uint8)), loaded(1, 1))


def _cv2(frame: Array, flag: str) -> Array:
    import cv2

    return cv2.resize(frame, (20, 20), interpolation=getattr(cv2, flag))


def _cropped(frame: Array) -> Array:
    part = frame[6:42]  # the largest centred square of 48 x 36
    return _cv2(part, "INTER_AREA")


def _rgb565(frame: Array) -> Array:
    """Bytes of a sensor whose words are read in the wrong order; a channel of n bits is channel * 255 // (2^n - 1)."""
    wide = [-(-frame[..., c].astype(int) * most // 255) * -1 * -1 for c, most in enumerate((31, 63, 31))]
    wide = [np.ceil(frame[..., c].astype(float) * most / 255).astype(int) for c, most in enumerate((31, 63, 31))]
    word = (wide[0] << 11) | (wide[1] << 5) | wide[2]
    word = ((word & 0xFF) << 8) | (word >> 8)
    return np.stack([(word >> 11) * 255 // 31, ((word >> 5) & 63) * 255 // 63, (word & 31) * 255 // 31], -1)


def _chunk(frame: Array, start: int, length: int, *, doubled: bool) -> Array:
    raw = _fed(frame).tobytes()
    if doubled:
        return np.frombuffer((raw[: start + length] + raw[start:])[: len(raw)], np.int8)
    moved = raw[:start] + raw[start + length :]
    return np.frombuffer(moved + bytes(length), np.int8)


def pipelines() -> Iterator[Plant]:
    """Faults of the input."""
    yield _pipeline("BGR given to an RGB model", "red and blue swapped", lambda p: _fed(p[..., ::-1]))
    yield _pipeline("bytes of each RGB565 pixel exchanged", "byte order of RGB565", lambda p: _fed(_rgb565(p)))
    yield _pipeline("CHW given as HWC", "channels-first", lambda p: np.moveaxis(_fed(p), -1, 0))
    yield _pipeline("mirror image", "flipped", lambda p: _fed(p[:, ::-1]), "left-right")
    yield _pipeline("upside down", "flipped", lambda p: _fed(p[::-1]), "upside down")
    for turns in (1, 2, 3):
        yield _pipeline(
            f"turned by {90 * turns} degrees", "rotated", lambda p, n=turns: _fed(np.rot90(p, n)), f"by {90 * turns}"
        )
    yield _pipeline(
        "the largest square cut out, not stretched",
        "cropped instead of resized",
        lambda p: _fed(_cropped(p)),
        "largest centred",
        size=LARGE,
    )
    yield _pipeline(
        "the middle in full resolution",
        "cropped instead of resized",
        lambda p: _fed(p[14:34, 8:28]),
        "full resolution",
        size=LARGE,
    )
    yield _pipeline(
        "bilinear instead of area", "another interpolation", lambda p: _fed(_cv2(p, "INTER_LINEAR")), "", size=LARGE
    )
    yield _pipeline(
        "bicubic instead of area",
        "another interpolation",
        lambda p: _fed(_cv2(p, "INTER_CUBIC")),
        "bicubic",
        size=LARGE,
    )
    for name, change in (
        ("0..1", lambda p: p / np.float32(255)),
        ("-1..1", lambda p: p / np.float32(127.5) - 1),
        ("0..255", lambda p: p),
        (
            "mean and deviation of ImageNet",
            lambda p: (p / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225]),
        ),
    ):
        yield _pipeline(f"pixels as {name}", "pixel range", lambda p, f=change: integers(f(p), loaded()), name)
    yield _pipeline(
        "normalised in the driver and again",
        "normalised twice",
        lambda p: integers(normalised(normalised(p)), loaded()),
    )
    yield _pipeline(
        "bytes 0..255 as int8", "uint8 given for int8", lambda p: (_fed(p).view(np.uint8) + 128).view(np.int8)
    )
    yield _pipeline(
        "round(x / scale) alone", "zero point left out", lambda p: integers(normalised(p), loaded(), zero_point=0)
    )
    yield _pipeline(
        "scale 1/64 of another model",
        "input scale of another model",
        lambda p: integers(normalised(p), loaded(), scale=1 / 64),
        "1/64",
    )
    for name, luma in (
        ("BT.709", lambda p: np.rint(p @ np.array([0.2126, 0.7152, 0.0722]))),
        ("the mean of the channels", lambda p: np.rint(p.sum(-1) / 3)),
        ("green alone", lambda p: p[..., 1]),
    ):
        yield _pipeline(
            f"grey by {name}", "grey by another formula", lambda p, f=luma: _grey(f(p)), name, preprocess=GREY
        )
    yield _pipeline(
        "64 bytes lost on the way", "a chunk of the transfer dropped", lambda p: _chunk(p, 448, 64, doubled=False), "64"
    )
    yield _pipeline(
        "64 bytes sent twice", "a chunk of the transfer doubled", lambda p: _chunk(p, 320, 64, doubled=True), "64"
    )


def _firmware(what: str, answer: str, detail: str, *, board: str | None = None, **fault: object) -> Plant:
    """A kernel with a fault, in the C of `plain_kernels`."""
    where = "kernels in C, host" if board is None else f"kernels in C, emulated {board}"

    def make() -> Engine:
        return device(f"{answer} {what}", loaded(), plain=True, board=board, **fault)  # type: ignore[arg-type]

    return Plant(where, what, answer, detail, make=make)


def kernels() -> Iterator[Plant]:
    """Faults of kernels, in their C."""
    yield _firmware("built with single rounding", "single rounding", "in integers", defines=("SINGLE",))
    yield _firmware(
        "built with single rounding", "single rounding", "in integers", defines=("SINGLE",), board="nano33ble"
    )
    yield Plant("LiteRT", "XNNPACK's kernels", "single rounding", "", make=lambda: litert_xnnpack(model()))
    yield _firmware("the last step of ADD cut off", "another rounding", "truncated", defines=("CUT_SUM",))
    yield _firmware("mean of a pool cut off", "another rounding", "mean", defines=("CUT_MEAN",))
    wide = "kernel wrong for widths that are no multiple"
    yield _firmware("convolution takes 8 products at a time", wide, "products of a sum", defines=("PRODUCTS=8",))
    yield _firmware(
        "convolution takes four channels at a time", wide, "channels, multiples of 4", defines=("CHANNELS=4",)
    )
    yield _firmware("depthwise convolution takes eight columns at a time", wide, "columns", defines=("COLUMNS=8",))
    yield _firmware("ADD takes 16 values at a time", wide, "multiples of 16", defines=("VALUES=16",))
    yield _firmware(
        "larger half of the padding above and left",
        "SAME padding on the other side",
        "",
        numbers={"op_0_pt": 1, "op_0_pl": 1},
    )
    yield _firmware("the second convolution's ReLU left out", "ReLU lost", "lower bound", numbers={"op_1_lo": -128})
    yield _firmware("cast to int8 without a clamp", "saturation lost", "", defines=("WRAP",))
    yield _firmware("cast to int8 without a clamp", "saturation lost", "", defines=("WRAP",), board="pico")
    yield _firmware(
        "one multiplier for all channels", "per-tensor scale used for per-channel", "first", defines=("PER_TENSOR",)
    )


def _swapped(values: Array, size: int) -> Array:
    whole = len(values) // size * size
    return np.concatenate([values[:whole].reshape(-1, size)[:, ::-1].ravel(), values[whole:]])


def _set(values: Array, places: slice, value: int) -> Array:
    values = values.copy()
    values[places] = value
    return values


def _turned(values: Array, position: int, bit: int) -> Array:
    values = values.copy()
    values.view(np.uint8)[position] ^= 1 << bit
    return values


def _stored(what: str, answer: str, detail: str, name: str, change: Callable[[Array], Array]) -> Plant:
    return Plant(
        "constants in flash, host",
        what,
        answer,
        detail,
        make=lambda: device(f"{answer} {what}", loaded(), plain=True, stored={name: change}),
    )


def _weights(made: Graph, op: int) -> Array:
    from firmware_tools.codegen.registry import lower

    return lower(made, made.ops[op]).calls[0].constants["weights"]


def models() -> Iterator[Plant]:
    """Faults of what lies in flash."""
    yield _stored(
        "words of 4 bytes reversed", "byte-swapped weights", "words of 4", "op_0_weights", lambda w: _swapped(w, 4)
    )
    yield _stored(
        "words of 2 bytes reversed", "byte-swapped weights", "words of 2", "op_3_weights", lambda w: _swapped(w, 2)
    )
    yield _stored("biases big-endian", "byte-swapped weights", "biases", "op_1_bias", lambda b: b.byteswap())
    yield _stored(
        "the last 100 bytes erased (0xFF)",
        "truncated model",
        "the last 100 of",
        "op_1_weights",
        lambda w: _set(w, slice(len(w) - 100, None), -1),
    )
    yield _stored(
        "the last 57 bytes zero",
        "truncated model",
        "the last 57 of",
        "op_7_weights",
        lambda w: _set(w, slice(len(w) - 57, None), 0),
    )
    yield Plant(
        "another model on the device",
        "trained again from another seed",
        "another model version",
        "planted2.tflite",
        make=lambda: _as_first(device("other version", loaded(2))),
        others=True,
    )
    yield _stored(
        "bit 6 of a convolution's weight",
        "one weight bit flipped",
        "bit 6 of weight [",
        "op_1_weights",
        lambda w: _turned(w, 77, 6),
    )
    yield _stored(
        "bit 3 of a depthwise weight",
        "one weight bit flipped",
        "bit 3 of weight [0, ",
        "op_3_weights",
        lambda w: _turned(w, 20, 3),
    )
    yield _stored(
        "bit 5 of a dense layer's weight",
        "one weight bit flipped",
        "bit 5 of weight [",
        "op_7_weights",
        lambda w: _turned(w, 100, 5),
    )
    yield _stored(
        "bit 9 of a bias",
        "one weight bit flipped",
        "bit 9 of the bias of channel 2",
        "op_0_bias",
        lambda b: _turned(b, 4 * 2 + 1, 1),
    )
    yield Plant(
        "flash of an emulated nano33ble",
        "bit 4 of a weight",
        "one weight bit flipped",
        "bit 4 of weight [",
        make=lambda: flash_bit(loaded(), _weights(loaded(), 1).tobytes(), 40, 4),
    )


def _as_first(other: Engine) -> Engine:
    """A device whose model the host takes for the first one."""
    other.graph = loaded()  # type: ignore[attr-defined]
    return other


def memories() -> Iterator[Plant]:
    """Faults of memory."""
    yield _pipeline_stale()
    for board in (None, "nano33ble"):
        yield Plant(
            "generated C, host" if board is None else f"generated C, emulated {board}",
            "an op that is skipped",
            "stale tensor, the previous run's",
            "",
            make=lambda b=board: device("skipped", loaded(), patches=(("model.c", r"{op_1, ", "{0, "),), board=b),
        )
    yield Plant(
        "arena plan, host",
        "the skip connection's buffer shares 96 bytes",
        "two buffers overlap in the arena",
        "op 1",
        make=lambda: device("overlap", loaded(), plan=_overlap()),
    )
    yield Plant(
        "arena plan, host, memory not readable",
        "the skip connection's buffer shares 96 bytes",
        "two buffers overlap in the arena",
        "op 1",
        make=lambda: _Closed(device("overlap", loaded(), plan=_overlap())),
    )
    yield Plant(
        "generated C, host",
        "the arena's end is somebody else's",
        "arena too small",
        "the device has",
        make=lambda: device("short arena", loaded(), patches=_short_arena()),
    )


def _overlap():
    made = loaded()
    return overlapped(made, made.ops[0].outputs[0], made.ops[1].outputs[0], 96)


class _Closed:
    """A device without `peek`: only traces are known."""

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self.name, self.kernels, self.fingerprint = inner.name, inner.kernels, inner.fingerprint
        self.run, self.close = inner.run, inner.close

    def __enter__(self) -> "_Closed":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _short_arena() -> tuple[tuple[str, str, str], ...]:
    """The arena's last bytes belong to a counter that every op's end moves on."""
    plan = codegen.generate(loaded()).plan
    size, made = plan.arena_bytes, loaded()
    outputs = [op.outputs[0] for op in made.ops[:-1]]
    missing = size - max(plan.offsets[i] + made.tensors[i].bytes for i in outputs) + 40  # bytes of a tensor among them
    neighbour = (
        f"static void neighbour(uint8_t *arena) {{ for (int i = 0; i < {missing}; i++) "
        f"arena[{size - missing} + i] = (uint8_t)(arena[{size - missing} + i] * 5 + 7 + i); }}\n"
    )
    return (
        ("model.c", r"\n/\* id, first and last pause", "\n" + neighbour + "/* id, first and last pause"),
        ("model.c", r"(static void op_\d+\(uint8_t \*arena\)\n{.*?)}\n", r"\1    neighbour(arena);\n}\n"),
        ("model.c", rf"\.arena_bytes = {size}", f".arena_bytes = {size - missing}"),
    )


class _Late(Misfed):
    """Its input buffer is filled one run too late."""

    before: Array | None = None

    def run(self, inputs, **_):
        values = inputs[self.tensor.name]
        old, self.before = self.before, values
        trace = self.inner.run({self.tensor.name: values if old is None else old})
        return dataclasses.replace(trace, inputs=(dataclasses.replace(trace.inputs[0], values=values),))


def _pipeline_stale() -> Plant:
    frames = pictures()
    return Plant(
        "input pipeline",
        "the input buffer is filled one run too late",
        "stale tensor, the previous run's",
        "",
        make=lambda: _Late(tflm(loaded()), frames[:0], _fed, PREPROCESS),
    )


CAMERAS = {
    "bgr": "channels in the order BGR",
    "order": "RGB565 read with the bytes exchanged",
    "planes": "planes written one after the other",
    "mirror": "sensor mounted before a mirror",
    "upside": "rows from the bottom up",
    "turned": "board mounted upside down",
    "cropped": "the middle of the frame taken",
    "nearest": "every second pixel taken",
    "halves": "mean of four pixels, halves rounded up",
    "range": "pixels brought to -1..1",
    "twice": "table applied to normalised values",
    "unsigned": "bytes with an offset of 128",
    "zero": "table without the zero point",
    "scale": "table of another model",
    "dropped": "96 bytes of the frame's DMA lost",
    "doubled": "96 bytes of the frame's DMA twice",
    "stale": "the buffer of the frame before",
}


def cameras() -> Iterator[Plant]:
    """A board's own preprocessing, judged by CAPTURE."""
    for fault, what in CAMERAS.items():
        yield Plant("camera of the device (CAPTURE)", what, *camera.FAULTS[fault], camera=fault)


def plants() -> list[Plant]:
    """All of them, in the order of the table."""
    return [*pipelines(), *cameras(), *kernels(), *models(), *memories()]


def row(plant: Plant) -> str:
    """A line of the table; AssertionError where the first answer is not the fault."""
    found = plant.diagnosis()
    assert found is not None, f"{plant.name}: nothing differs"
    assert found.hypothesis == plant.answer, f"{plant.name}: {found.cause}\n" + "\n".join(found.evidence)
    first = found.answers[0]
    assert plant.detail in first.detail, f"{plant.name}: {found.cause}"
    detail = f" ({first.detail})" if first.detail else ""
    where = "input" if found.op is None else f"op {found.op}"
    share = f"{100 * found.share_restored:.4g} %"
    return f"| {plant.answer} | {plant.what} | {plant.where} | {first.hypothesis}{detail} | {where} | {share} |"


HEADER = "| fault | planted as | in | first answer | at | equality restored |\n|---|---|---|---|---|---:|"


def main() -> int:
    """Plant everything; print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="put the table into this page, between its two marks")
    parser.add_argument("--only", default="", help="plants whose name holds this")
    arguments = parser.parse_args()
    rows, failed = [], 0
    for plant in plants():
        if arguments.only in plant.name:
            try:
                rows.append(row(plant))
                sys.stderr.write(rows[-1] + "\n")
            except AssertionError as error:
                failed += 1
                sys.stderr.write(f"MISSED {error}\n")
    table = "\n".join([HEADER, *rows])
    if failed:
        sys.stderr.write(f"{failed} of {failed + len(rows)} were not named.\n")
        return 1
    sys.stdout.write(table + "\n")
    if arguments.write is not None:
        page = arguments.write.read_text()
        begin, end = "<!-- table -->\n", "\n<!-- end of table -->"
        head, tail = page[: page.index(begin) + len(begin)], page[page.index(end) :]
        arguments.write.write_text(head + table + tail)
    return 0


if __name__ == "__main__":
    sys.exit(main())
