"""Bottom of the link: a stream of bytes to a device and back, whatever carries it."""

from typing import Protocol


class Transport(Protocol):
    """A byte stream that may lose, change or invent bytes.

    `name` says which line it is in every error message (`"/dev/ttyACM0"`, `"emulator:nano33ble"`).
    """

    name: str

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            LinkError: the line is gone.
        """
        ...

    def read(self, timeout: float) -> bytes:
        """Return what has arrived, waiting up to `timeout` seconds for the first byte; `b""` when nothing came.

        A line that knows that nothing will come (an emulator whose firmware waits for a request) answers at once.

        Raises:
            LinkError: the line is gone.
        """
        ...

    def close(self) -> None:
        """Release the port or process; closing twice does no harm."""
        ...
