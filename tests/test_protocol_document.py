"""docs/protocol.md is enough: each end written from the page alone works with the product's other end."""

import re
from pathlib import Path

import document_device as alone
import numpy as np
import pytest
from tiny_firmware import DIGEST, MODEL_C, WEIGHTS, same_steps, tiny_graph, tiny_input, tiny_trace

from firmware_tools import boards, build
from firmware_tools.build import elf
from firmware_tools.devices.bad_line import BadLine
from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import EmulatorTransport
from firmware_tools.devices.machine import Machine
from firmware_tools.link import RefusedError, Session, Space, Timing
from tfviz.errors import LinkError

PAGE = Path(__file__).parents[1] / "docs" / "protocol.md"
EXAMPLE = re.compile(r"<!-- example -->\n(.*)<!-- end of example -->", re.DOTALL)


def tiny_ops():
    def shift(x):
        return [(np.frombuffer(x, np.uint8) + np.resize(np.frombuffer(WEIGHTS, np.uint8), len(x))).tobytes()]

    def mixed(x):
        return np.frombuffer(x, np.uint8) ^ 0x55

    def split(x):
        return [mixed(x)[:24].tobytes(), mixed(x)[24:].tobytes()]

    def join(a, b):
        return [(3 * np.frombuffer(a, np.uint8) + np.frombuffer(b, np.uint8)).astype(np.uint8).tobytes()]

    return [
        alone.Op((0,), (7,), shift),
        alone.Op((7,), (8,), lambda x: [x]),
        alone.Op((8,), (9, 10), split),
        alone.Op((9, 10), (11,), join),
    ]


class Line:
    """The device of the page as a line that knows when nothing will come."""

    name = "page"

    def __init__(self, device=None):
        self.device = device or alone.Device(b"tiny", {0: 48, 7: 48, 8: 48, 9: 24, 10: 24, 11: 24}, [0], tiny_ops())
        self.out = b""

    def write(self, data):
        self.out += self.device.answer(data)

    def read(self, timeout):
        del timeout
        data, self.out = self.out, b""
        return data

    def close(self):
        pass


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    out = tmp_path_factory.mktemp("firmware")
    built = build.compile_firmware({"model.c": MODEL_C}, (), boards.load("nano33ble"), out)
    return Machine(built.board, elf.read(built.elf))


def test_the_products_host_runs_reads_and_forces_a_device_written_from_the_page():
    x = tiny_input(3)
    with Device(Line(), tiny_graph()) as device:
        assert same_steps(device.run({"t0": x}), tiny_trace(x))
        received = device.session.counters.received
        assert same_steps(device.run({"t0": x}, reference=tiny_trace(x)), tiny_trace(x))
        assert device.session.counters.received - received < 4 * 60  # digests alone
        forced = device.run({"t0": x}, reference=tiny_trace(x, wrong_op=0), forced=True)
        assert same_steps(forced, tiny_forced(x))
        assert device.kernels == "from the page"


def tiny_forced(x):
    wrong = tiny_trace(x, wrong_op=0)
    return type(wrong)(**{**vars(wrong), "steps": (tiny_trace(x).steps[0], *wrong.steps[1:])})


def test_the_products_host_reads_the_tables_of_a_device_written_from_the_page():
    session = Session(Line())
    hello = session.hello()
    rows = session.tensors(hello.tensors)
    assert [(row.id, row.birth, row.death, row.bytes) for row in rows][:3] == [
        (0, 0, 4, 48),
        (7, 1, 4, 48),
        (8, 2, 4, 48),
    ]
    assert [(op.inputs, op.outputs) for op in session.ops(hello.ops)][2] == ((8,), (9, 10))
    number = session.begin([(0, tiny_input().tobytes())])
    assert session.read(number, 0, Space.TENSOR, 0, 48) == tiny_input().tobytes()
    session.abort()
    with pytest.raises(RefusedError, match="STATE"):
        session.digest(number, 0, [(Space.TENSOR, 0)])
    assert session.stats().refused == 1


@pytest.mark.parametrize("rate", [0.001, 0.01])
def test_a_device_written_from_the_page_survives_a_bad_line(rate):
    line = BadLine(Line(), seed=7, rate=rate)
    with Device(line, tiny_graph(), timing=Timing(quiet=1e9)) as device:
        for seed in range(20):
            x = tiny_input(seed)
            assert same_steps(device.run({"t0": x}), tiny_trace(x))
    assert line.faults > 5


@pytest.mark.parametrize("rate", [0, 0.002])
def test_a_host_written_from_the_page_reads_every_layer_of_the_products_firmware(firmware, rate):
    firmware.reset()
    line = BadLine(EmulatorTransport(firmware), seed=5, rate=rate)

    def exchange(data):
        line.write(data)
        return line.read(1)

    x = tiny_input(8)
    host = alone.Host(exchange, nonce=77)
    digest, made = host.all_layers(1, x.tobytes())
    assert digest == DIGEST
    wanted = tiny_trace(x)
    assert made == [{int(tensor.name[1:]): tensor.values.tobytes() for tensor in step.outputs} for step in wanted.steps]


def example_lines():
    """The session of the page's example, from the device of the page."""
    double = alone.Op((1,), (2,), lambda x: [bytes(2 * b & 255 for b in x)])
    device = alone.Device(
        b"example", {0: 4, 1: 4, 2: 4}, [0], [alone.Op((0,), (1,), lambda x: [bytes(b + 1 for b in x)]), double]
    )
    data = bytes([1, 2, 3, 4])
    requests = [
        ("HELLO", 1, "01"),
        ("INPUT", 4, "0500 0000 00000000 01020304"),
        ("RUN", 5, f"0500 {alone.struct.pack('<I', alone.zlib.crc32(data)).hex()}"),
        ("READ", 8, "0500 0100 00 0100 00000000 04000000 0000"),
        ("NEXT", 6, "0500 0100"),
        ("NEXT, repeated", 6, "0500 0100"),
        ("unknown", 0x33, ""),
    ]
    lines, sequence, before = [], 0, None
    for name, kind, payload in requests:
        sequence += (kind, payload) != before
        before = kind, payload
        sent = alone.frame(kind, sequence, 0x11223344, bytes.fromhex(payload))
        for label, stream in ((name, sent), ("", device.answer(sent))):
            lines.append(f"    {label:<15}{'->' if label else '<-'} {shown(stream)}")
            if not lines[1:]:
                lines.append(f"    {'':15}   {sent.hex(' ')}")
    return "\n" + "\n".join(lines) + "\n\n"


def shown(stream):
    ((kind, sequence, nonce, payload),) = alone.frames(stream)
    crc = alone.uncobs(stream.strip(b"\0"))[-4:]
    fields = (alone.struct.pack(form, value).hex() for form, value in (("<B", kind), ("<H", sequence), ("<I", nonce)))
    return " ".join(filter(None, (*fields, payload.hex(), crc.hex())))


def test_the_pages_example_is_what_that_device_says():
    found = EXAMPLE.search(PAGE.read_text())
    assert found is not None
    assert found[1] == example_lines()


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_hello_of_another_version_is_answered_by_every_device_and_said_in_a_sentence(firmware, length):
    firmware.reset()
    for line in (EmulatorTransport(firmware), Line()):
        line.write(alone.frame(alone.HELLO, 9, 0xABCD, bytes([2]) + bytes(length - 1)))
        (answer,) = alone.frames(line.read(1))
        assert answer == (0xFF, 9, 0xABCD, bytes.fromhex("01 09 01000000"))  # under the nonce of that HELLO


def test_a_device_of_another_version_is_named_with_both_versions(monkeypatch):
    monkeypatch.setattr("firmware_tools.link.messages.VERSION", 2)
    with pytest.raises(RefusedError, match="the device speaks version 1 of the protocol, this program version 2"):
        Session(Line(), timing=Timing(tries=3)).hello()


def test_a_hello_that_claims_another_version_is_not_believed():
    class Newer(alone.Device):
        def _hello(self, *request):
            return b"\x03" + super()._hello(*request)[1:]

    line = Line(Newer(b"tiny", {0: 4}, [0], []))
    with pytest.raises(LinkError, match="speaks version 3 of the protocol, this program version 1"):
        Session(line, timing=Timing(tries=3)).hello()
