"""The fault suite: every fault of a line and of a device that docs/faults.md lists, injected under a seed.

Each run opens a device (emulated firmware), runs a model in one of three ways (all tensors read, digests first, forced)
and must end with the exact trace or with one sentence that names the line, the time and the last good op, and what was
received until then must be kept. As a program it runs the whole suite and writes the table of docs/faults.md:

    python tests/fault_suite.py --runs 560 --write docs/faults.md
"""

import argparse
import contextlib
import dataclasses
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from tiny_firmware import digest, model_c, same_steps, tiny_graph, tiny_input, tiny_trace

from firmware_tools import boards, build
from firmware_tools.build import elf
from firmware_tools.devices.bad_line import BadLine
from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import EmulatorTransport
from firmware_tools.devices.machine import Machine
from firmware_tools.link import Timing
from firmware_tools.link.framing import Frame, encode
from firmware_tools.link.messages import Kind
from tfviz.errors import LinkError
from tfviz.trace import Trace

RATES = (0.0001, 0.001, 0.01, 0.05)
FEW_TRIES = 60
"""Where a line is dead, more say nothing new."""
TOO_LONG = 20.0
"""Seconds of the computer's own time for one run that nobody waits in: more is called a hang."""
SENTENCE = re.compile(
    r"^emulator:nano33ble: [^\n]*(nothing was run yet|the last good op was \d+( of the run before)?) "
    r"\(\d\d:\d\d:\d\d, [\d.]+ s after the line was opened\)[^\n]*\.$"
)


class Line(EmulatorTransport):
    """A line that works; the kinds of faults below spoil it. Closing keeps the machine, which the next run uses."""

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__(machine)
        self.random = random.Random(seed)
        self.requests = 0

    def write(self, data: bytes) -> None:
        self.requests += 1
        super().write(data)

    def close(self) -> None:
        pass


def bytes_spoilt(kind: str) -> Callable[[Machine, int], BadLine]:
    """Single bytes, at each of the rates in turn."""

    def line(machine: Machine, seed: int) -> BadLine:
        return BadLine(Line(machine, seed), seed=seed, rate=RATES[seed % len(RATES)], kinds=(kind,))

    return line


class Bursts(Line):
    """Now and then thirty bytes in a row become noise, either way."""

    def spoil(self, data: bytes) -> bytes:
        if not data or self.random.random() > 0.15:
            return data
        start = self.random.randrange(len(data))
        return data[:start] + self.random.randbytes(30) + data[start + 30 :]

    def write(self, data: bytes) -> None:
        super().write(self.spoil(data))

    def read(self, timeout: float) -> bytes:
        return self.spoil(super().read(timeout))


class Halves(Bursts):
    """Frames that are cut in half."""

    def spoil(self, data: bytes) -> bytes:
        return data[: self.random.randrange(len(data))] if data and self.random.random() < 0.2 else data


class Stale(Line):
    """Frames of this run and of earlier ones arrive again, and answers change places."""

    old: ClassVar[list[bytes]] = []

    def write(self, data: bytes) -> None:
        for _ in range(self.random.choice((0, 0, 0, 0, 1, 3))):
            super().write(self.random.choice([data, *self.old]))
        super().write(data)
        self.old[:] = [*self.old[-60:], data]

    def read(self, timeout: float) -> bytes:
        data = super().read(timeout)
        if self.random.random() < 0.3:
            frames = [b"\0" + part + b"\0" for part in data.split(b"\0") if part]
            self.random.shuffle(frames)
            return b"".join(frames)
        return data


class Silent(Line):
    """From some request on the device says nothing more."""

    def read(self, timeout: float) -> bytes:
        data = super().read(timeout)
        return b"" if self.requests > self.random.randrange(14) else data


class Resets(Line):
    """The device is reset once, in the middle, and greets."""

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__(machine, seed)
        self.when = self.random.randrange(1, 14)

    def read(self, timeout: float) -> bytes:
        if self.requests == self.when:
            self.requests += 1
            self.machine.reset()
            return b"*** Booting ***\r\n"
        return super().read(timeout)


class Cable(Line):
    """The cable is pulled, and in two of three cases put back."""

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__(machine, seed)
        first = self.random.randrange(14)
        self.gone = range(first, first + self.random.choice((3, 30, 10**9)))

    def write(self, data: bytes) -> None:
        if self.requests in self.gone:
            self.requests += 1
        else:
            super().write(data)

    def read(self, timeout: float) -> bytes:
        data = super().read(timeout)
        return b"" if self.requests in self.gone else data


class Noise(Line):
    """Noise before and after each frame, either way."""

    def write(self, data: bytes) -> None:
        super().write(self.noise() + data + self.noise())

    def read(self, timeout: float) -> bytes:
        data = super().read(timeout)
        return self.noise() + data + self.noise() if data else data

    def noise(self) -> bytes:
        return self.random.randbytes(self.random.randrange(20)) if self.random.random() < 0.5 else b""


class Boots(Line):
    """A boot message and log lines of the firmware on the same line."""

    def read(self, timeout: float) -> bytes:
        data = super().read(timeout)
        text = self.random.choice((b"", b"ets Jul 29 2019\r\nrst:0x1 (POWERON)\r\n", b"[info] sensor ok\n"))
        return text + data


def resampled(data: bytes, sent_at: float, read_at: float) -> bytes:
    """What a receiver at one baud rate makes of bytes sent at another: start bit, eight bits, stop bit, idle high."""
    levels = [bit for byte in data for bit in (0, *((byte >> i) & 1 for i in range(8)), 1)]
    got = bytearray()
    at, step = 0.0, sent_at / read_at  # in bits of the sender
    while at < len(levels):
        if levels[int(at)]:
            at += 0.1
            continue
        samples = [at + (i + 0.5) * step for i in range(10)]
        bits = [levels[int(s)] if int(s) < len(levels) else 1 for s in samples]
        if bits[9]:
            got.append(sum(bit << i for i, bit in enumerate(bits[1:9])))
        at = samples[9] + 0.1
    return bytes(got)


class WrongBaud(Line):
    """The host speaks at 115200 baud, the device at another rate."""

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__(machine, seed)
        self.baud = (9600, 57_600, 230_400, 921_600)[seed % 4]
        self.told = 0

    def write(self, data: bytes) -> None:
        super().write(resampled(data, 115_200, self.baud))

    def read(self, timeout: float) -> bytes:
        # A device that hears only noise answers nothing; a log line after each request is all that comes.
        text = b"" if self.told == self.requests else b"boot: ready\r\n"
        self.told = self.requests
        return resampled(super().read(timeout) + text, self.baud, 115_200)


class Restarted(Line):
    """Another host was killed in the middle of a run, or of reading a tensor; its bytes and answers are still there."""

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__(machine, seed)
        with contextlib.suppress(_KilledError):
            earlier = Device(_Dies(machine, seed), tiny_graph(), digest=digest(), timing=Timing(tries=3), seed=~seed)
            earlier.run({"t0": tiny_input(seed)})


class _KilledError(Exception):
    pass


class _Dies(Line):
    def read(self, timeout: float) -> bytes:
        if self.requests > 2 + self.random.randrange(8):
            self.machine.send(encode(Frame(Kind.READ, 0, 0, b""))[: self.random.randrange(12)])
            raise _KilledError
        return super().read(timeout)


class SlowOps(Line):
    """An op takes so long that its request is repeated many times before the answers to all of them come."""

    waiting = 0
    kept = b""

    def read(self, timeout: float) -> bytes:
        data = super().read(timeout)
        if data and not self.kept and self.random.random() < 0.2:
            self.waiting = self.random.randrange(1, 25)
        self.kept += data
        if self.waiting:
            self.waiting -= 1
            return b""
        data, self.kept = self.kept, b""
        return data


class Watchdog(Line):
    """A watchdog resets the device while it works on a request."""

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__(machine, seed)
        self.bites_at = 3 + seed % 4  # HELLO, the input, then the ops

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.requests == self.bites_at:
            self.machine.reset()


class BadDay(BadLine):
    """All of it: spoilt bytes, bursts, cut and stale frames, resets, a boot message, a pulled cable."""

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__(Line(machine, seed), seed=seed, rate=(0, *RATES)[seed % 5])
        self._machine = machine
        self._day = random.Random(seed + 1_000_003)
        self._old = [b""]
        self._pulled = 0

    def write(self, data: bytes) -> None:
        chance = self._day.random()
        if self._pulled:
            self._pulled -= 1
        elif chance < 0.004:
            self._pulled = self._day.choice((3, 3, 10_000))  # put back soon, or never
        elif chance < 0.006:
            self._machine.reset()
        elif chance < 0.05:
            start = self._day.randrange(len(data))
            super().write(data[:start] + self._day.randbytes(30) + data[start + 30 :])
        elif chance < 0.08:
            super().write(data[: self._day.randrange(len(data))])
        else:
            if chance < 0.3:
                super().write(self._day.choice(self._old))
            super().write(data)
        self._old = [*self._old[-40:], data]

    def read(self, timeout: float) -> bytes:
        data = super().read(timeout)
        if self._pulled:
            return b""
        return b"boot: ready\r\n" + data if self._day.random() < 0.02 else data


@dataclasses.dataclass(frozen=True)
class Fault:
    """A kind of fault: how it is called in the table, the line that has it, and what the firmware is built with."""

    title: str
    line: Callable[[Machine, int], Line | BadLine]
    width: int = 48
    flags: tuple[str, ...] = ()
    rates: bool = False
    tries: int = 1000
    ends: frozenset[str] = frozenset({"exact", "sentence"})

    def may_end(self, end: str, seed: int) -> bool:
        """Whether a run may end so. At 5 % now and then no HELLO of 80 bytes gets through in all the tries."""
        return end in self.ends or (self.rates and RATES[seed % len(RATES)] == RATES[-1])


NEVER_BREAKS = frozenset({"exact"})
FAULTS = {
    "flip": Fault("bits flipped, 0.01 % to 5 % of bytes", bytes_spoilt("flip"), rates=True, ends=NEVER_BREAKS),
    "drop": Fault("bytes dropped, 0.01 % to 5 %", bytes_spoilt("drop"), rates=True, ends=NEVER_BREAKS),
    "double": Fault("bytes doubled, 0.01 % to 5 %", bytes_spoilt("double"), rates=True, ends=NEVER_BREAKS),
    "insert": Fault("bytes inserted, 0.01 % to 5 %", bytes_spoilt("insert"), rates=True, ends=NEVER_BREAKS),
    "long": Fault("all four on tensors of 1.5 KB", lambda machine, seed: BadLine(
        Line(machine, seed), seed=seed, rate=RATES[seed % 3]), width=1536, ends=NEVER_BREAKS),
    "bursts": Fault("bursts of thirty wrong bytes", Bursts, ends=NEVER_BREAKS),
    "halves": Fault("frames cut in half", Halves, ends=NEVER_BREAKS),
    "stale": Fault("stale frames of earlier runs, HELLO among them, answers in another order", Stale),
    "silent": Fault("a device that falls silent", Silent, tries=FEW_TRIES),
    "resets": Fault("a device that resets in the middle", Resets),
    "cable": Fault("a cable pulled, and put back or not", Cable, tries=FEW_TRIES),
    "noise": Fault("noise before and after each frame", Noise, ends=NEVER_BREAKS),
    "boots": Fault("boot message and log lines on the same line", Boots, ends=NEVER_BREAKS),
    "baud": Fault("a wrong baud rate", WrongBaud, tries=FEW_TRIES, ends=frozenset({"sentence"})),
    "restarted": Fault("a host killed and restarted", Restarted, ends=NEVER_BREAKS),
    "small": Fault("a device with buffers of 32 and 128 bytes, 0.1 % of bytes spoilt", lambda machine, seed: BadLine(
        Line(machine, seed), seed=seed, rate=0.001), width=384,
        flags=("-DLINK_PAYLOAD=32", "-DLINK_ANSWER=128"), ends=NEVER_BREAKS),
    "slow": Fault("an op that takes long, its request repeated", SlowOps, ends=NEVER_BREAKS),
    "watchdog": Fault("a watchdog that bites in an op", Watchdog, ends=frozenset({"sentence"})),
    "bad day": Fault("all of it on one day", BadDay),
}  # fmt: skip


def machines(folder: Path) -> Callable[[Fault], Machine]:
    """The emulated firmware that a fault needs, compiled once."""
    made: dict[tuple[int, tuple[str, ...]], Machine] = {}

    def machine(fault: Fault) -> Machine:
        key = (fault.width, fault.flags)
        if key not in made:
            board = boards.load("nano33ble")
            place = folder / f"firmware{len(made)}"
            files = {"model.c": model_c(fault.width)}
            built = build.compile_firmware(files, (), board, place, flags=fault.flags)
            made[key] = Machine(board, elf.read(built.elf))
        return made[key]

    return machine


def forced_trace(reference: Trace, wrong_op: int) -> Trace:
    """What each op gives when it gets the reference's inputs: the reference, but for the op that it has wrong."""
    steps = list(reference.steps)
    if 0 <= wrong_op < len(steps):
        outputs = []
        for output in steps[wrong_op].outputs:
            values = output.values.copy()
            outputs.append(dataclasses.replace(output, values=values))
        first = outputs[0].values
        first.flat[0] ^= 1
        steps[wrong_op] = dataclasses.replace(steps[wrong_op], outputs=tuple(outputs))
    return dataclasses.replace(reference, steps=tuple(steps))


def one_run(fault: Fault, machine: Machine, seed: int) -> tuple[str, float]:
    """How it ended and after which time; AssertionError where it ended wrongly."""
    machine.reset()
    x = tiny_input(seed, fault.width)
    wrong_op = seed % 7 - 3
    reference = tiny_trace(x, wrong_op=wrong_op)
    forced = seed % 3 == 2
    expected = forced_trace(reference, wrong_op) if forced else tiny_trace(x)
    began = time.perf_counter()
    device, sentence = None, ""
    try:
        device = Device(
            fault.line(machine, seed),
            tiny_graph(fault.width),
            digest=digest(fault.width),
            timing=Timing(quiet=1e9, tries=fault.tries),
            seed=seed,
        )
        trace = device.run({"t0": x}, reference=reference if seed % 3 else None, forced=forced)
        assert same_steps(trace, expected), f"{fault.title}, seed {seed}: a wrong tensor"
        end = "exact"
    except LinkError as error:
        sentence = str(error)
        partial = None if device is None else device.partial
        if partial is not None:
            begun = dataclasses.replace(expected, steps=expected.steps[: len(partial.steps)])
            assert same_steps(partial, begun), f"{fault.title}, seed {seed}: a wrong tensor was kept"
        end = "sentence"
    assert end == "exact" or SENTENCE.match(sentence), f"{fault.title}, seed {seed}: {sentence}"
    seconds = time.perf_counter() - began
    assert seconds < TOO_LONG, f"{fault.title}, seed {seed}: {seconds:.0f} s"
    assert fault.may_end(end, seed), f"{fault.title}, seed {seed}: ended {end}"
    return end, seconds


@dataclasses.dataclass(frozen=True)
class Row:
    """What came of one kind of fault."""

    title: str
    runs: int
    exact: int
    sentences: int
    longest: float


def suite(name: str, machine: Callable[[Fault], Machine], seeds: range) -> Row:
    """All runs of one kind."""
    fault = FAULTS[name]
    ends: Counter[str] = Counter()
    longest = 0.0
    for seed in seeds:
        end, seconds = one_run(fault, machine(fault), seed)
        ends[end] += 1
        longest = max(longest, seconds)
    return Row(fault.title, len(seeds), ends["exact"], ends["sentence"], longest)


HEADERS = ("fault", "runs", "exact traces", "ended in a sentence", "wrong tensors", "hangs")


def table(rows: list[Row]) -> str:
    """The rows in Markdown, with their sum; a wrong tensor or a hang would have ended the suite."""
    total = Row("**all**", *(sum(getattr(row, key) for row in rows) for key in ("runs", "exact", "sentences")), 0)
    lines = ["| " + " | ".join(HEADERS) + " |", "|---|---:|---:|---:|---:|---:|"]
    lines += [f"| {r.title} | {r.runs:,} | {r.exact:,} | {r.sentences:,} | 0 | 0 |" for r in [*rows, total]]
    return "\n".join(lines)


def main() -> int:
    """Run the suite, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=560, help="of each kind")
    parser.add_argument("--write", type=Path, help="put the table into this page, between its two marks")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        machine = machines(Path(folder))
        for name in FAULTS:
            rows.append(suite(name, machine, range(arguments.runs)))
            told = f"{rows[-1].exact} exact, {rows[-1].sentences} sentences, longest {rows[-1].longest:.2f} s"
            sys.stderr.write(f"{rows[-1].title}: {told}\n")
    sys.stdout.write(table(rows) + "\n")
    if arguments.write is not None:
        page = arguments.write.read_text()
        begin, end = "<!-- table -->\n", "\n<!-- end of table -->"
        head, tail = page[: page.index(begin) + len(begin)], page[page.index(end) :]
        arguments.write.write_text(head + table(rows) + tail)
    return 0


if __name__ == "__main__":
    sys.exit(main())
