"""The link: framing, the protocol's promises, and what happens on a bad line. The device is the emulated firmware."""

import re
import struct
import time
import zlib
from importlib import metadata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_firmware import DIGEST, MODEL_C, WEIGHTS, same_steps, tiny_graph, tiny_input, tiny_trace

from firmware_tools import boards, build
from firmware_tools.build import elf, zig
from firmware_tools.devices.bad_line import BadLine
from firmware_tools.devices.device import Device, OverwrittenError
from firmware_tools.devices.emulator import EmulatorTransport
from firmware_tools.devices.machine import Machine
from firmware_tools.link import RefusedError, Session, Space, Timing, messages
from firmware_tools.link.framing import Deframer, Frame, decode, encode
from firmware_tools.link.messages import ANSWER, Capability, Kind, RawFormat, Refusal
from tfviz.errors import InputError, LinkError
from tfviz.trace import Trace

NONCE = 0x1234


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    out = tmp_path_factory.mktemp("firmware")
    built = build.compile_firmware({"model.c": MODEL_C}, (), boards.load("nano33ble"), out)
    return built, elf.read(built.elf)


@pytest.fixture
def machine(firmware):
    built, image = firmware
    machine = Machine(built.board, image)
    yield machine
    machine.close()


@pytest.fixture
def line(machine):
    return EmulatorTransport(machine)


@pytest.fixture
def session(line):
    session = Session(line, seed=1)
    session.hello()
    return session


def ask(line, kind, sequence, payload=b"", nonce=NONCE):
    """One raw request, without the session's help; all frames that come back."""
    line.write(encode(Frame(kind, sequence, nonce, payload)))
    return Deframer().feed(line.read(1))


def started(line, x):
    """A raw session with run 1 begun; next sequence number 3."""
    ask(line, Kind.HELLO, 1, bytes([messages.VERSION]))
    ask(line, Kind.INPUT, 2, struct.pack("<H", 1) + messages.store(0, 0, x.tobytes()))
    return messages.run(1, [zlib.crc32(x.tobytes())])


@given(st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=1100))
def test_a_frame_comes_out_of_the_line_as_it_went_in(kind, sequence, nonce, payload):
    frame = Frame(kind, sequence, nonce, payload)
    deframer = Deframer()
    assert deframer.feed(b"boot v1.2\r\n" + encode(frame) + encode(frame)) == [frame, frame]
    assert deframer.damaged == 1  # the boot message


@given(st.binary(max_size=300), st.data())
def test_a_frame_with_one_flipped_bit_is_never_taken_for_a_frame(payload, data):
    line = bytearray(encode(Frame(5, 77, NONCE, payload)))
    bit = data.draw(st.integers(8, 8 * (len(line) - 1) - 1))
    line[bit // 8] ^= 1 << bit % 8
    assert Deframer().feed(bytes(line)) == []


def test_noise_without_an_end_does_not_fill_the_memory():
    deframer = Deframer(longest=1000)
    for _ in range(100):
        deframer.feed(b"\xff" * 999)
    assert deframer.feed(b"\0" + encode(Frame(1, 2, 3, b""))) == [Frame(1, 2, 3, b"")]
    assert decode(b"\xff" * 999) is None


def test_the_device_decodes_and_answers_every_length_of_payload(line):
    """All lengths around COBS's blocks of 254 bytes, with and without zeros, both ways: DIGEST echoes through CRCs."""
    started(line, tiny_input())
    sequence = 3
    for names in range(0, 126, 5):
        payload = messages.pause(1, 0) + messages.names([(Space.TENSOR, 0)] * names)
        frames = ask(line, Kind.DIGEST, sequence, payload)
        sequence += 1
        assert [frame.kind for frame in frames] == [Kind.DIGEST | ANSWER]
        digest = struct.pack("<II", 48, zlib.crc32(tiny_input().tobytes()))
        assert frames[0].payload == digest * names


def _flags():
    flags = {f"CAPABILITY_{flag.name}": int(flag) for flag in Capability}
    return flags | {f"RAW_{known.name}": int(known) for known in RawFormat}


def test_the_names_in_c_and_in_python_are_the_same():
    header = (zig.FIRMWARE / "link" / "protocol.h").read_text()
    in_c = {name: int(value, 0) for name, value in re.findall(r"(\w+) = (0x[0-9A-F]+|\d+)", header)}
    in_python = {f"MESSAGE_{kind.name}": int(kind) for kind in Kind} | {"MESSAGE_ANSWER": ANSWER}
    in_python |= {f"ERROR_{refusal.name}": int(refusal) for refusal in Refusal}
    in_python |= {f"SPACE_{space.name}": int(space) for space in Space}
    in_python |= {"PROTOCOL_VERSION": messages.VERSION, **_flags()}
    assert in_c == in_python


def test_hello_tells_the_model_and_the_digest_of_the_bytes_that_run(session):
    hello = session.hello()
    assert (hello.ops, hello.tensors, hello.inputs, hello.outputs) == (4, 6, 1, 1)
    assert hello.digest == DIGEST
    assert (hello.protocol, hello.arena_bytes, hello.payload, hello.tick_hz) == (1, 96, 2048, 0)
    assert hello.engine == f"built-in C99 kernels {metadata.version('tfviz')}"
    assert hello.build == "nano33ble"


def test_the_tables_name_what_is_alive_when(session):
    tensors = session.tensors(6)
    assert [(t.id, t.birth, t.death, t.alias_of, t.offset, t.bytes) for t in tensors][2] == (8, 2, 2, 1, 48, 48)
    ops = session.ops(4)
    assert [(op.inputs, op.outputs) for op in ops] == [((0,), (7,)), ((7,), (8,)), ((8,), (9, 10)), ((9, 10), (11,))]
    assert [op.constants for op in ops] == [(4,), (), (), ()]


def test_a_repeated_request_gets_the_cached_answer_and_never_another_step(line):
    x = tiny_input()
    run = started(line, x)
    first = ask(line, Kind.RUN, 3, run)
    assert ask(line, Kind.RUN, 3, run) == first
    second = ask(line, Kind.NEXT, 4, messages.pause(1, 1))
    third = ask(line, Kind.NEXT, 5, messages.pause(1, 2))
    assert ask(line, Kind.NEXT, 5, messages.pause(1, 2)) == third != second
    done = messages.parse_op_done(third[0].payload)
    trace = tiny_trace(x)
    assert done.op == 2
    assert [digest.crc32 for digest in done.outputs] == [tensor.crc32 for tensor in trace.steps[2].outputs]


def test_the_cached_answer_still_has_the_digest_from_before_a_write(line):
    run = started(line, tiny_input())
    first = ask(line, Kind.RUN, 3, run)
    written = ask(line, Kind.WRITE, 4, messages.pause(1, 1) + messages.store(7, 0, b"\xee" * 48))
    assert written[0].kind == Kind.WRITE | ANSWER
    again = ask(line, Kind.RUN, 5, run)
    assert again[0].payload == first[0].payload


def test_a_stale_frame_of_an_earlier_run_changes_nothing(line):
    x = tiny_input()
    run = started(line, x)
    ask(line, Kind.RUN, 3, run)
    stale = ask(line, Kind.INPUT, 2, struct.pack("<H", 9) + messages.store(0, 0, bytes(48)))
    assert struct.unpack("<BBI", stale[0].payload)[1] == Refusal.STALE
    following = ask(line, Kind.NEXT, 4, messages.pause(1, 1))
    assert messages.parse_op_done(following[0].payload).op == 1


def test_a_late_repeat_of_hello_does_not_make_old_requests_new_again(line):
    run = started(line, tiny_input())
    ask(line, Kind.RUN, 3, run)
    ask(line, Kind.HELLO, 1, bytes([messages.VERSION]))
    stale = ask(line, Kind.INPUT, 2, struct.pack("<H", 1) + messages.store(0, 0, bytes(48)))
    assert struct.unpack("<BBI", stale[0].payload)[1] == Refusal.STALE


def test_a_request_with_another_nonce_is_refused_and_a_new_hello_ends_the_run(line):
    run = started(line, tiny_input())
    ask(line, Kind.RUN, 3, run)
    foreign = ask(line, Kind.NEXT, 4, messages.pause(1, 1), nonce=NONCE + 1)
    assert struct.unpack("<BBI", foreign[0].payload)[1] == Refusal.SESSION
    ask(line, Kind.HELLO, 1, bytes([messages.VERSION]), nonce=NONCE + 1)
    gone = ask(line, Kind.NEXT, 2, messages.pause(1, 1), nonce=NONCE + 1)
    assert struct.unpack("<BBI", gone[0].payload)[1] == Refusal.STATE


@pytest.mark.parametrize(
    ("kind", "payload", "refusal"),
    [
        (0x55, b"", Refusal.UNKNOWN),
        (Kind.HELLO, b"", Refusal.LENGTH),
        (Kind.HELLO, b"\1\0", Refusal.LENGTH),
        (Kind.HELLO, b"\x63", Refusal.VERSION),
        (Kind.STATS, b"\0", Refusal.LENGTH),
        (Kind.ABORT, b"\0", Refusal.LENGTH),
        (Kind.NEXT, b"\1", Refusal.LENGTH),
        (Kind.NEXT, messages.pause(1, 1), Refusal.STATE),
        (Kind.NEXT, messages.pause(1, 0xFFFF), Refusal.STATE),
        (Kind.RUN, messages.run(1, [0]), Refusal.INPUT),
        (Kind.RUN, messages.run(2, [0]), Refusal.STATE),
        (Kind.RUN, b"", Refusal.LENGTH),
        (Kind.INPUT, b"", Refusal.LENGTH),
        (Kind.INPUT, struct.pack("<H", 1) + messages.store(7, 0, b"x"), Refusal.NAME),
        (Kind.INPUT, struct.pack("<H", 1) + messages.store(0, 47, b"xy"), Refusal.RANGE),
        (Kind.INPUT, struct.pack("<H", 1) + messages.store(0, 0xFFFFFFFF, b"xy"), Refusal.RANGE),
        (Kind.WRITE, messages.pause(1, 0) + messages.store(7, 0, b"x"), Refusal.NAME),
        (Kind.WRITE, messages.pause(1, 1) + messages.store(0, 0, b"x"), Refusal.STATE),
        (Kind.READ, messages.pause(1, 0) + messages.window(Space.TENSOR, 7, 0, 1, 0), Refusal.NAME),
        (Kind.READ, messages.pause(1, 0) + messages.window(Space.TENSOR, 99, 0, 1, 0), Refusal.NAME),
        (Kind.READ, messages.pause(1, 0) + messages.window(Space.TENSOR, 0, 0, 49, 0), Refusal.RANGE),
        (Kind.READ, messages.pause(1, 0) + messages.window(Space.TENSOR, 0, 0xFFFFFFFF, 2, 0), Refusal.RANGE),
        (Kind.READ, messages.pause(1, 0) + messages.window(Space.CONSTANT, 1, 0, 1, 0), Refusal.NAME),
        (Kind.READ, messages.pause(1, 0) + struct.pack("<BHIIH", 9, 0, 0, 1, 0), Refusal.NAME),
        (Kind.READ, messages.pause(1, 0), Refusal.LENGTH),
        (Kind.DIGEST, messages.pause(1, 0) + messages.names([(Space.TENSOR, 11)]), Refusal.NAME),
        (Kind.DIGEST, messages.pause(1, 0) + b"\0", Refusal.LENGTH),
        (Kind.TENSORS, b"", Refusal.LENGTH),
        (Kind.OPS, b"\0", Refusal.LENGTH),
    ],
)
def test_what_the_op_table_does_not_name_at_this_pause_is_refused(line, kind, payload, refusal):
    started(line, tiny_input())
    answer = ask(line, kind, 3, payload)
    assert [frame.kind for frame in answer] == [Kind.ERROR]
    assert struct.unpack("<BBI", answer[0].payload)[:2] == (kind, refusal)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.binary(max_size=30)), max_size=30))
def test_no_sequence_of_requests_makes_the_firmware_fault(firmware, requests):
    built, image = firmware
    line = EmulatorTransport(Machine(built.board, image), blocks=5_000_000)
    started(line, tiny_input())
    for sequence, (kind, payload) in enumerate(requests, start=3):
        ask(line, kind, sequence, payload)  # a fault or an endless loop raises
    assert ask(line, Kind.STATS, 100)[0].kind == Kind.STATS | ANSWER


def test_weights_of_the_next_op_can_be_read_and_nothing_else_of_flash(session):
    number = session.begin([(0, tiny_input().tobytes())])
    assert session.read(number, 0, Space.CONSTANT, 0, 4) == WEIGHTS
    session.run(number, [zlib.crc32(tiny_input().tobytes())])
    with pytest.raises(RefusedError, match=r"refused READ \(NAME"):
        session.read(number, 1, Space.CONSTANT, 0, 4)


def test_stats_count_what_the_receiver_saw(session, line):
    before = session.stats()
    line.write(b"\0noise\0" + encode(Frame(1, 2, 3, b""))[:-3] + b"\0")
    after = session.stats()
    assert after.damaged_frames - before.damaged_frames == 2
    assert after.good_frames - before.good_frames == 1


@pytest.mark.parametrize("kind", ["drop", "double", "flip", "insert"])
@pytest.mark.parametrize("place", range(0, 20, 3))
def test_one_fault_at_any_place_both_ways_costs_a_repeat_and_nothing_else(line, kind, place):
    class OneFault(BadLine):
        def _spoil(self, data):
            if len(data) <= place or self.faults >= 2:
                return data
            self._rate = 1
            spoilt = super()._spoil(data[place : place + 1])
            return data[:place] + spoilt + data[place + 1 :]

    faulty = OneFault(line, seed=3, rate=0, kinds=(kind,))
    with Device(faulty, tiny_graph(), digest=DIGEST) as device:
        x = tiny_input(5)
        assert same_steps(device.run({"t0": x}), tiny_trace(x))
        assert faulty.faults == 2


@pytest.mark.parametrize(("rate", "runs"), [(0.001, 40), (0.01, 10), (0.05, 2)])
def test_a_bad_line_gives_a_complete_exact_trace(line, rate, runs):
    faulty = BadLine(line, seed=11, rate=rate)
    with Device(faulty, tiny_graph(), digest=DIGEST) as device:
        for seed in range(runs):
            x = tiny_input(seed)
            assert same_steps(device.run({"t0": x}), tiny_trace(x))
        assert faulty.faults > 5
        assert device.session.counters.repeated > 0
        if rate == 0.05:
            assert device.session.chunk < 100  # the frames have become small


def test_boot_message_and_noise_between_frames_do_no_harm(machine):
    class Chatty(EmulatorTransport):
        def write(self, data):
            super().write(b"\xff\x00\x07" + data + b"\x99garbage")

        def read(self, timeout):
            data = super().read(timeout)
            return b"*** Booting v2.7 ***\r\n" + data + b"\0\x03ab" if data else data

    with Device(Chatty(machine), tiny_graph(), digest=DIGEST) as device:
        x = tiny_input()
        assert same_steps(device.run({"t0": x}), tiny_trace(x))


def test_a_silent_device_is_given_up_after_a_bounded_time_in_one_sentence():
    class Silent:
        name = "serial:/dev/nowhere"

        def write(self, data):
            pass

        def read(self, timeout):
            time.sleep(timeout)
            return b""

        def close(self):
            pass

    began = time.monotonic()
    with pytest.raises(
        LinkError, match=r"serial:/dev/nowhere: no answer to HELLO in 0\.\d s \(\d tries\); nothing was"
    ):
        Session(Silent(), timing=Timing(quiet=0.02, request=0.2)).hello()
    assert time.monotonic() - began < 2


def test_a_device_that_falls_silent_is_reported_with_its_last_good_op(machine):
    class Cut(EmulatorTransport):
        cut = False

        def read(self, timeout):
            data = super().read(timeout)
            return b"" if self.cut else data

    line = Cut(machine)
    session = Session(line, timing=Timing(tries=5))
    session.hello()
    x = tiny_input().tobytes()
    number = session.begin([(0, x)])
    session.run(number, [zlib.crc32(x)])
    session.next(number, 1)
    line.cut = True
    with pytest.raises(LinkError, match=r"emulator:nano33ble: no answer to NEXT in .* the last good op was 1"):
        session.next(number, 2)


def test_a_reset_in_the_middle_of_a_run_is_noticed(session, machine):
    x = tiny_input().tobytes()
    number = session.begin([(0, x)])
    session.run(number, [zlib.crc32(x)])
    machine.reset()
    with pytest.raises(LinkError, match="was reset or taken over by another host; the last good op was 0"):
        session.next(number, 1)
    session.hello()  # and goes on with a new session
    number = session.begin([(0, x)])
    assert session.run(number, [zlib.crc32(x)]).op == 0


def test_what_was_received_before_the_line_broke_is_kept(machine, tmp_path):
    class Short(EmulatorTransport):
        def write(self, data):
            frames = Deframer().feed(data)
            if frames[0].kind != Kind.NEXT or frames[0].payload[2] < 2:
                super().write(data)

    with Device(Short(machine), tiny_graph(), digest=DIGEST, timing=Timing(tries=3)) as device:
        x = tiny_input()
        with pytest.raises(LinkError, match=r"no answer to NEXT .* the last good op was 1"):
            device.run({"t0": x})
        device.partial.save(tmp_path / "partial.npz")
        kept = Trace.load(tmp_path / "partial.npz")
        assert [step.index for step in kept.steps] == [0, 1]
        assert kept.outputs == ()
        assert np.array_equal(kept.steps[1].output.values, tiny_trace(x).steps[1].output.values)


def test_digest_first_reads_nothing_where_all_is_exact(line):
    with Device(line, tiny_graph(), digest=DIGEST) as device:
        x = tiny_input(2)
        read = device.run({"t0": x})
        full = device.last_line_bytes
        exact = device.run({"t0": x}, reference=tiny_trace(x))
        assert same_steps(exact, tiny_trace(x))
        assert same_steps(exact, read)
        requests = 48 + 25 + 21 + 3 * 19  # INPUT with its payload, RUN, three NEXT
        answers = 20 + 3 * 40 + 50
        assert device.last_line_bytes < requests + answers + 20 < full - 150


def test_an_output_that_differs_is_read_and_an_equal_one_is_not(line):
    with Device(line, tiny_graph(), digest=DIGEST) as device:
        x = tiny_input(2)
        differing = device.run({"t0": x}, reference=tiny_trace(x, wrong_op=0))
        assert same_steps(differing, tiny_trace(x))
        assert differing.steps[0].output.scale == 0.5
        assert differing.steps[0].output.zero_point == 3


def test_a_forced_run_gives_each_op_the_references_inputs(line):
    with Device(line, tiny_graph(), digest=DIGEST) as device:
        x = tiny_input(2)
        reference = tiny_trace(x, wrong_op=0)
        forced = device.run({"t0": x}, reference=reference, forced=True)
        assert forced.forced
        assert np.array_equal(forced.steps[0].output.values, tiny_trace(x).steps[0].output.values)  # its own result
        for own, theirs in zip(forced.steps[1:], reference.steps[1:], strict=True):
            assert all(np.array_equal(a.values, b.values) for a, b in zip(own.outputs, theirs.outputs, strict=True))


def test_memory_that_is_overwritten_between_two_ops_is_not_blamed_on_the_next_op(machine, firmware):
    arena = firmware[1].symbol("arena").address

    class Meddling(EmulatorTransport):
        def write(self, data):
            frames = Deframer().feed(data)
            if frames and frames[0].kind == Kind.DIGEST and frames[0].payload[2:4] == b"\x03\x00":
                machine._emulator.mem_write(arena + 25, b"\x00\x01")
            super().write(data)

    with Device(Meddling(machine), tiny_graph(), digest=DIGEST) as device:
        x = tiny_input(2)
        message = r"tensor 10, made by op 2 \(SPLIT\), was overwritten before op 3 \(ADD\) could read it"
        with pytest.raises(OverwrittenError, match=message):
            device.run({"t0": x}, reference=tiny_trace(x), forced=True)


def test_without_reading_only_the_models_outputs_travel(line):
    with Device(line, tiny_graph(), digest=DIGEST) as device:
        x = tiny_input(4)
        trace = device.run({"t0": x}, read=False)
        assert trace.steps == ()
        assert np.array_equal(trace.outputs[0].values, tiny_trace(x).outputs[0].values)


def test_another_model_on_the_device_is_refused_unless_allowed(machine):
    with pytest.raises(InputError, match="runs another model"):
        Device(EmulatorTransport(machine), tiny_graph(), digest=1)


def test_another_model_on_the_device_can_be_allowed(machine):
    with Device(EmulatorTransport(machine), tiny_graph(), digest=1, allow_other_model=True) as device:
        assert device.hello.digest == DIGEST


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": tiny_input()}, r"inputs are named \['t0'\]; \['x'\] were given"),
        ({"t0": tiny_input().astype(np.int8)}, "must be uint8 of shape .1, 48.; it is int8"),
        ({"t0": tiny_input()[:, :47]}, r"it is uint8 of shape \(1, 47\)"),
    ],
)
def test_wrong_inputs_are_refused_in_a_sentence(line, inputs, message):
    with Device(line, tiny_graph(), digest=DIGEST) as device, pytest.raises(InputError, match=message):
        device.run(inputs)


def test_a_forced_run_without_reference_is_refused(line):
    with Device(line, tiny_graph(), digest=DIGEST) as device, pytest.raises(InputError, match="needs a reference"):
        device.run({"t0": tiny_input()}, forced=True)
