"""What a device can do beyond the plain run: take inputs unanswered, keep them, fill them itself, take its time."""

import time
import zlib
from typing import ClassVar

import numpy as np
import pytest
from tiny_firmware import DIGEST, MODEL_C, digest, model_c, same_steps, tiny_graph, tiny_input, tiny_trace

from firmware_tools import boards, build
from firmware_tools.build import elf
from firmware_tools.devices.bad_line import BadLine
from firmware_tools.devices.capture import Capture, judge
from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import EmulatorTransport
from firmware_tools.devices.host import PipeTransport
from firmware_tools.devices.machine import Machine
from firmware_tools.link import Capability, RefusedError, Session, Timing
from firmware_tools.link.framing import Deframer
from firmware_tools.link.messages import Kind, RawFormat
from firmware_tools.link.patience import Wait, op_patience
from tfviz.errors import InputError, LinkError

WIDE = 6000
CAMERA = (
    '#include "link/protocol.h"\n#include "link/server.h"\n'
    "static uint8_t seen[96];\n"
    "static bool camera(const nn_model *model, link_raw *raw) {\n"
    "  (void)model;\n"
    "  static uint8_t taken; taken++;\n"
    "  for (int i = 0; i < 96; i++) seen[i] = (uint8_t)(taken + 2 * i);\n"
    "  for (int i = 0; i < 48; i++) arena[i] = seen[2 * i];\n"
    "  *raw = (link_raw){.bytes = seen, .count = 96, .format = RAW_GREY8, .width = 12, .height = 8};\n"
    "  return true;\n}\n"
)


def transport(tmp_path_factory, model, board="nano33ble"):
    built = build.compile_firmware({"model.c": model}, (), boards.load(board), tmp_path_factory.mktemp("planted"))
    return EmulatorTransport(Machine(built.board, elf.read(built.elf)))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return transport(tmp_path_factory, model_c(WIDE))


class Watched:
    """Counts the requests of each kind, and loses what it is told to."""

    def __init__(self, inner):
        self.name, self.inner, self.kinds, self.lose = inner.name, inner, [], None

    def write(self, data):
        for frame in Deframer().feed(data):
            self.kinds.append(frame.kind)
            if self.lose is not None and self.lose(frame):
                self.lose = None
                return
        self.inner.write(data)

    def read(self, timeout):
        return self.inner.read(timeout)

    def close(self):
        pass


def test_a_long_input_goes_out_unanswered_and_then_runs(wide):
    line = Watched(wide)
    device = Device(line, tiny_graph(WIDE), digest=digest(WIDE))
    x = tiny_input(3, WIDE)
    assert same_steps(device.run({"t0": x}, reference=tiny_trace(x)), tiny_trace(x))
    assert line.kinds == [Kind.HELLO, Kind.FEED, Kind.FEED, Kind.FEED, Kind.RUN, Kind.NEXT, Kind.NEXT, Kind.NEXT]


def test_a_lost_piece_of_an_unanswered_input_is_noticed_by_run_and_sent_again_with_answers(wide):
    line = Watched(wide)
    device = Device(line, tiny_graph(WIDE), digest=digest(WIDE))
    line.lose = lambda frame: frame.kind == Kind.FEED
    x = tiny_input(4, WIDE)
    assert same_steps(device.run({"t0": x}, reference=tiny_trace(x)), tiny_trace(x))
    assert line.kinds.count(Kind.RUN) == 2
    assert line.kinds.count(Kind.INPUT) >= 3
    line.kinds.clear()
    for seed in (5, 6):  # wary for one run, then as before
        x = tiny_input(seed, WIDE)
        assert same_steps(device.run({"t0": x}, reference=tiny_trace(x)), tiny_trace(x))
    assert line.kinds.index(Kind.INPUT) < line.kinds.index(Kind.FEED)


def test_reading_goes_on_after_a_fault_and_does_not_begin_again(wide):
    class Gap(Watched):
        gap = True

        def read(self, timeout):
            data = super().read(timeout)
            if self.gap and len(data) > 4000:  # of the first tensor one frame in the middle is lost
                self.gap = False
                return data[:2000] + data[2100:]
            return data

    line = Gap(wide)
    device = Device(line, tiny_graph(WIDE), digest=digest(WIDE))
    x = tiny_input(7, WIDE)
    before = device.session.counters.received
    assert same_steps(device.run({"t0": x}), tiny_trace(x))
    assert not line.gap
    once = sum(output.values.nbytes for step in tiny_trace(x).steps for output in step.outputs)
    assert device.session.counters.received - before < 1.06 * once + 2200  # two frames again, not six


def test_a_pinned_input_is_sent_once(tmp_path_factory):
    kept = MODEL_C.replace("{0, 0, 0, 0, 0, 48}", "{0, 0, 4, 0, 96, 48}").replace("arena[96]", "arena[144]")
    kept = kept.replace("a[48 + i] = (uint8_t)(a[i] + weights", "a[48 + i] = (uint8_t)(a[96 + i] + weights")
    kept = kept.replace("arena, 96, 6", "arena, 144, 6")
    line = Watched(transport(tmp_path_factory, kept))
    device = Device(line, tiny_graph(), allow_other_model=True)
    assert Capability.KEEPS_INPUT in device.session.capabilities
    x, y = tiny_input(1), tiny_input(2)
    for _ in range(2):
        assert same_steps(device.run({"t0": x}, reference=tiny_trace(x)), tiny_trace(x))
    assert line.kinds.count(Kind.FEED) == 1
    assert same_steps(device.run({"t0": y}), tiny_trace(y))
    assert line.kinds.count(Kind.FEED) == 2


def test_the_ram_that_a_pinned_input_takes_is_told(shared_data):
    from firmware_tools import graph, memory

    model = graph.load(shared_data / "mlperf_tiny" / "vww_96_int8.tflite")
    plain, kept = memory.plan(model), memory.plan(model, keep_input=True)
    assert kept.arena_bytes - plain.arena_bytes == pytest.approx(27_648, abs=1024)


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    planted = MODEL_C.replace("static void op_shift", CAMERA + "static void op_shift")
    planted = planted.replace("weights[i % 4]); }", "weights[i % 4]); link_sensor = camera; }")
    return transport(tmp_path_factory, planted)


def test_a_device_fills_its_own_input_and_the_host_reads_frame_and_input(camera):
    line = Watched(camera)
    device = Device(line, tiny_graph(), digest=DIGEST)
    with pytest.raises(InputError, match="has no sensor of its own"):
        device.capture()
    with pytest.raises(RefusedError, match=r"refused CAPTURE \(SENSOR"):
        device.session.capture()
    device.run({"t0": tiny_input()})  # the planted op connects the camera
    device.session.hello()
    taken = device.capture()
    assert taken.picture.shape == (8, 12, 1)
    assert taken.raw == bytes((1 + 2 * i) % 256 for i in range(96))
    x = taken.inputs["t0"]
    assert x.tobytes() == taken.raw[::2]
    line.kinds.clear()
    assert same_steps(device.run({"t0": x}), tiny_trace(x))  # goes on from the capture: nothing is sent
    assert Kind.FEED not in line.kinds
    assert device.capture().raw[0] == 2  # another frame


def test_a_repeated_capture_gets_the_same_frame(camera):
    class Deaf(Watched):
        deaf = 2

        def read(self, timeout):
            data = super().read(timeout)
            if self.kinds[-1] == Kind.CAPTURE and self.deaf:
                self.deaf -= 1
                return b""
            return data

    device = Device(Deaf(camera), tiny_graph(), digest=DIGEST)
    device.run({"t0": tiny_input()})
    device.session.hello()
    first = device.session.capture()
    assert device.session.counters.repeated == 2
    again = device.capture()
    assert again.raw[0] == (device.session.read(first.run + 1, 0, 2, 0, 96)[0])
    assert zlib.crc32(bytes((again.raw[0] - 1 + 2 * i) % 256 for i in range(96))) == first.raw_crc32  # one before


def test_the_boards_preprocessing_is_judged():
    graph = tiny_graph()
    raw = bytes(range(48))
    # scale 0.5 and zero point 3: the integers of 0..47 are 3, 5, 7 ...
    right = (np.arange(48) * 2 + 3).astype(np.uint8).reshape(1, 48)
    good = judge(Capture(raw, RawFormat.GREY8, 48, 1, {"t0": right}), graph)
    assert (good.exact, good.worst, good.exact_share) == (True, 0, 1.0)
    wrong = right.copy()
    wrong[0, 5] += 4
    bad = judge(Capture(raw, RawFormat.GREY8, 48, 1, {"t0": wrong}), graph)
    assert (bad.exact, bad.worst, bad.exact_share) == (False, 4, 47 / 48)


def test_an_op_may_take_as_long_as_its_work_needs_and_no_longer(tmp_path_factory):
    assert op_patience(0, 0) == 20
    assert op_patience(12_500_000, 16_384) > 120  # a whole ResNet8 in one op at 16 MHz is given two minutes

    class Stuck(Watched):
        def read(self, timeout):
            data = super().read(timeout)
            if self.kinds[-1] == Kind.NEXT:
                time.sleep(min(timeout, 0.02))
                return b""
            return data

    device = Device(
        Stuck(transport(tmp_path_factory, MODEL_C)), tiny_graph(), digest=DIGEST, timing=Timing(0.01, op=0.3)
    )
    began = time.monotonic()
    with pytest.raises(LinkError, match=r"no answer to NEXT in 0\.\d s .*the last good op was 0 \(\d\d:\d\d:\d\d"):
        device.run({"t0": tiny_input()})
    assert time.monotonic() - began < 3
    assert [step.index for step in device.partial.steps] == [0]


class Guarded(EmulatorTransport):
    """A board with a watchdog: reset unless `port_idle` is called every 20,000 blocks of instructions."""

    def __init__(self, machine, idle):
        super().__init__(machine)
        self.bites = self.blocks = 0
        import unicorn

        def count(_emulator, address, _size, _user):
            self.blocks = 0 if address == idle else self.blocks + 1
            if self.blocks > 20_000:
                _emulator.emu_stop()

        machine._emulator.hook_add(unicorn.UC_HOOK_BLOCK, count)

    def read(self, timeout):
        data = super().read(timeout)
        if self.blocks > 20_000:
            self.machine.reset()
            self.bites += 1
            self.blocks = 0
        return data


def guarded(tmp_path_factory, loop):
    head = "static void op_split(uint8_t *a) {"
    slow = '#include "link/port.h"\n' + MODEL_C.replace(head, head + loop)
    built = build.compile_firmware({"model.c": slow}, (), boards.load("nano33ble"), tmp_path_factory.mktemp("slow"))
    image = elf.read(built.elf)
    return Guarded(Machine(built.board, image), image.symbol("port_idle").address & ~1)


def test_a_watchdog_bites_in_a_long_op_that_never_calls_idle(tmp_path_factory):
    line = guarded(tmp_path_factory, "for (volatile int n = 0; n < 60000; n++) {}")
    device = Device(line, tiny_graph(), digest=DIGEST, timing=Timing(quiet=1e9, tries=20))
    with pytest.raises(LinkError, match=r"the device was reset .* the last good op was 1"):
        device.run({"t0": tiny_input()})
    assert line.bites == 1


def test_a_long_op_that_calls_idle_keeps_the_watchdog_quiet(tmp_path_factory):
    line = guarded(tmp_path_factory, "for (volatile int n = 0; n < 60000; n++) { if (n % 1000 == 0) port_idle(); }")
    device = Device(line, tiny_graph(), digest=DIGEST, timing=Timing(quiet=1e9, tries=20))
    x = tiny_input()
    assert same_steps(device.run({"t0": x}), tiny_trace(x))
    assert line.bites == 0


def test_a_spoilt_line_makes_frames_small_and_a_clean_one_makes_them_large_again(wide):
    line = BadLine(wide, rate=0.02, seed=1)
    session = Session(line, timing=Timing(quiet=1e9, tries=3000), seed=3)
    session.hello()
    x = tiny_input(1, WIDE).tobytes()
    largest = session.chunk
    number = session.begin([(0, x)])
    session.run(number, [zlib.crc32(x)])
    assert session.read(number, 1, 0, 7, WIDE) == tiny_trace(tiny_input(1, WIDE)).steps[0].output.values.tobytes()
    assert 16 <= session.chunk < 200
    line._rate = 0
    for _ in range(30):
        session.read(number, 1, 0, 7, WIDE)
    assert session.chunk == largest


@pytest.mark.slow
def test_an_op_of_ten_seconds_is_waited_for(tmp_path):
    """On the clock, with all the time-outs of a real line; its request is repeated meanwhile."""
    head = "static void op_split(uint8_t *a) {"
    slow = "#include <unistd.h>\n" + MODEL_C.replace(head, head + " sleep(10);")
    line = PipeTransport(build.compile_host({"model.c": slow}, (), tmp_path))
    with Device(line, tiny_graph(), digest=DIGEST) as device:
        x = tiny_input()
        assert same_steps(device.run({"t0": x}), tiny_trace(x))
        assert device.session.counters.repeated >= 3


@pytest.mark.parametrize("rate", [0.001, 0.01])
def test_a_bad_line_on_the_clock_gives_exact_traces(tmp_path, rate):
    """As the fault suite, but with time-outs that are waited for: a process that cannot say that nothing will come."""
    program = build.compile_host({"model.c": model_c(480)}, (), tmp_path)
    line = BadLine(PipeTransport(program), rate=rate, seed=2)
    with Device(line, tiny_graph(480), digest=digest(480)) as device:
        for seed in range(3):
            x = tiny_input(seed, 480)
            assert same_steps(device.run({"t0": x}), tiny_trace(x))
    assert line.faults > 3


def test_after_a_lost_request_a_quick_device_is_asked_again_soon(wide):
    class Slow(Watched):
        waits: ClassVar[list[float]] = []

        def read(self, timeout):
            self.waits.append(timeout)
            return super().read(timeout)

    line = Slow(wide)
    session = Session(line)
    session.hello()
    x = tiny_input(1, WIDE).tobytes()
    number = session.begin([(0, x)])
    session.run(number, [zlib.crc32(x)])
    for _ in range(30):
        session.read(number, 1, 0, 7, 16)
    line.waits.clear()
    line.lose = lambda frame: frame.kind == Kind.READ
    session.read(number, 1, 0, 7, 16)
    assert len(line.waits) == 2
    assert max(line.waits) < 0.25  # of 0.3 s, which nobody knew better at first


def test_a_transfer_that_goes_on_for_too_long_is_named_with_its_size(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("firmware_tools.link.patience.time.monotonic", lambda: now[0])
    wait = Wait(Timing(), 10.0, size=5000)  # 10 s and 100 s for its bytes
    for _ in range(100):
        now[0] += 1.05
        wait.progress()
        wait.again("INPUT")
    now[0] += 6
    with pytest.raises(TimeoutError, match=r"^INPUT of 5,000 bytes did not get through in 111 s$"):
        wait.again("INPUT")
    now[0] += 5
    with pytest.raises(TimeoutError, match=r"^no answer to INPUT in 11.0 s \(2 tries\)$"):
        wait.again("INPUT")
