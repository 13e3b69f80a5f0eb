"""The fault suite: runs on bad lines. Never a wrong tensor, never a hang; a whole trace or one sentence."""

import collections
import random

import pytest
from tiny_firmware import DIGEST, MODEL_C, same_steps, tiny_graph, tiny_input, tiny_trace

from firmware_tools import boards, build
from firmware_tools.build import elf
from firmware_tools.devices.bad_line import BadLine
from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import EmulatorTransport
from firmware_tools.devices.machine import Machine
from firmware_tools.link import Timing
from tfviz.errors import LinkError


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    out = tmp_path_factory.mktemp("faults")
    built = build.compile_firmware({"model.c": MODEL_C}, (), boards.load("nano33ble"), out)
    return Machine(built.board, elf.read(built.elf))


class BadDay(BadLine):
    """Faults of single bytes, and bursts, cut frames, stale frames played again, resets, and a pulled cable."""

    def __init__(self, machine, *, seed, rate):
        super().__init__(EmulatorTransport(machine), seed=seed, rate=rate)
        self._machine = machine
        self._day = random.Random(seed + 1_000_003)
        self._old = [b""]
        self._pulled = 0
        self.reset = False

    def close(self):
        """The board outlives its bad day."""

    def write(self, data):
        chance = self._day.random()
        if self._pulled:
            self._pulled -= 1
        elif chance < 0.004:
            self._pulled = self._day.choice((3, 3, 10_000))  # put back soon, or never
        elif chance < 0.006:
            self._machine.reset()
            self.reset = True
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

    def read(self, timeout):
        data = super().read(timeout)
        if self._pulled:
            return b""
        if self._day.random() < 0.02:
            return b"boot: ready\r\n" + data
        return data


def outcomes(machine, seeds):
    """How runs of three inputs end; an assertion where one ends with a wrong tensor."""
    counts = collections.Counter()
    for seed in seeds:
        machine.reset()
        rate = (0, 0.0001, 0.001, 0.01, 0.05)[seed % 5]
        line = BadDay(machine, seed=seed, rate=rate)
        try:
            device = Device(line, tiny_graph(), digest=DIGEST, timing=Timing(quiet=1e9, tries=400))
            for number in range(3):
                x = tiny_input(seed + number)
                reference = tiny_trace(x, wrong_op=(seed + number) % 7 - 3)
                trace = device.run({"t0": x}, reference=reference if seed % 2 else None)
                assert same_steps(trace, tiny_trace(x))
            counts["exact"] += 1
        except LinkError as error:
            sentence = str(error)
            assert sentence.startswith("emulator:nano33ble: ")
            assert sentence.endswith(".")
            assert "last good op was" in sentence or "nothing was run yet" in sentence
            # After a reset a stale HELLO may open the session anew; the run is gone all the same.
            kind = "reset" if "was reset" in sentence or "refused" in sentence else "silent"
            assert kind != "reset" or line.reset
            counts[kind] += 1
    return counts


def test_a_hundred_bad_days_end_in_an_exact_trace_or_a_sentence(machine):
    counts = outcomes(machine, range(100))
    assert sum(counts.values()) == 100
    assert counts["exact"] > 30
    assert counts["reset"] > 0
    assert counts["silent"] > 0


@pytest.mark.slow
def test_ten_thousand_runs_on_bad_days_end_in_an_exact_trace_or_a_sentence(machine):
    counts = outcomes(machine, range(1000, 4334))  # three runs each
    assert sum(counts.values()) == 3334
    assert counts["exact"] > 1000
