"""The server: one TCP address, a few hosts at a time, a token where others can reach it."""

import hmac
import ipaddress
import logging
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from .conversation import PAYLOAD, Conversation
from .model import ServedModel, ServeError

log = logging.getLogger("firmware_tools.serve")

CONNECTIONS = 4
IDLE_SECONDS = 120.0
"""Hosts at a time, and how long one may stay without a whole request, or leave an answer unread."""
TOKEN_VARIABLE = "FIRMWARE_TOOLS_TOKEN"


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach `host`.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "pi.local")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Server(socketserver.ThreadingTCPServer):
    """Listens on one address; each host has a `Conversation` of its own, at most `CONNECTIONS` at a time.

    Raises:
        ServeError: the address cannot be listened at, or is not this computer's own and there is no token.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, model: ServedModel, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None) -> None:
        if not token and not is_loopback(host):
            raise ServeError(f"{host} can be reached by others: a token is needed (--token, or ${TOKEN_VARIABLE}).")
        if token and (len(token) < 8 or not token.isascii() or not token.isprintable()):
            raise ServeError("A token has at least 8 printable ASCII characters.")
        self.model = model
        self.token = token.encode() if token else b""
        self.idle_seconds = IDLE_SECONDS
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ServeError(f"{host}:{port} cannot be listened at: {error}.") from error

    @property
    def url(self) -> str:
        """What to give to `serial:`."""
        host, port = self.server_address[:2]
        return f"socket://{host!s}:{port}"

    def __str__(self) -> str:
        model = self.model
        return f"{model.name} at serial:{self.url} ({len(model.ops)} ops, digest {model.digest:08x}, {model.engine})"

    def serve_until_stopped(self, say: Callable[[str], object]) -> None:
        """Serve until Ctrl-C or SIGTERM (`kill`, systemd, `docker stop`): how a server is meant to end, so no error.

        For a program's main thread, the one that signals reach. `say` is told when it serves and when it has stopped.
        """

        def stop(number: int, frame: object) -> None:  # noqa: ARG001
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGTERM, stop)
        try:
            say(f"serving {self}")
            self.serve_forever()
        except KeyboardInterrupt:
            say("stopped")
        finally:
            signal.signal(signal.SIGTERM, before)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Whether there is a place for one more host; a refused one sees its connection closed."""
        return self._places.acquire(blocking=False)

    def free_place(self) -> None:
        """A host has left."""
        self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A host that vanished is no news."""
        log.debug("%s: %s", client_address, sys.exc_info()[1])


class _Handler(socketserver.BaseRequestHandler):
    """One host's connection: bytes to what stands between zeros, and answers back."""

    server: Server

    def handle(self) -> None:
        """Serve until the host goes, is silent for too long, or does not know the token."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conversation = Conversation(self.server.model)
        trusted = not self.server.token
        for part in self._parts():
            if trusted:
                for answer in conversation.answers(part):
                    self.request.sendall(answer)
                self._alive = time.monotonic()
            elif hmac.compare_digest(part, self.server.token):
                trusted = True
            else:
                log.warning("%s: wrong or missing token", self.client_address[0])
                time.sleep(1)  # a guess costs a second of one of few places
                return

    def finish(self) -> None:
        """Leave the place to the next host."""
        self.server.free_place()

    def _parts(self) -> Iterator[bytes]:
        """What stands between zeros, until the host goes or its time is up."""
        partial = b""
        self._alive = time.monotonic()
        while (left := self._alive + self.server.idle_seconds - time.monotonic()) > 0:
            self.request.settimeout(left)
            data = self.request.recv(65536)
            if not data:
                return
            *complete, partial = (partial + data).split(b"\0")
            yield from filter(None, complete)
            if len(partial) > PAYLOAD + PAYLOAD // 64 + 64:
                partial = b"\1"  # endless noise must not eat memory
