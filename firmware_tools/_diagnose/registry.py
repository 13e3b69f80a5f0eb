"""The hypotheses: small functions that say what might be wrong and, by what they yield, what would then be seen.

Three kinds, one decorator each. `FAMILIES` is their order, and within a family it is the order in its file: among
answers that explain the same share the plain fault (channels swapped) stands before one that can imitate others.

    @about_input("red and blue swapped", fix="Send the channels in the order that the model was trained on.")
    def swapped(feeding: Feeding) -> Iterator[tuple[str, Array]]:
        '''q = quantise(arithmetic(picture[..., ::-1]))'''
        yield "", feeding.finish(feeding.picture[..., ::-1])

What is yielded is (detail, replay): an input of the model, a `Kernel` with the fault in it, or an op's output. `judge`
runs the replay and counts. A new hypothesis is one such function in one of the family's files, and nothing else.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, TypeVar


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """One thing that may be wrong: its name as the answer says it, what to do, and the function that replays it."""

    name: str
    family: str
    fix: str
    replays: Callable[..., Iterator[tuple[str, Any]]]
    ops: tuple[str, ...] = ()

    @property
    def explanation(self) -> str:
        """The formula that is replayed: the first paragraph of the function's docstring."""
        return " ".join((self.replays.__doc__ or "").split("\n\n")[0].split())


FAMILIES = ("input", "kernel", "model", "memory", "transfer")
HYPOTHESES: list[Hypothesis] = []

Replays = TypeVar("Replays", bound=Callable[..., Iterator[tuple[str, Any]]])


def about_input(name: str, *, fix: str, family: str = "input") -> Callable[[Replays], Replays]:
    """The function yields (detail, the model's input as this fault would make it)."""

    def register(replays: Replays) -> Replays:
        HYPOTHESES.append(Hypothesis(name, family, fix, replays))
        return replays

    return register


def about_kernel(name: str, *, fix: str, ops: tuple[str, ...], family: str = "kernel") -> Callable[[Replays], Replays]:
    """The function yields (detail, the op's kernel with this fault); it runs on the engine's own inputs."""

    def register(replays: Replays) -> Replays:
        HYPOTHESES.append(Hypothesis(name, family, fix, replays, ops))
        return replays

    return register


def about_memory(name: str, *, fix: str, family: str = "memory") -> Callable[[Replays], Replays]:
    """The function yields (detail, the first divergent op's output in each run as this fault would leave it)."""

    def register(replays: Replays) -> Replays:
        HYPOTHESES.append(Hypothesis(name, family, fix, replays))
        return replays

    return register


def known() -> tuple[Hypothesis, ...]:
    """All hypotheses, the plainest first."""
    from firmware_tools._diagnose import arithmetic, inputs, places, stored, transfer

    del arithmetic, inputs, places, stored, transfer  # importing them registers what they hold
    return tuple(sorted(HYPOTHESES, key=lambda one: FAMILIES.index(one.family)))
