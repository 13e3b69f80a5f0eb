"""One run of a device, op by op: digests first, reading what differs, forcing what is to be forced."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from firmware_tools.graph import Graph, GraphTensor, Op
from firmware_tools.link import Session, Space
from firmware_tools.link.messages import Digest, Hello, OpDone
from tfviz.errors import InputError, LinkError
from tfviz.trace import Array, Step, Tensor, Trace


class OverwrittenError(LinkError):
    """A tensor changed between the op that made it and the op that reads it: memory was overwritten."""


class Line(Protocol):
    """What a run needs of its device."""

    name: str
    graph: Graph
    session: Session
    hello: Hello

    def take_instructions(self) -> int | None:
        """Instructions that ops executed since the last call, where the device counts them."""
        ...

    def patience(self, op: Op) -> float:
        """Seconds that an op may take at the worst."""
        ...

    def begin(self, inputs: Sequence[tuple[int, bytes]]) -> int:
        """Begin a run of these inputs; returns its number."""
        ...


class OneRun:
    """One run while it lasts: what each tensor held when its op was done, and what it should hold."""

    def __init__(
        self, device: Line, inputs: Mapping[int, Tensor], reference: Trace | None, *, forced: bool, read: bool
    ) -> None:
        self.steps: list[Step] = []
        self.forced = forced
        self.read = read
        self._device = device
        self._number = 0
        self._reference = {} if reference is None else {step.index: step for step in reference.steps}
        self._values: dict[int, Tensor] = dict(inputs)
        self._left: dict[int, int] = {index: tensor.crc32 for index, tensor in inputs.items()}  # CRCs left in memory
        self._makers: dict[int, str] = {}

    def pass_all(self) -> None:
        """Send the inputs and let all ops run."""
        blobs = [(index, little_endian(self._values[index].values)) for index in self._device.graph.inputs]
        self._number = self._device.begin(blobs)
        self._device.take_instructions()  # of a run that was broken off
        for op in self._device.graph.ops:
            self.pass_op(op)

    def peek(self, last: Op) -> dict[int, Array]:
        """Let the ops before `last` run, then read what its inputs hold."""
        blobs = [(index, little_endian(self._values[index].values)) for index in self._device.graph.inputs]
        self._number = self._device.begin(blobs)
        for op in self._device.graph.ops[: last.index]:
            self.pass_op(op)
        held = {}
        for index in dict.fromkeys(i for i in last.inputs if i in self._left):
            tensor = self._device.graph.tensors[index]
            data = self._device.session.read(self._number, last.index, Space.TENSOR, index, tensor.bytes)
            little = np.dtype(tensor.dtype).newbyteorder("<")
            held[index] = np.frombuffer(data, little).reshape(tensor.shape).astype(tensor.dtype)
        return held

    def pass_op(self, op: Op) -> None:
        """Let one op run; keep its outputs, read or taken over from the reference."""
        session = self._device.session
        patience = self._device.patience(op)
        if op.index == 0:  # which the device runs only on inputs with these CRCs
            crcs = [self._left[index] for index in self._device.graph.inputs]
            done = session.run(self._number, crcs, patience=patience)
        else:
            if self.forced:
                self._check_inputs(op)
            done = session.next(self._number, op.index, patience=patience)
        instructions = self._device.take_instructions()
        outputs = self._outputs(op, done)
        hz = self._device.hello.tick_hz
        self.steps.append(
            Step(
                index=op.index,
                op=op.name,
                name=op.layer,
                outputs=tuple(outputs),
                instructions=instructions,
                cycles=done.ticks if hz and instructions is None else None,
            )
        )

    def values(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        """Those of these tensors that are known by now."""
        return tuple(self._values[index] for index in indices if index in self._values)

    def _outputs(self, op: Op, done: OpDone) -> list[Tensor]:
        expected = self._expected(op)
        wanted = self.read or any(index in self._device.graph.outputs for index in op.outputs)
        outputs = []
        for digest, index in zip(self._checked(op, done), op.outputs, strict=True):
            reference = expected.get(index)
            equal = reference is not None and reference.crc32 == digest.crc32
            if wanted:
                described = self._device.graph.tensors[index]
                values = reference.values if equal and reference is not None else self._fetch(op, digest, index)
                self._values[index] = tensor_of(described, values.reshape(described.shape))
                outputs.append(self._values[index])
            if self.forced and not equal:
                self._force(op, index, reference)
            self._left[index] = digest.crc32 if reference is None or not self.forced else reference.crc32
            self._makers[index] = f"op {op.index} ({op.name})"
        return outputs

    def _checked(self, op: Op, done: OpDone) -> Sequence[Digest]:
        ids = [digest.tensor for digest in done.outputs]
        sizes = [digest.bytes for digest in done.outputs]
        if ids != list(op.outputs) or sizes != [self._device.graph.tensors[index].bytes for index in op.outputs]:
            found = f"{self._device.name}: op {op.index} of the device made tensors {ids} of {sizes} bytes"
            wanted = f"the model's makes {list(op.outputs)}, so it runs another model"
            raise LinkError(self._device.session.located(f"{found} and {wanted}"))
        return done.outputs

    def _expected(self, op: Op) -> dict[int, Tensor]:
        step = self._reference.get(op.index)
        if step is None or len(step.outputs) != len(op.outputs):
            return {}
        pairs = zip(op.outputs, step.outputs, strict=True)
        tensors = self._device.graph.tensors
        return {
            index: output
            for index, output in pairs
            if output.values.dtype == np.dtype(tensors[index].dtype) and output.values.size == tensors[index].elements
        }

    def _fetch(self, op: Op, digest: Digest, index: int) -> Array:
        session = self._device.session
        data = session.read(self._number, op.index + 1, Space.TENSOR, index, digest.bytes)
        if zlib.crc32(data) != digest.crc32:
            changed = f"{self._device.name}: tensor {index} changed while it was read after op {op.index} ({op.name})"
            raise LinkError(self._device.session.located(changed))
        tensor = self._device.graph.tensors[index]
        little = np.dtype(tensor.dtype).newbyteorder("<")
        return np.frombuffer(data, little).reshape(tensor.shape).astype(tensor.dtype)

    def _force(self, op: Op, index: int, reference: Tensor | None) -> None:
        if reference is None:
            raise InputError(
                f"A forced run needs a reference with every op's output; it has none of op {op.index} ({op.name})."
            )
        self._device.session.write(self._number, op.index + 1, index, little_endian(reference.values))

    def _check_inputs(self, op: Op) -> None:
        names = [(Space.TENSOR, index) for index in dict.fromkeys(op.inputs) if index in self._left]
        for digest in self._device.session.digest(self._number, op.index, names):
            if digest.crc32 != self._left[digest.tensor]:
                maker = self._makers.get(digest.tensor, "the host")
                raise OverwrittenError(
                    f"{self._device.name}: tensor {digest.tensor}, made by {maker}, was overwritten before "
                    f"op {op.index} ({op.name}) could read it."
                )


def little_endian(values: Array) -> bytes:
    """The bytes of a tensor as they lie on the device."""
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


def tensor_of(described: GraphTensor, values: Array) -> Tensor:
    """`values` with the quantisation of the tensor that they are of."""
    if described.scale.size != 1:
        return Tensor(described.name, values)
    return Tensor(described.name, values, float(described.scale.flat[0]), int(described.zero_point.flat[0]))
