"""The same C as a process of this computer: fast, and the place where sanitizers run."""

import contextlib
import os
import queue
import subprocess
import threading
from pathlib import Path

from firmware_tools import build
from firmware_tools.devices.device import Device
from firmware_tools.link.patience import DEFAULT_TIMING, Timing
from tfviz.errors import LinkError


class PipeTransport:
    """A program that speaks the protocol on its standard input and output."""

    def __init__(self, command: Path | str, *, name: str = "host") -> None:
        self.name = name
        try:
            self._process = subprocess.Popen([str(command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        except OSError as error:
            raise LinkError(f"{name}: {command} does not start: {error.strerror}.") from error
        self._received: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        # A pipe has no portable read with a time-out; a thread that only reads and queues gives it one.
        self._reader = threading.Thread(target=self._pump, daemon=True)
        self._reader.start()

    def _pump(self) -> None:
        assert self._process.stdout is not None
        while data := self._process.stdout.read(65536):
            self._received.put(data)
        self._received.put(b"")  # the end

    def write(self, data: bytes) -> None:
        """Send all of `data` to the process."""
        assert self._process.stdin is not None
        view = memoryview(data)
        try:
            while view:
                view = view[self._process.stdin.write(view) or 0 :]
        except (OSError, ValueError) as error:
            raise LinkError(f"{self.name}: {self._end()}.") from error

    def read(self, timeout: float) -> bytes:
        """What the process has said, waiting up to `timeout` seconds; `b""` when it said nothing."""
        try:
            data = self._received.get(timeout=timeout)
        except queue.Empty:
            return b""
        if not data:
            self._received.put(b"")  # stays the end for whoever asks again
            raise LinkError(f"{self.name}: {self._end()}.")
        return data

    def _end(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(timeout=1)
            return f"the program ended with {'signal ' + str(-code) if code < 0 else 'exit code ' + str(code)}"
        return "the program closed its pipe"

    def close(self) -> None:
        """End the process: its standard input closes, which is its signal to go."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is self._process.stdin and pipe is not None:
                    pipe.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=2)
        if self._process.stdout is not None:
            self._process.stdout.close()


class HostDevice(Device):
    """The model's generated C, compiled for this computer and run as a process that speaks the protocol.

    Args:
        model: the `.tflite` file.
        folder: where sources and program are kept; default: the user's cache.
        keep_input: pin the inputs' memory, so that a second run of the same input does not send it again.
        fault: what is wrong with the line (`bad_line.parse`), for trying what happens then.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        folder: str | os.PathLike[str] | None = None,
        keep_input: bool = False,
        fault: str | None = None,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        from firmware_tools import graph

        loaded = graph.load(model)
        place = build.cache_folder(loaded, f"host{'-kept' * keep_input}") if folder is None else folder
        line = PipeTransport(build.build_host(loaded, place, keep_input=keep_input))
        super().__init__(line, loaded, timing=timing, fault=fault)
