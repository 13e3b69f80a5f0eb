"""Serial ports: found by what is connected, found again after they vanished, never opened at a boot loader's rate."""

import os
import socket
import threading
import time

import pytest
import serial.rfc2217
from tiny_firmware import DIGEST, MODEL_C, same_steps, tiny_graph, tiny_input, tiny_trace

from firmware_tools import boards, build
from firmware_tools.build import elf
from firmware_tools.devices import ports
from firmware_tools.devices import serial as serial_device
from firmware_tools.devices.device import Device
from firmware_tools.devices.machine import Machine
from firmware_tools.devices.ports import Port
from firmware_tools.devices.serial import SerialTransport
from firmware_tools.link import Timing
from tfviz.errors import InputError, LinkError

NANO = "2341:805a"


class Terminal:
    """An emulated board behind a pseudo-terminal that can be unplugged."""

    def __init__(self, machine):
        self.machine = machine
        self.far, self.near = os.openpty()
        self.name = os.ttyname(self.near)
        os.set_blocking(self.far, False)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.carry)
        self.thread.start()

    def carry(self):
        while not self.stop.is_set():
            try:
                data = os.read(self.far, 4096)
            except OSError:  # nothing there
                time.sleep(0.001)
                continue
            self.machine.send(data)
            os.write(self.far, self.machine.receive(10**9))

    def unplug(self):
        self.stop.set()
        self.thread.join()
        os.close(self.near)
        os.close(self.far)


@pytest.fixture
def machine(tmp_path):
    built = build.compile_firmware({"model.c": MODEL_C}, (), boards.load("nano33ble"), tmp_path)
    return Machine(built.board, elf.read(built.elf))


def connected(monkeypatch, *found):
    monkeypatch.setattr(ports, "listed", lambda: list(found))


def test_a_port_that_comes_back_under_another_name_is_found_by_its_serial_number(machine, monkeypatch):
    first = Terminal(machine)
    connected(monkeypatch, Port(first.name, "Nano", NANO, "0042"))
    device = Device(SerialTransport(first.name), tiny_graph(), digest=DIGEST, timing=Timing(quiet=0.1, request=3))
    x = tiny_input(1)
    assert same_steps(device.run({"t0": x}), tiny_trace(x))
    first.unplug()
    machine.reset()  # the board lost its power too
    second = Terminal(machine)
    # Another board, and this board's boot loader, which has other ids, are not taken for it.
    others = Port("/dev/none1", "Nano", NANO, "0043"), Port("/dev/none2", "Nano boot loader", "2341:005a", "0042")
    connected(monkeypatch, *others, Port(second.name, "Nano", NANO, "0042"))
    with pytest.raises(LinkError, match="the device was reset or taken over by another host; the last good op was 3"):
        device.run({"t0": x})
    device.session.hello()
    assert same_steps(device.run({"t0": x}), tiny_trace(x))
    device.close()
    second.unplug()


def test_a_port_that_does_not_come_back_is_a_sentence_with_its_serial_number(machine, monkeypatch):
    monkeypatch.setattr(serial_device, "RETURNS_WITHIN", 0.3)
    terminal = Terminal(machine)
    connected(monkeypatch, Port(terminal.name, "Nano", NANO, "0042"))
    device = Device(SerialTransport(terminal.name), tiny_graph(), digest=DIGEST)
    terminal.unplug()
    connected(monkeypatch)
    with pytest.raises(LinkError, match=r"number 0042\) did not come back in 0.3 s.*nothing was run yet \(\d\d:"):
        device.run({"t0": tiny_input()})
    device.close()


def test_a_board_is_found_by_its_name(monkeypatch):
    here = Port("/dev/ttyACM3", "Nano", NANO, "1")
    connected(monkeypatch, Port("/dev/ttyS0", "n/a", None, None), here)
    assert ports.of_board("nano33ble") == here
    assert here.boards == ("nano33ble",)
    with pytest.raises(InputError, match="No pico is connected: no serial port has the USB ids 2e8a:000a"):
        ports.of_board("pico")
    connected(monkeypatch, here, Port("/dev/ttyACM4", "Nano", NANO, "2"))
    with pytest.raises(InputError, match="2 ports could be nano33ble; give one of /dev/ttyACM3, /dev/ttyACM4"):
        ports.of_board("nano33ble")


@pytest.mark.parametrize("baud", [1200, 134])
def test_a_boot_loaders_rate_is_refused(baud):
    with pytest.raises(InputError, match=f"{baud} baud sends boards into their boot loader"):
        SerialTransport("loop://", baud=baud)


@pytest.mark.parametrize(("dtr", "rts"), [(True, True), (False, False)])
def test_dtr_and_rts_stand_as_the_board_says_from_the_first_moment(dtr, rts):
    transport = SerialTransport("loop://", dtr=dtr, rts=rts)
    assert (transport._port.dtr, transport._port.rts) == (dtr, rts)
    transport.close()


def test_a_reset_is_a_pulse_on_the_boards_line(monkeypatch):
    transport = SerialTransport("loop://", dtr=False, rts=False)
    stood = []
    monkeypatch.setattr(serial_device.time, "sleep", lambda _: stood.append((transport._port.dtr, transport._port.rts)))
    transport.pulse("rts")
    assert stood == [(False, True)]
    assert (transport._port.dtr, transport._port.rts) == (False, False)
    transport.close()


def test_every_board_says_how_it_is_found_and_reset():
    for name in boards.names():
        board = boards.load(name)
        assert board.usb, name
        assert all(len(pair) == 9 and pair[4] == ":" for pair in board.usb)
        assert board.reset in ("none", "dtr", "rts")
    assert (boards.load("esp32c3").dtr, boards.load("esp32c3").reset) == (False, "rts")
    assert boards.load("nano33ble").dtr


class Rfc2217Server:
    """A serial port over the network as RFC 2217 has it, with an emulated board behind it."""

    def __init__(self, machine):
        self.machine = machine
        self.bauds = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        connection, _ = self.listener.accept()
        port = serial.serial_for_url("loop://")  # holds the settings, as the port behind the network would
        with connection, connection.makefile("wb", buffering=0) as out:
            manager = serial.rfc2217.PortManager(port, out)
            while data := connection.recv(4096):
                manager.check_modem_lines()
                self.machine.send(b"".join(manager.filter(data)))
                self.bauds.append(port.baudrate)
                out.write(b"".join(manager.escape(self.machine.receive(10**9))))
        port.close()
        self.listener.close()


@pytest.mark.filterwarnings("ignore:set.*is deprecated:DeprecationWarning")  # pyserial's threads
def test_the_same_bytes_go_through_a_port_on_the_network(machine):
    server = Rfc2217Server(machine)
    transport = SerialTransport(server.url, baud=57_600)
    with Device(transport, tiny_graph(), digest=DIGEST, timing=Timing(quiet=0.5, request=5)) as device:
        x = tiny_input(6)
        assert same_steps(device.run({"t0": x}), tiny_trace(x))
        assert device.name == f"serial:{server.url}"
    server.thread.join(timeout=10)
    assert server.bauds[-1] == 57_600
