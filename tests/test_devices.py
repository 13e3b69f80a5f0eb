"""Devices: the same answers from an emulated core, a process and a serial line; faults in sentences; exact counts."""

import os
import socket
import threading
import time
import zlib

import numpy as np
import pytest
import unicorn
from tiny_firmware import DIGEST, MODEL_C, same_steps, tiny_graph, tiny_input, tiny_trace

from firmware_tools import boards, build
from firmware_tools.build import elf
from firmware_tools.devices.counting import count_instructions
from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import EmulatorTransport
from firmware_tools.devices.host import PipeTransport
from firmware_tools.devices.machine import FaultError, Machine
from firmware_tools.devices.serial import SerialTransport
from firmware_tools.link import Session, Timing
from tfviz.errors import InputError, LinkError

X = tiny_input(7)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Emulated boards by name, compiled once."""
    made = {}

    def image(name, model=MODEL_C):
        if (name, model) not in made:
            board = boards.load(name)
            built = build.compile_firmware({"model.c": model}, (), board, tmp_path_factory.mktemp(name))
            made[name, model] = board, elf.read(built.elf)
        return made[name, model]

    return image


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build.compile_host({"model.c": MODEL_C}, (), tmp_path_factory.mktemp("host"))


def run_once(transport, **options):
    with Device(transport, tiny_graph(), digest=DIGEST, **options) as device:
        return device.run({"t0": X})


@pytest.mark.parametrize("name", boards.names())
def test_every_board_computes_the_same_bytes(images, name):
    trace = run_once(EmulatorTransport(Machine(*images(name))))
    assert trace.engine == f"emulator:{name}"
    assert same_steps(trace, tiny_trace(X))


def test_the_host_process_computes_the_same_bytes(program):
    trace = run_once(PipeTransport(program))
    assert same_steps(trace, tiny_trace(X))
    assert all(step.cycles is not None for step in trace.steps)  # nanoseconds, so that an op may well take none


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("pico", unicorn.arm_const.UC_CPU_ARM_CORTEX_M0),
        ("nano33ble", unicorn.arm_const.UC_CPU_ARM_CORTEX_M4),
        ("teensy41", unicorn.arm_const.UC_CPU_ARM_CORTEX_M7),
        ("pico2", unicorn.arm_const.UC_CPU_ARM_CORTEX_M33),
    ],
)
def test_the_emulated_core_is_the_boards_core(images, name, model):
    assert Machine(*images(name))._emulator.ctl_get_cpu_model() == model


WIDE = 'static void op_shift(uint8_t *a) { __asm__ volatile(%s ::: "r0", "r1"); (void)weights; a[48] = 0; }'


def planted(body):
    """The tiny model with another first op."""
    lines = MODEL_C.splitlines()
    index = next(i for i, line in enumerate(lines) if "op_shift(uint8_t *a)" in line)
    lines[index] = body
    return "\n".join(lines)


def test_a_cortex_m0_faults_on_an_instruction_that_it_lacks(images):
    model = planted(WIDE % '".inst.w 0xFB20F001"')  # SMLAD r0, r0, r1, r15: ARMv7E-M only
    line = EmulatorTransport(Machine(*images("pico", model)))
    with pytest.raises(FaultError, match=r"emulator:pico: the core faulted in op_shift"):
        run_once(line)


def fault_of(images, body):
    line = EmulatorTransport(Machine(*images("nano33ble", planted(body))))
    with pytest.raises(FaultError) as caught:
        run_once(line)
    return caught.value


def op(statement):
    return "static void op_shift(uint8_t *a) { (void)a; (void)weights; " + statement + " }"


@pytest.mark.parametrize(
    ("statement", "address", "words"),
    [
        ("a[0] = *(volatile uint8_t *)0x30000000u;", 0x3000_0000, "read 1 byte at 0x30000000 (outside all memory"),
        ("*(volatile uint32_t *)0x2004000Cu = 5;", 0x2004_000C, "wrote 4 bytes at 0x2004000c (outside all memory"),
        ("*(volatile uint32_t *)0x10004u = 5;", 0x1_0004, "wrote 4 bytes at 0x00010004 (flash, vectors+0x4)"),
        ("((void (*)(void))0x20000101u)(); a[0] = 1;", 0x2000_0100, "executed"),
        ("((void (*)(void))0x40000001u)(); a[0] = 1;", 0x4000_0000, "executed"),
    ],
)
def test_a_stray_access_is_a_fault_with_address_and_function(images, statement, address, words):
    fault = fault_of(images, op(statement))
    assert fault.address == address
    assert words in str(fault)
    assert "op_shift" in str(fault)
    assert str(fault).startswith("emulator:nano33ble: the firmware ")


def test_a_read_behind_the_arena_names_the_nearest_object(images):
    fault = fault_of(images, op("volatile uint8_t *p = arena; a[0] = p[0x40000];"))
    assert "nearest symbol arena+0x40000" in str(fault) or "outside all memory" in str(fault)
    assert "op_shift" in str(fault)


def test_a_stack_that_grows_too_far_faults_instead_of_eating_the_arena(images):
    body = "static void deep(uint8_t *a) { volatile uint8_t big[512]; big[0] = a[0]; deep(a); a[1] = big[0]; }\n"
    fault = fault_of(images, body + "static void op_shift(uint8_t *a) { (void)weights; deep(a); }")
    assert "wrote" in str(fault)
    assert "deep" in str(fault)
    assert 0x1FFF_0000 < fault.address < 0x2000_0000


def test_an_endless_loop_ends_in_a_sentence(images):
    machine = Machine(*images("nano33ble", planted(op('for (;;) { __asm__ volatile(""); }'))))
    with pytest.raises(LinkError, match=r"did not come to rest in 100,000 blocks.* it is in op_shift"):
        run_once(EmulatorTransport(machine, blocks=100_000))


def test_a_faulted_core_says_so_again_until_it_is_reset(images):
    machine = Machine(*images("nano33ble", planted(op("*(volatile uint32_t *)0x10004u = 5;"))))
    line = EmulatorTransport(machine)
    device = Device(line, tiny_graph(), digest=DIGEST)
    for _ in range(2):
        with pytest.raises(FaultError, match="op_shift"):
            device.run({"t0": X})
    machine.reset()
    assert Session(line).hello().digest == DIGEST


def single_stepped(board, image):
    """Instructions from the entry of each op's function to its return, counted one by one."""
    machine = Machine(board, image)
    counts = {}
    window = {"name": None, "back": 0}
    starts = {image.symbol(name).address: name for name in ("op_shift", "op_split", "op_join")}
    register = unicorn.riscv_const.UC_RISCV_REG_RA if board.name == "esp32c3" else unicorn.arm_const.UC_ARM_REG_LR

    def step(emulator, address, _size, _user):
        if window["name"] is None and address in starts:
            window.update(name=starts[address], back=emulator.reg_read(register) & ~1)
        elif address == window["back"]:
            window["name"] = None
        if window["name"] is not None:
            counts[window["name"]] = counts.get(window["name"], 0) + 1

    machine._emulator.hook_add(unicorn.UC_HOOK_CODE, step)
    run_once(EmulatorTransport(machine))
    return [counts["op_shift"], 0, counts["op_split"], counts["op_join"]]


class Counted(Device):
    def take_instructions(self):
        return self._transport.machine.take_instructions()


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("name", ["nano33ble", "pico", "esp32c3"])
def test_instructions_of_each_op_are_counted_exactly(images, name, native):
    board, image = images(name)
    expected = single_stepped(board, image)
    with Counted(EmulatorTransport(Machine(board, image, native=native)), tiny_graph(), digest=DIGEST) as device:
        for _ in range(2):
            assert [step.instructions for step in device.run({"t0": X}).steps] == expected


def test_reading_and_forcing_do_not_change_the_counts(images):
    with Counted(EmulatorTransport(Machine(*images("nano33ble"))), tiny_graph(), digest=DIGEST) as device:
        free = [step.instructions for step in device.run({"t0": X}).steps]
        reference = tiny_trace(X, wrong_op=2)
        forced = device.run({"t0": X}, reference=reference, forced=True)
        assert [step.instructions for step in forced.steps] == free


@pytest.mark.parametrize(("code", "count"), [("7047", 1), ("0020 7047", 2), ("4ff00000 7047", 2), ("00f000f8", 1)])
def test_thumb_instructions_are_told_apart_by_their_prefix(code, count):
    assert count_instructions(bytes.fromhex(code)) == count


def test_several_emulators_live_side_by_side(images):
    names = ["nano33ble", "pico", "nano33ble", "esp32c3"]
    devices = [Device(EmulatorTransport(Machine(*images(name))), tiny_graph(), digest=DIGEST) for name in names]
    traces = {}

    def work(index):
        traces[index] = [devices[index].run({"t0": tiny_input(10 * index + i)}) for i in range(5)]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(devices))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, made in traces.items():
        assert all(same_steps(trace, tiny_trace(tiny_input(10 * index + i))) for i, trace in enumerate(made))
    assert len(traces) == 4


def test_a_program_that_is_silent_is_given_up_in_time(tmp_path):
    program = tmp_path / "silent"
    source = tmp_path / "silent.c"
    source.write_text("#include <unistd.h>\nint main(void) { char c; while (read(0, &c, 1) > 0) {} return 0; }")
    build.zig.compile_and_link([str(source)], program, what="a silent program")
    transport = PipeTransport(program)
    began = time.monotonic()
    with pytest.raises(LinkError, match="host: no answer to HELLO"):
        Session(transport, timing=Timing(quiet=0.02, request=0.2)).hello()
    assert time.monotonic() - began < 5
    transport.close()


def test_a_program_that_ends_in_the_middle_is_named(program):
    transport = PipeTransport(program)
    session = Session(transport)
    session.hello()
    transport._process.kill()
    with pytest.raises(LinkError, match="host: the program ended with signal 9"):
        session.stats()
    transport.close()


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LinkError, match=r"host: .*nothing does not start: No such file"):
        PipeTransport(tmp_path / "nothing")


def bridge(read, write, machine, stop):
    """Carry bytes between a line's far end and an emulated board."""
    while not stop.is_set():
        data = read()
        if data:
            machine.send(data)
            write(machine.receive(10**9))


def test_the_same_bytes_go_through_a_pseudo_terminal(images):
    far, near = os.openpty()
    stop = threading.Event()
    machine = Machine(*images("nano33ble"))
    os.set_blocking(far, False)

    def read():
        try:
            return os.read(far, 4096)
        except BlockingIOError:
            time.sleep(0.001)
            return b""

    thread = threading.Thread(target=bridge, args=(read, lambda data: os.write(far, data), machine, stop))
    transport = SerialTransport(os.ttyname(near))
    thread.start()
    try:
        trace = run_once(transport)
        assert trace.engine == f"serial:{os.ttyname(near)}"
        assert same_steps(trace, tiny_trace(X))
    finally:
        stop.set()
        thread.join()
        os.close(far)
        os.close(near)


@pytest.fixture
def served(images):
    """An emulated board behind a TCP port; the URL, and a way to pull the cable."""
    listener = socket.create_server(("127.0.0.1", 0))
    machine = Machine(*images("nano33ble"))
    stop = threading.Event()
    lines = []

    def serve():
        connection, _ = listener.accept()
        connection.settimeout(0.02)
        lines.append(connection)

        def read():
            try:
                return connection.recv(4096)
            except TimeoutError:
                return b""
            except OSError:
                stop.set()
                return b""

        bridge(read, connection.sendall, machine, stop)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"socket://127.0.0.1:{listener.getsockname()[1]}", lambda: lines[0].close()
    stop.set()
    thread.join()
    listener.close()


def test_the_same_bytes_go_through_a_socket(served):
    assert same_steps(run_once(SerialTransport(served[0])), tiny_trace(X))


def test_a_pulled_cable_is_a_sentence_with_the_last_good_op(served):
    url, pull = served
    session = Session(SerialTransport(url), timing=Timing(quiet=0.05, request=0.5, op=0.5))
    session.hello()
    number = session.begin([(0, X.tobytes())])
    session.run(number, [zlib.crc32(X.tobytes())])
    pull()
    with pytest.raises(LinkError, match=r"serial:socket://127.0.0.1:\d+: (the port is gone|no answer to NEXT)"):
        session.next(number, 1)
    session.transport.close()


def test_a_port_that_does_not_open_is_named():
    with pytest.raises(LinkError, match=r"serial:/dev/no-such-port: the port does not open: there is no such port \(`"):
        SerialTransport("/dev/no-such-port")
    with pytest.raises(LinkError, match=r"nobody listens at this address; nothing was run yet \(\d\d:\d\d:\d\d\)\.$"):
        SerialTransport("socket://127.0.0.1:1")
    with pytest.raises(InputError, match="not a serial port or pyserial URL"):
        SerialTransport("nonsense://x")
    with pytest.raises(InputError, match="1200 baud"):
        SerialTransport("loop://", baud=1200)


def test_a_loop_back_plug_is_not_taken_for_a_device():
    session = Session(SerialTransport("loop://"), timing=Timing(quiet=0.02, request=0.2))
    with pytest.raises(LinkError, match="serial:loop://: no answer to HELLO"):
        session.hello()
    session.transport.close()


def test_the_trace_of_a_device_is_saved_and_loaded_like_any_other(images, tmp_path):
    trace = run_once(EmulatorTransport(Machine(*images("nano33ble"))))
    trace.save(tmp_path / "t.npz")
    assert same_steps(trace.load(tmp_path / "t.npz"), trace)
    assert np.array_equal(trace.outputs[0].real, 0.5 * (trace.outputs[0].values.astype(np.float32) - 3))
