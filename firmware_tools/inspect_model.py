"""What a model needs of a board, before anything is compiled."""

import dataclasses

from firmware_tools import boards, memory
from firmware_tools.graph import Graph
from tfviz.errors import InputError


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Bytes that the model itself takes: the arena in RAM, its constants in flash (None where `refusal` says why)."""

    arena_bytes: int
    arena_lower_bound: int
    constant_bytes: int | None
    refusal: str | None


def footprint(graph: Graph) -> Footprint:
    """What the built-in engine needs for `graph`."""
    from firmware_tools import codegen

    plan = memory.plan(graph)
    try:
        sources = codegen.generate(graph, plan)
    except InputError as error:
        return Footprint(plan.arena_bytes, plan.lower_bound, None, str(error))
    return Footprint(plan.arena_bytes, plan.lower_bound, sources.constant_bytes, None)


def fits(needs: Footprint) -> list[tuple[str, str, str, str]]:
    """One row a board: name, whether arena, stack and constants fit, and what they leave of flash and RAM.

    The code (some ten kB) is not in it; `firmware-tools build` gives the whole figure.
    """
    rows = []
    for name in boards.names():
        board = boards.load(name)
        flash = board.flash.usable[1] - (needs.constant_bytes or 0)
        ram = board.ram.usable[1] - needs.arena_bytes - board.stack
        rows.append((name, "yes" if flash >= 0 and ram >= 0 else "no", f"{flash:,} B", f"{ram:,} B"))
    return rows
