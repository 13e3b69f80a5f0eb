"""A real board on a serial line, by any pyserial URL: `/dev/ttyACM0`, `COM5`, `socket://host:port`, `rfc2217://...`.

Or by the name of the board, `nano33ble`, where one is connected. A USB port that vanishes, because the board was reset
or its cable pulled, is found again under whatever name it comes back.
"""

import contextlib
import dataclasses
import errno
import logging
import os
import time
from typing import Any

from firmware_tools import boards
from firmware_tools.boards import Board
from firmware_tools.devices import ports
from firmware_tools.devices.device import Device
from firmware_tools.link.patience import DEFAULT_TIMING, Timing
from tfviz.errors import InputError, LinkError

log = logging.getLogger(__name__)

RETURNS_WITHIN = 10.0
"""Seconds in which a USB port that vanished must be back."""
BOOT_LOADER_BAUDS = (134, 1200)
"""Rates that tell a board to enter its boot loader: 1200 on most boards with USB of their own, 134 on a Teensy."""
_POLL = 0.02
_RESET_PULSE = 0.1


class SerialTransport:
    """A pyserial port.

    Args:
        url: a port's name or any pyserial URL. `socket://TOKEN@host:port` hands a token to `firmware-tools serve`; no
            message repeats it.
        baud: of the line; never one of `BOOT_LOADER_BAUDS`.
        dtr: how DTR stands while the port is open; many boards send only while it is set.
        rts: how RTS stands.
    """

    def __init__(self, url: str, *, baud: int = 115_200, dtr: bool = True, rts: bool = True) -> None:
        import serial

        if baud in BOOT_LOADER_BAUDS:
            raise InputError(f"{baud} baud sends boards into their boot loader; give the baud rate of the firmware.")
        url, token = _without_token(url)
        self.name = f"serial:{url}"
        self._lost = (serial.SerialException, OSError, TypeError)  # TypeError: pyserial on a port closed meanwhile
        self._in_bursts = url.startswith("socket://")  # its in_waiting says whether bytes wait, not how many
        self._lines = (dtr, rts)
        self._baud = baud
        self._usb = ports.port_of(url)
        try:
            self._port: Any = self._opened(url)
        except (serial.SerialException, OSError) as error:
            now = time.strftime("%H:%M:%S")
            raise LinkError(
                f"{self.name}: the port does not open: {_why(error)}; nothing was run yet ({now})."
            ) from error
        except ValueError as error:
            raise InputError(f"{url!r} is not a serial port or pyserial URL: {error}.") from error
        if token:
            self.write(b"\0" + token.encode() + b"\0")

    def write(self, data: bytes) -> None:
        """Send all of `data`. What was sent into a port that vanished and came back is lost, and asked for again."""
        try:
            self._port.write(data)
        except self._lost as error:
            self._found_again(error)

    def read(self, timeout: float) -> bytes:
        """What has arrived, waiting up to `timeout` seconds for the first byte."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                data = self._port.read(1 if self._in_bursts else max(1, self._port.in_waiting))
                if data:
                    return bytes(data + self._burst())
                if time.monotonic() >= deadline:
                    return b""
        except self._lost as error:
            self._found_again(error)
            return b""

    def pulse(self, line: str) -> None:
        """Reset the board by a pulse on `"dtr"` or `"rts"`."""
        try:
            before = getattr(self._port, line)
            setattr(self._port, line, not before)
            time.sleep(_RESET_PULSE)
            setattr(self._port, line, before)
        except self._lost as error:
            self._found_again(error)

    def close(self) -> None:
        """Close the port."""
        own = getattr(self._port, "_socket", None)
        self._port.close()
        if own is not None:
            own.close()  # pyserial leaves a socket open whose other end has gone

    def _opened(self, url: str) -> Any:
        import serial

        port = serial.serial_for_url(url, baudrate=self._baud, timeout=_POLL, do_not_open=True)
        port.dtr, port.rts = self._lines  # before it opens: some boards are reset by what these lines do then
        port.open()
        return port

    def _found_again(self, error: Exception) -> None:
        """Open the port anew under the name that it comes back with.

        Raises:
            LinkError: it is not on USB, or did not come back in time.
        """
        if self._usb is None or not self._usb.serial_number:
            raise LinkError(f"{self.name}: the port is gone: {error}.") from error
        with contextlib.suppress(*self._lost):
            self.close()
        deadline = time.monotonic() + RETURNS_WITHIN
        while time.monotonic() < deadline:
            port = ports.again(self._usb)
            if port is not None:
                with contextlib.suppress(*self._lost):  # listed, but not yet ready to be opened
                    self._port = self._opened(port.device)
                    log.warning("%s went away and is back as %s.", self.name, port.device)
                    return
            time.sleep(5 * _POLL)
        raise LinkError(
            f"{self.name}: the port is gone and its device (USB serial number {self._usb.serial_number}) did not come "
            f"back in {RETURNS_WITHIN:g} s: {error}."
        ) from error

    def _burst(self) -> bytes:
        if not self._in_bursts or not self._port.in_waiting:
            return b""
        self._port.timeout = 0
        try:
            return bytes(self._port.read(65536))
        finally:
            self._port.timeout = _POLL


class SerialDevice(Device):
    """A board on a serial line that runs firmware made from `model`.

    Args:
        url: a port's name, any pyserial URL, or the name of a board that is connected.
        model: the `.tflite` file that the board's firmware was made from.
        baud: of the line; a USB port takes any.
        allow_other_model: talk to the board also where its digest says that it runs another model.
        board: whose DTR and RTS hold; None: the one that the port's USB ids mean, if they mean one.
        reset: reset the board first, where its board file says by which line.
        fault: what is wrong with the line (`bad_line.parse`), for trying what happens then.

    Raises:
        LinkError: the port does not open, or nobody answers.
        InputError: the board runs another model, or no such board is connected.
    """

    def __init__(
        self,
        url: str,
        model: str | os.PathLike[str],
        *,
        baud: int = 115_200,
        timing: Timing = DEFAULT_TIMING,
        allow_other_model: bool = False,
        board: str | None = None,
        reset: bool = False,
        fault: str | None = None,
    ) -> None:
        from firmware_tools import graph

        loaded = graph.load(model)
        if url in boards.names():
            board, url = url, ports.of_board(url).device
        known = _board(url, board)
        lines = {} if known is None else {"dtr": known.dtr, "rts": known.rts}
        transport = SerialTransport(url, baud=baud, **lines)
        if reset and known is not None and known.reset != "none":
            transport.pulse(known.reset)
        super().__init__(
            transport,
            loaded,
            timing=dataclasses.replace(timing, bytes_per_second=baud / 10),
            allow_other_model=allow_other_model,
            fault=fault,
        )


def _why(error: Exception) -> str:
    """Why a port does not open, and what to do; pyserial hides the system's error in its own.

    >>> _why(FileNotFoundError(2, "No such file or directory"))
    'there is no such port (`firmware-tools ports` lists those that are there)'
    """
    number = getattr(error, "errno", None) or getattr(error.__context__, "errno", None)
    known = {
        errno.ENOENT: "there is no such port (`firmware-tools ports` lists those that are there)",
        errno.EACCES: "you may not use it (on Linux join the group that owns it, mostly dialout, and log in again)",
        errno.EBUSY: "another program has it open",
        errno.ECONNREFUSED: "nobody listens at this address",
    }
    if os.name == "nt" and number == errno.EACCES:
        return "another program has it open"
    return known.get(number or 0, " ".join(str(error).split()).rstrip("."))


def _without_token(url: str) -> tuple[str, str]:
    """A URL without its token, and the token.

    >>> _without_token("socket://open-sesame@pi.local:7000"), _without_token("/dev/ttyACM0")
    (('socket://pi.local:7000', 'open-sesame'), ('/dev/ttyACM0', ''))
    """
    scheme, found, rest = url.partition("://")
    token, at, address = rest.rpartition("@")
    return (f"{scheme}://{address}", token) if scheme == "socket" and found and at else (url, "")


def _board(url: str, name: str | None) -> Board | None:
    if name is not None:
        return boards.load(name)
    port = ports.port_of(url)
    meant = () if port is None else port.boards
    return boards.load(meant[0]) if len(meant) == 1 else None
