"""Devices of one kind side by side: each takes the next image when it is free; one that dies gives its work back."""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from tfviz.errors import LinkError
from tfviz.trace import Engine, Trace

Array = npt.NDArray[Any]


@runtime_checkable
class Stoppable(Protocol):
    """An engine whose run another thread can end."""

    def stop(self) -> None:
        """End it."""
        ...


class Crew:
    """Engines of one kind that take images from a queue; answers come in the order of the images.

    Attributes:
        notes: a sentence for each device that died.
    """

    def __init__(self, engines: Sequence[Engine], threads: ThreadPoolExecutor) -> None:
        self.notes: list[str] = []
        self._threads = threads
        self._engines = tuple(engines)
        self._free = list(engines)
        self._alive = len(engines)
        self._lost: list[LinkError] = []  # what each device that died said
        self._change = threading.Condition()

    def run(self, tasks: "Iterable[tuple[dict[str, Array], Trace | None]]") -> list[Trace]:
        """The traces of (inputs, reference).

        Raises:
            LinkError: the last device has died; the error is its own, with the longest of what they had received.
        """
        return list(self._threads.map(lambda task: self.one(task[0], task[1]), tasks))

    def one(self, inputs: "dict[str, Array]", reference: Trace | None, *, forced: bool = False) -> Trace:
        """One run on whichever device is free; on another one where that dies.

        Raises:
            LinkError: the last device has died.
        """
        from firmware_tools.devices.one_run import OverwrittenError

        while True:
            engine = self._take()
            try:
                trace = engine.run(inputs, reference=reference, forced=forced)
            except OverwrittenError:  # the device lives and has told what is wrong with its firmware
                self._give_back(engine)
                raise
            except LinkError as error:
                self._bury(error)
            except BaseException:
                self._give_back(engine)
                raise
            else:
                self._give_back(engine)
                return trace

    def living(self) -> Engine:
        """The first engine that has not died; where all have, the first. For when no run is under way."""
        with self._change:
            return next((engine for engine in self._engines if engine in self._free), self._engines[0])

    def stop(self) -> None:
        """Let every run that is under way end at once, and no other begin."""
        with self._change:
            self._alive = 0
            self._free.clear()
            self._change.notify_all()
        for engine in self._engines:
            if isinstance(engine, Stoppable):
                engine.stop()

    def _take(self) -> Engine:
        with self._change:
            while not self._free:
                if not self._alive:
                    raise self._last_words() if self._lost else LinkError("Interrupted.")
                self._change.wait()
            return self._free.pop(0)

    def _give_back(self, engine: Engine) -> None:
        with self._change:
            if self._alive:
                self._free.append(engine)
            self._change.notify()

    def _bury(self, error: LinkError) -> None:
        """Let the others do the work of the one that died."""
        with self._change:
            self._alive = max(0, self._alive - 1)
            self._lost.append(error)
            if self._alive:
                self.notes.append(f"A device died, and the others did its work: {error}")
            self._change.notify_all()

    def _last_words(self) -> LinkError:
        """What the last device to die said: every image that waits ends with it. The most that any had is kept."""
        last = self._lost[-1]
        others = len(self._lost) - 1
        told = f" {others} device{'s' * (others > 1)} beside it died before." if others else ""
        error = LinkError(f"{last}{told}")
        error.partial = max((lost.partial for lost in self._lost), key=_worth)
        error.__cause__ = last
        return error


def _worth(partial: object) -> tuple[bool, int]:
    """The trace that shows where a run broke says more than the whole one before it."""
    if not isinstance(partial, Trace):
        return False, -1
    return bool(partial.steps) and not partial.outputs, len(partial.steps)
