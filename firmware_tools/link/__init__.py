"""Host end of the link: bytes (`transport`), frames (`framing`), requests repeated until they are answered
(`exchange`), messages (`messages`), and the `Session` that talks.

Each layer knows only the one below. docs/protocol.md specifies what goes over the line, so that a third person can
write either end from it alone.
"""

from firmware_tools.link.exchange import RefusedError, ResetError
from firmware_tools.link.messages import Capability, Kind, Space
from firmware_tools.link.patience import DEFAULT_TIMING, Timing
from firmware_tools.link.session import Session
from firmware_tools.link.transport import Transport

__all__ = [
    "DEFAULT_TIMING",
    "Capability",
    "Kind",
    "RefusedError",
    "ResetError",
    "Session",
    "Space",
    "Timing",
    "Transport",
]
