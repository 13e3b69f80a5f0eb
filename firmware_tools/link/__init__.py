"""Host end of the link: bytes (`transport`), frames (`framing`), messages (`messages`), and the `Session` that talks.

Each layer knows only the one below. docs/protocol.md specifies what goes over the line, so that a third person can
write either end from it alone.
"""

from firmware_tools.link.messages import Kind, Space
from firmware_tools.link.patience import DEFAULT_TIMING, Timing
from firmware_tools.link.session import RefusedError, Session
from firmware_tools.link.transport import Transport

__all__ = ["DEFAULT_TIMING", "Kind", "RefusedError", "Session", "Space", "Timing", "Transport"]
