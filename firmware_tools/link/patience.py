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
AFTER_DAMAGE = 0.05
"""Seconds of silence after a damaged frame that mean that nothing more will come: the answer is lost."""
AFTER_LAST = 0.005
"""The same where as many frames have come, whole or damaged, as were asked for."""
SHORTEST_QUIET = 0.05
"""Seconds of silence below which nobody calls an answer lost: USB bridges alone hold bytes back for 16 ms."""
_OVERHEAD = 20
_REMEMBERED = 4096
"""Bytes of a frame beside its data, and bytes after which the line's past counts a third of what it did."""
ALIVE = 3
"""A line on which something arrives, damaged or not, is given so many times the patience of a silent one."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """How patient the host is, in seconds.

    `quiet` is how long a line may stay silent before a request is sent again (it doubles up to `longest_quiet`, and is
    shorter where the device is known to answer sooner); `request` bounds any request but those that run an op, `op`
    bounds those; None: from the op's work, see `op_patience`. `tries` bounds a line that knows that nothing will come
    and so never makes anybody wait.
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
    27.8848
    """
    return 2 * DEFAULT_TIMING.request + (CYCLES_PER_MAC * macs + CYCLES_PER_VALUE * values) / clock_hz


class Rhythm:
    """How soon a device answers what costs it no work: mean and spread, as TCP estimates its round trips (RFC 6298).

    >>> rhythm = Rhythm()
    >>> rhythm.quiet
    inf
    >>> for _ in range(20):
    ...     rhythm.heard(0.030)
    >>> round(rhythm.quiet, 3)
    0.05
    """

    def __init__(self) -> None:
        self.quiet = math.inf
        self._mean = self._spread = 0.0

    def heard(self, seconds: float) -> None:
        """An answer began to arrive so long after its request had gone out."""
        if self.quiet == math.inf:
            self._mean, self._spread = seconds, seconds / 2
        else:
            self._spread += (abs(seconds - self._mean) - self._spread) / 4
            self._mean += (seconds - self._mean) / 8
        self.quiet = max(SHORTEST_QUIET, self._mean + 4 * self._spread)


class Quality:
    """How often the line spoils a byte, as its lost frames of late tell, and which frame carries most on such a line.

    A frame of n bytes of data takes n + h bytes of the line and arrives with the probability (1 - e)^(n + h); what it
    carries of the line's capacity, n / (n + h) (1 - e)^(n + h), is largest where n (n + h) = h / e.

    >>> quality = Quality()
    >>> quality.add(10_000, 0)
    >>> quality.best > 10_000  # as large as there is room
    True
    >>> for _ in range(100):
    ...     quality.add(100, 1)
    >>> 35 < quality.best < 45  # about one byte in a hundred
    True
    """

    def __init__(self) -> None:
        self._bytes = self._lost = 0.0

    def add(self, size: int, lost: int) -> None:
        """So many bytes of data in frames, of which so many got lost."""
        remembered = math.exp(-size / _REMEMBERED)
        self._bytes = remembered * self._bytes + size
        self._lost = remembered * self._lost + lost

    @property
    def best(self) -> int:
        """Bytes of data in a frame."""
        rate = max(self._lost, 1e-6) / max(self._bytes, 1)
        return int(math.sqrt(_OVERHEAD**2 / 4 + _OVERHEAD / rate) - _OVERHEAD / 2)


class Wait:
    """How long one request has been waited for, and when that is enough.

    A transfer of `size` bytes that goes on and on is given as long as the slowest line needs. `quiet` is the first wait
    (default: the timing's), `growth` how much longer each further one is while the line is silent.
    """

    def __init__(
        self, timing: Timing, patience: float, *, size: int = 0, quiet: float | None = None, growth: float = 2.0
    ) -> None:
        self.quiet = self._first = timing.quiet if quiet is None else quiet
        self._growth = growth
        self._timing = timing
        self._patience = patience
        self._alive = False
        self._started = self._last_progress = time.monotonic()
        self._size = size
        self._tries = 1

    def progress(self) -> None:
        """Something arrived: patience begins anew."""
        self._last_progress = time.monotonic()
        self._tries = 1
        self._alive = False
        self.quiet = self._first

    def again(self, what: str, *, arrived: float | None = None) -> None:
        """Wait longer next time, unless something damaged `arrived` after so many seconds: the line is merely bad.

        Raises:
            TimeoutError: patience is at its end; says what did not come (an answer to `what`), and how long it was
                waited for.
        """
        now = time.monotonic()
        if arrived is not None:  # the device is not busy: what is lost is lost soon
            self._alive = True
            self._first = min(self._first, max(SHORTEST_QUIET, 3 * arrived))
        patience = self._patience * (ALIVE if self._alive else 1)
        end = self._started + patience + self._size / SLOWEST_LINE
        waited = now - self._last_progress
        if waited >= patience or self._tries >= self._timing.tries:
            raise TimeoutError(f"no answer to {what} in {waited:.1f} s ({self._tries} tries)")
        if now >= end:
            raise TimeoutError(f"{what} of {self._size:,} bytes did not get through in {now - self._started:.0f} s")
        self._tries += 1
        if self._alive:
            self.quiet = self._first
        else:
            self.quiet = min(self._growth * self.quiet, max(self._first, self._timing.longest_quiet))
