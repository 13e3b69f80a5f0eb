"""How long the host waits: for silence to mean loss, and for an answer at all."""

import dataclasses
import time


@dataclasses.dataclass(frozen=True)
class Timing:
    """How patient the host is, in seconds.

    `quiet` is how long a line may stay silent before a request is sent again (it doubles up to `longest_quiet`);
    `request` bounds any request but those that run an op, `op` bounds those. `tries` bounds a line that knows that
    nothing will come and so never makes anybody wait.
    """

    quiet: float = 0.3
    longest_quiet: float = 5.0
    request: float = 10.0
    op: float = 120.0
    tries: int = 1000


DEFAULT_TIMING = Timing()


class Wait:
    """How long one request has been waited for, and when that is enough."""

    def __init__(self, timing: Timing, patience: float) -> None:
        self.quiet = timing.quiet
        self._timing = timing
        self._patience = patience
        self._started = time.monotonic()
        self._tries = 1

    def again(self) -> None:
        """Wait longer next time.

        Raises:
            TimeoutError: patience is at its end; says for how long and how often it was tried.
        """
        elapsed = time.monotonic() - self._started
        if elapsed >= self._patience or self._tries >= self._timing.tries:
            raise TimeoutError(f"in {elapsed:.1f} s ({self._tries} tries)")
        self._tries += 1
        self.quiet = min(2 * self.quiet, self._timing.longest_quiet)
