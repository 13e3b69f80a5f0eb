"""What the exported texts say of a model: names that C takes, sizes, scales, what pixels become."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from firmware_tools import codegen
from firmware_tools.codegen import c
from firmware_tools.graph import Graph, GraphTensor
from tfviz.errors import InputError

_C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t", "float32": "float"}
_LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


@dataclasses.dataclass(frozen=True)
class Place:
    """One input or output: `suffix` tells several apart (`"_1"`), `limits` are those of its integers, None for floats.

    `scale` is a C literal; real = scale * (value - zero_point).
    """

    suffix: str
    number: int
    kind: str
    dtype: str
    shape: tuple[int, ...]
    elements: int
    bytes: int
    scale: str
    zero_point: int
    limits: tuple[int, int] | None
    title: str

    @property
    def shape_text(self) -> str:
        """`"1 x 64 x 64 x 3"`."""
        return " x ".join(map(str, self.shape))


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """`name` is the header's and the prefix of every function; `lines` say how pixels become the input."""

    name: str
    macro: str
    file: str
    fingerprint: str
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    classes: tuple[str, ...]
    class_literals: tuple[str, ...]
    lines: tuple[str, ...]
    ops: int
    macs: int
    arena_bytes: int
    constant_bytes: int
    digest: str
    version: str
    most_outputs: int
    sources: codegen.Sources


def facts(graph: Graph, path: str | os.PathLike[str]) -> Facts:
    """What there is to say of a model.

    Raises:
        InputError: an op that the engine lacks, or a broken sidecar.
    """
    from importlib import metadata

    from tfviz.preprocess import read_sidecar

    sources = codegen.generate(graph)
    stem = c.identifier(graph.name).lower()
    name = stem if stem.endswith("model") else f"{stem}_model"
    sidecar = read_sidecar(path)
    classes = () if sidecar is None else sidecar.class_names
    outputs = _places(graph, graph.outputs, "output")
    fits = len(outputs) == 1 and len(classes) == outputs[0].elements
    return Facts(
        name=name,
        macro=name.upper(),
        file=c.comment(Path(path).name),
        fingerprint=graph.fingerprint,
        inputs=_places(graph, graph.inputs, "input"),
        outputs=outputs,
        classes=tuple(c.comment(label) for label in classes) if fits else (),
        class_literals=tuple(_literal(label) for label in classes) if fits else (),
        lines=_pixels(sidecar),
        ops=len(graph.ops),
        macs=graph.macs,
        arena_bytes=sources.plan.arena_bytes,
        constant_bytes=sources.constant_bytes,
        digest=f"{sources.digest:08x}",
        version=metadata.version("tfviz"),
        most_outputs=max(8, *(len(op.outputs) for op in graph.ops)),
        sources=sources,
    )


def _places(graph: Graph, indices: Sequence[int], kind: str) -> tuple[Place, ...]:
    several = len(indices) > 1
    return tuple(_place(graph.tensors[i], n, kind, f"_{n}" if several else "") for n, i in enumerate(indices))


def _place(tensor: GraphTensor, number: int, kind: str, suffix: str) -> Place:
    if tensor.dtype not in _C_TYPES:
        raise InputError(f"The model's {kind} '{tensor.name}' is of type {tensor.dtype}, which has no plain C type.")
    quantised = len(tensor.scale) == 1
    return Place(
        suffix=suffix,
        number=number,
        kind=_C_TYPES[tensor.dtype],
        dtype=tensor.dtype,
        shape=tuple(tensor.shape),
        elements=tensor.elements,
        bytes=tensor.bytes,
        scale=c.float32_literal(float(tensor.scale[0])) if quantised else "1.0f",
        zero_point=int(tensor.zero_point[0]) if quantised else 0,
        limits=_LIMITS.get(tensor.dtype) if quantised else None,
        title=c.comment(tensor.name),
    )


def _literal(label: str) -> str:
    """A class name as a C string: what is not plain ASCII goes as octal escapes of its UTF-8, which end by themselves.

    >>> _literal('a"b')
    '"a\\\\042b"'
    """
    plain = (chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in label.encode())
    return f'"{"".join(plain)}"'


def _pixels(sidecar: object) -> tuple[str, ...]:
    """How pixels become the model's real numbers, as the file beside the model says."""
    preprocess = getattr(sidecar, "preprocess", None)
    if preprocess is None:
        return ("Nothing is recorded about how pixels become this model's input.",)

    def numbers(values: Sequence[float]) -> str:
        return str(values[0]) if len(values) == 1 else "(" + ", ".join(map(str, values)) + ")"

    size = "as they are" if preprocess.size is None else f"{preprocess.size[0]} x {preprocess.size[1]} (height, width)"
    formula = f"real = ({preprocess.scale!r} * pixel - {numbers(preprocess.mean)}) / {numbers(preprocess.std)}"
    return (
        f"Pictures are fitted to {size} ({preprocess.fit}, {preprocess.resize}), channels in the order "
        f"{preprocess.colour}.",
        f"A pixel from 0 to 255 becomes the real number `{formula}`.",
    )
