"""What C++ libraries write to standard error, caught: noise to a user, or the reason of an error."""

import contextlib
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator

# File descriptor 2 and the filters of warnings belong to the whole process: interleaved, two threads would each put
# back what the other had changed.
_alone = threading.RLock()


@contextlib.contextmanager
def caught_stderr() -> Iterator[Callable[[], str]]:
    """Send file descriptor 2 to a temporary file; yields a function that reads what has come so far.

    Python's own warnings are silenced meanwhile too: LiteRT warns of what we ask it for on purpose. One thread at a
    time: others wait.
    """
    with _alone, warnings.catch_warnings(), tempfile.TemporaryFile() as hidden:
        warnings.simplefilter("ignore")
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()
        try:
            real = os.dup(2)
        except OSError:  # no standard error at all (a service)
            yield lambda: ""
            return

        def text() -> str:
            hidden.seek(0)  # the descriptor shares the position; reading to the end puts it back
            return hidden.read().decode(errors="replace")

        os.dup2(hidden.fileno(), 2)
        try:
            yield text
        finally:
            os.dup2(real, 2)
            os.close(real)
