"""A real board on a serial line, by any pyserial URL: `/dev/ttyACM0`, `COM5`, `socket://host:port`, `rfc2217://...`."""

import dataclasses
import os
import time
from typing import Any

from firmware_tools.devices.device import Device
from firmware_tools.link.patience import DEFAULT_TIMING, Timing
from tfviz.errors import InputError, LinkError

_POLL = 0.02


class SerialTransport:
    """A pyserial port. It is never opened at 1200 baud, which tells many boards to enter their boot loader."""

    def __init__(self, url: str, *, baud: int = 115_200) -> None:
        import serial

        if baud == 1200:
            raise InputError("1200 baud sends many boards into their boot loader; give the baud rate of the firmware.")
        self.name = f"serial:{url}"
        self._lost = (serial.SerialException, OSError, TypeError)  # TypeError: pyserial on a port closed meanwhile
        self._in_bursts = url.startswith("socket://")  # its in_waiting says whether bytes wait, not how many
        try:
            self._port: Any = serial.serial_for_url(url, baudrate=baud, timeout=_POLL)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.name}: the port does not open: {error}.") from error
        except ValueError as error:
            raise InputError(f"{url!r} is not a serial port or pyserial URL: {error}.") from error

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            self._port.write(data)
        except self._lost as error:
            raise LinkError(f"{self.name}: the port is gone: {error}.") from error

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
            raise LinkError(f"{self.name}: the port is gone: {error}.") from error

    def _burst(self) -> bytes:
        if not self._in_bursts or not self._port.in_waiting:
            return b""
        self._port.timeout = 0
        try:
            return bytes(self._port.read(65536))
        finally:
            self._port.timeout = _POLL

    def close(self) -> None:
        """Close the port."""
        own = getattr(self._port, "_socket", None)
        self._port.close()
        if own is not None:
            own.close()  # pyserial leaves a socket open whose other end has gone


class SerialDevice(Device):
    """A board on a serial line that runs firmware made from `model`.

    Args:
        url: a port's name or any pyserial URL.
        model: the `.tflite` file that the board's firmware was made from.
        baud: of the line; a USB port takes any.
        allow_other_model: talk to the board also where its digest says that it runs another model.

    Raises:
        LinkError: the port does not open, or nobody answers.
        InputError: the board runs another model.
    """

    def __init__(
        self,
        url: str,
        model: str | os.PathLike[str],
        *,
        baud: int = 115_200,
        timing: Timing = DEFAULT_TIMING,
        allow_other_model: bool = False,
    ) -> None:
        from firmware_tools import graph

        loaded = graph.load(model)
        line_time = 10 * 1100 / baud  # a whole frame, ten bits a byte, must fit into the silence before a repeat
        patient = dataclasses.replace(timing, quiet=timing.quiet + 2 * line_time)
        transport = SerialTransport(url, baud=baud)
        super().__init__(transport, loaded, timing=patient, allow_other_model=allow_other_model)
