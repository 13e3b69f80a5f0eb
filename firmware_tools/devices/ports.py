"""Serial ports of this computer, and which board stands at which: by its USB ids and its USB serial number."""

import dataclasses
import os

from firmware_tools import boards
from tfviz.errors import InputError


@dataclasses.dataclass(frozen=True)
class Port:
    """A port as the operating system lists it. `usb` is `vendor:product` in hexadecimal, None of a port without."""

    device: str
    description: str
    usb: str | None
    serial_number: str | None

    @property
    def boards(self) -> tuple[str, ...]:
        """Boards that have these USB ids."""
        return tuple(name for name in boards.names() if self.usb in boards.load(name).usb)


def listed() -> list[Port]:
    """The ports that are there now."""
    from serial.tools import list_ports

    return [
        Port(
            device=port.device,
            description=port.description,
            usb=None if port.vid is None else f"{port.vid:04x}:{port.pid:04x}",
            serial_number=port.serial_number,
        )
        for port in sorted(list_ports.comports())
    ]


def port_of(url: str) -> Port | None:
    """The listed port that `url` means, also through a symbolic link; None for a socket, or what nobody lists."""
    wanted = os.path.realpath(url)
    return next((port for port in listed() if wanted == os.path.realpath(port.device)), None)


def again(lost: Port) -> Port | None:
    """The same device under whatever name it has now: by USB ids and serial number. None while it is away.

    A board in its boot loader has other ids and is not taken for it.
    """
    same = (port for port in listed() if (port.usb, port.serial_number) == (lost.usb, lost.serial_number))
    return next(same, None) if lost.serial_number else None


def of_board(name: str) -> Port:
    """The one port at which a board of this name stands.

    Raises:
        InputError: there is none, or more than one.
    """
    found = [port for port in listed() if name in port.boards]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"No {name} is connected: no serial port has the USB ids {', '.join(boards.load(name).usb)}.")
    raise InputError(f"{len(found)} ports could be {name}; give one of {', '.join(port.device for port in found)}.")
