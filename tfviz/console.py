"""What both command lines share: exit codes, sentences instead of tracebacks, progress, and a quiet TensorFlow.

Results go to standard output (`say`, `table`, `wrote`); notes, progress and errors go to standard error. Nothing heavy
is imported here, so that `--help` is quick. Exit codes: 0 done, 1 a comparison differs, 2 usage or bad input, 3 link
failure, 70 a fault of the program itself, 130 interrupted.
"""

import contextlib
import contextvars
import logging
import os
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import typer

from tfviz.errors import InputError, LinkError
from tfviz.files import size

Item = TypeVar("Item")

DIFFERS = 1
BAD_INPUT = 2
LINK_FAILURE = 3
BUG = 70  # EX_SOFTWARE of BSD's sysexits.h
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


class Advance(Protocol):
    """Says that so many more parts of a step are done, and what it is at."""

    def __call__(self, count: int, message: str = "") -> None:
        """So many more parts are done."""


_running: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("running", default=())
_PACKAGES = ("tfviz", "firmware_tools")
_DEBUG = "--debug"


def app(name: str, help: str) -> typer.Typer:  # noqa: A002  (typer's own word for it)
    """A typer application in the house style: no arguments shows the help, `--debug` is known everywhere.

    >>> app("tool", "Does it.").info.name
    'tool'
    """
    made = typer.Typer(name=name, help=help, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

    @made.callback(help=help)
    def options(
        debug: bool = typer.Option(False, _DEBUG, help="Show tracebacks and TensorFlow's own messages."),
    ) -> None:
        """`--debug` is taken out of the arguments by `run`, wherever it stands; here it is only documented."""

    return made


def run(application: typer.Typer, arguments: Sequence[str] | None = None) -> None:
    """Run a command line and leave with its exit code; the `main` of both programs.

    Args:
        application: made by `app`.
        arguments: instead of the process's own.

    Raises:
        SystemExit: always, with the code.
    """
    name = application.info.name or "tfviz"
    given = list(sys.argv[1:] if arguments is None else arguments)
    _running.set((name, *given))
    debug = _DEBUG in given or os.environ.get("TFVIZ_DEBUG", "") not in ("", "0")
    given = [argument for argument in given if argument != _DEBUG]
    with contextlib.nullcontext() if debug else quiet_tensorflow(), _own_messages(name, debug):
        code = _guarded(lambda: application(args=given, prog_name=name), name, debug)
    sys.exit(code)


def _guarded(call: Callable[[], Any], name: str, debug: bool) -> int:
    """Call and return the exit code; anything that goes wrong becomes one sentence (and a traceback with `debug`)."""
    try:
        call()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer has caught the interrupt, and says nothing
            return _failed(name, "Interrupted.", INTERRUPTED, debug)
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else BAD_INPUT
    except KeyboardInterrupt:
        return _failed(name, "Interrupted.", INTERRUPTED, debug)
    except InputError as error:
        return _failed(name, str(error), BAD_INPUT, debug)
    except LinkError as error:
        return _failed(name, str(error), LINK_FAILURE, debug)
    except OSError as error:
        if error.filename is not None and error.strerror:  # a path of the user's, not a fault of ours
            return _failed(name, f"Cannot use {error.filename}: {error.strerror}.", BAD_INPUT, debug)
        return _failed(name, _bug(error, name), BUG, debug)
    except Exception as error:
        return _failed(name, _bug(error, name), BUG, debug)
    return 0


def _bug(error: Exception, name: str) -> str:
    text = " ".join(str(error).split())
    shown = text if len(text) <= 200 else text[:197] + "..."
    return f"{type(error).__name__}: {shown} (This is a fault of {name} itself; {_DEBUG} shows where.)"


def _failed(name: str, sentence: str, code: int, debug: bool) -> int:
    if debug:
        logging.getLogger(__name__).exception("%s", sentence)
    sys.stderr.write(f"{name}: {' '.join(sentence.split())}\n")
    return code


@contextlib.contextmanager
def _own_messages(name: str, debug: bool) -> Iterator[None]:
    """Our packages' log records and warnings go to standard error as `name: note: ...`; others' warnings are hidden."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"{name}: note: %(message)s"))
    loggers = [logging.getLogger(package) for package in _PACKAGES]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if debug else logging.WARNING)
        logger.propagate = False  # a library may give the root logger a handler, which would say it all twice
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.simplefilter("ignore")
                ours = rf"({'|'.join(_PACKAGES)})\."
                for category in (UserWarning, RuntimeWarning):
                    warnings.filterwarnings("default", category=category, module=ours)
            warnings.showwarning = lambda message, *_, **__: note(str(message), name=name)
            yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Keep what TensorFlow, LiteRT and their C++ libraries print about themselves away from the user.

    Environment variables silence what can be asked; the lines printed before any logging is set up (absl's notice,
    CUDA's search, the XNNPACK delegate's greeting) come straight from C++ on file descriptor 2, so that descriptor
    goes to a temporary file meanwhile, while `sys.stderr` keeps writing to the real one. Use it before the first
    import of TensorFlow. A crash inside C++ (a signal) still prints the Python stack.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_DEPRECATION_WARNINGS", "0")
    os.environ.setdefault("GLOG_minloglevel", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        sys.stderr.flush()
        real = os.dup(2)
    except OSError:  # no standard error at all (a service): nothing to keep quiet
        yield
        return
    shown = sys.stderr
    with tempfile.TemporaryFile() as hidden, os.fdopen(os.dup(real), "w", buffering=1, errors="replace") as direct:
        if _is_descriptor(shown, 2):
            sys.stderr = direct
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(real, 2)
            os.close(real)
            sys.stderr = shown


def _is_descriptor(stream: IO[str], number: int) -> bool:
    """Whether a stream writes to this file descriptor (a test's captured stream does not)."""
    try:
        return stream.fileno() == number
    except (OSError, ValueError, AttributeError):
        return False


def say(text: str = "") -> None:
    """One line of result on standard output."""
    typer.echo(text)


def note(text: str, *, name: str = "") -> None:
    """One line beside the result, on standard error."""
    sys.stderr.write(f"{name}: note: {text}\n" if name else f"note: {text}\n")


def wrote(path: str | os.PathLike[str]) -> None:
    """Say which file was written and how large it is, or how many files a folder got."""
    target = Path(path)
    if target.is_dir():
        say(f"wrote {target}{os.sep} ({sum(1 for inside in target.rglob('*') if inside.is_file())} files)")
    else:
        say(f"wrote {target} ({size(target.stat().st_size)})")


def command_line() -> str:
    """The command that `run` is running, as a reader can repeat it; empty outside of one."""
    return shlex.join(_running.get())


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns on standard output; numbers stand on the right, nothing is cut, whatever the width."""
    cells = [[str(cell) for cell in row] for row in rows]
    raw = [list(map(str, headers)), *cells]
    widths = [max(len(row[column]) for row in raw) for column in range(len(headers))]
    numeric = [all(_is_number(row[column]) for row in cells) for column in range(len(headers))]
    for row in raw:
        padded = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ]
        say("  ".join(padded).rstrip())


def _is_number(text: str) -> bool:
    return not text or text == "-" or text[0].isdigit() or (text[0] in "+-" and text[1:2].isdigit())


def progress(iterable: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Iterate with a progress bar on a terminal's standard error; elsewhere with one line that says what is running.

    >>> list(progress([1, 2], "counting"))
    [1, 2]
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with step(description, total=total) as advance:
        for item in iterable:
            yield item
            advance(1)


def _nothing(count: int, message: str = "") -> None:
    """An `Advance` where there is no bar to move."""


@contextlib.contextmanager
def step(description: str, *, total: int | None = None) -> Iterator["Advance"]:
    """A long step: yields `advance(n, message)`. A bar (a spinner without `total`) on a terminal, else one line."""
    if not sys.stderr.isatty():
        sys.stderr.write(f"{description} ...\n")
        sys.stderr.flush()
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns: list[Any] = [SpinnerColumn(), TextColumn("{task.description}")]
    if total is not None:
        columns += [BarColumn(), MofNCompleteColumn()]
    started = time.monotonic()
    with Progress(*columns, TimeElapsedColumn(), console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(description, total=total)

        def advance(count: int, message: str = "") -> None:
            bar.update(task, advance=count, description=f"{description} {message}".rstrip())

        yield advance
    sys.stderr.write(f"{description}: {time.monotonic() - started:.1f} s\n")
