"""Graph and plan -> readable C99: `model.c` and `model.h` over the shared kernels in firmware/nn.

    sources = codegen.generate(graph.load("model.tflite"))
    sources.files["model.c"], sources.kernels, sources.digest

`check` says before that which ops are outside, by name and layer, and what to do instead.
"""

import dataclasses

from firmware_tools import memory
from firmware_tools.codegen import model
from firmware_tools.codegen.registry import Lowered, Refusal, known_ops, lower
from firmware_tools.graph import Graph, Op
from tfviz.errors import InputError

__all__ = ["Refused", "Sources", "check", "generate", "known_ops", "needs_of"]


@dataclasses.dataclass(frozen=True)
class Refused:
    """An op that the built-in engine does not run."""

    index: int
    op: str
    layer: str
    reason: str

    def __str__(self) -> str:
        return f"Op {self.index}, {self.op} (layer '{self.layer}'), {self.reason}."


@dataclasses.dataclass(frozen=True, eq=False)
class Sources:
    """Generated C.

    Attributes:
        files: name -> text of `model.c` and `model.h`.
        kernels: .c files under firmware/nn that belong to it, in alphabetical order.
        digest: CRC-32 over the bytes of `nn_the_model.digested`, which the device computes over its own flash.
        constant_bytes: bytes of constants in flash: weights, biases, scales, tables, shapes.
        plan: the arena plan that was used.
    """

    files: dict[str, str]
    kernels: tuple[str, ...]
    digest: int
    constant_bytes: int
    plan: memory.Plan


def _lower_all(graph: Graph, *, wide: bool = False) -> tuple[list[Lowered], list[Refused]]:
    lowered: list[Lowered] = []
    refused: list[Refused] = []
    for op in graph.ops:
        try:
            lowered.append(lower(graph, op, wide=wide))
        except Refusal as refusal:
            refused.append(Refused(op.index, op.name, op.layer, str(refusal)))
    return lowered, refused


def check(graph: Graph) -> tuple[Refused, ...]:
    """The ops of `graph` that the built-in engine does not run; empty where it runs all of them."""
    return tuple(_lower_all(graph)[1])


def needs_of(graph: Graph, op: Op) -> memory.Needs:
    """What `op` asks of the memory planner; nothing for an op that is refused."""
    try:
        lowered = lower(graph, op)
    except Refusal:
        return memory.Needs()
    return memory.Needs(lowered.scratch, lowered.in_place)


def generate(
    graph: Graph, plan: memory.Plan | None = None, *, keep_input: bool = False, wide_weights: bool = False
) -> Sources:
    """Generate the C of a model. The same graph and plan give the same bytes.

    Args:
        graph: the model.
        plan: an arena plan of `memory.plan`; made where it is None.
        keep_input: for that plan: keep the inputs' bytes to the end of the run.
        wide_weights: int16 in flash for the int8 weights of convolutions and dense layers: faster, and twice the flash.

    Raises:
        InputError: an op or an option is outside of what the built-in engine runs; the sentence names them all.
    """
    lowered, refused = _lower_all(graph, wide=wide_weights)
    if refused:
        listed = " ".join(str(item) for item in refused[:5])
        more = f" And {len(refused) - 5} more." if len(refused) > 5 else ""
        raise InputError(f"The built-in engine does not run this model. {listed}{more}")
    if plan is None:
        needs = [memory.Needs(item.scratch, item.in_place) for item in lowered]
        plan = memory.plan(graph, keep_input=keep_input, needs=lambda op: needs[op.index])
    return Sources(*model.emit(graph, plan, lowered), plan=plan)
