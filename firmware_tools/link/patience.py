"""How long the host waits: for silence to mean loss, for an answer at all, for an op to end."""

import dataclasses
import math
import time

CYCLES_PER_MAC = 200
CYCLES_PER_VALUE = 2000
SLOWEST_CLOCK = 16_000_000
"""Worst rates: plain reference kernels take 66 instructions a multiplication on a Cortex-M4; a core without a fast
multiplier or with slow flash takes a few times that. 16 MHz is what many chips run at before anybody sets a clock."""
SLOWEST_LINE = 50
"""Bytes of tensors a second below which a line is given up: 9600 baud at its worst error rate carries more."""
AFTER_DAMAGE = 0.1
"""Seconds of silence after a damaged frame that mean that nothing more will come: the answer is lost."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """How patient the host is, in seconds.

    `quiet` is how long a line may stay silent before a request is sent again (it doubles up to `longest_quiet`);
    `request` bounds any request but those that run an op, `op` bounds those; None: from the op's work, see
    `op_patience`. `tries` bounds a line that knows that nothing will come and so never makes anybody wait.
    `bytes_per_second` is what the line carries: what is on its way is not yet silence.
    """

    quiet: float = 0.3
    longest_quiet: float = 5.0
    request: float = 10.0
    op: float | None = None
    tries: int = 1000
    bytes_per_second: float = math.inf


DEFAULT_TIMING = Timing()


def op_patience(macs: int, values: int, *, clock_hz: int = SLOWEST_CLOCK) -> float:
    """Seconds that an op of so many multiplications and output values may take on the slowest core imaginable.

    >>> op_patience(2_359_296, 16_384, clock_hz=64_000_000)  # a large convolution of ResNet8 at 64 MHz
    17.8848
    """
    return DEFAULT_TIMING.request + (CYCLES_PER_MAC * macs + CYCLES_PER_VALUE * values) / clock_hz


class Wait:
    """How long one request has been waited for, and when that is enough.

    A transfer of `size` bytes that goes on and on is given as long as the slowest line needs.
    """

    def __init__(self, timing: Timing, patience: float, *, size: int = 0) -> None:
        self.quiet = timing.quiet
        self._timing = timing
        self._patience = patience
        self._started = self._last_progress = time.monotonic()
        self._end = self._started + patience + size / SLOWEST_LINE
        self._tries = 1

    def progress(self) -> None:
        """Something arrived: patience begins anew."""
        self._last_progress = time.monotonic()
        self._tries = 1
        self.quiet = self._timing.quiet

    def again(self, *, alive: bool = False) -> None:
        """Wait longer next time, unless the line is `alive` and merely bad.

        Raises:
            TimeoutError: patience is at its end; says for how long and how often it was tried.
        """
        now = time.monotonic()
        if now - self._last_progress >= self._patience or now >= self._end or self._tries >= self._timing.tries:
            raise TimeoutError(f"in {now - self._last_progress:.1f} s ({self._tries} tries)")
        self._tries += 1
        if not alive:
            self.quiet = min(2 * self.quiet, self._timing.longest_quiet)
