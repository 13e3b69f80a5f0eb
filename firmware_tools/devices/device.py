"""The `Device`: an engine at the other end of a link, run op by op and compared by digest first."""

import zlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np

from firmware_tools import codegen
from firmware_tools.graph import Graph, GraphTensor, Op
from firmware_tools.link import Session, Space, Timing, Transport
from firmware_tools.link.messages import Digest, OpDone
from firmware_tools.link.patience import DEFAULT_TIMING
from tfviz.errors import InputError, LinkError
from tfviz.trace import Array, Step, Tensor, Trace


class OverwrittenError(LinkError):
    """A tensor changed between the op that made it and the op that reads it: memory was overwritten."""


class Device:
    """Base of all devices. It knows the model (`graph`) and talks to whoever runs it through `transport`.

    Opening says HELLO and compares the digest that the device computes over the bytes that it really runs.

    Attributes:
        name: the line's name, `"emulator:nano33ble"`.
        kernels: kernel set and version, as the device says.
        fingerprint: SHA-256 of the model file, hexadecimal.
        hello: the device's answer to HELLO.
        last_line_bytes: bytes over the line, both ways, of the last run.
        partial: what a run that ended in a LinkError had received until then, a trace without its last steps; None
            after a run that ended well.

    Raises:
        InputError: the device runs another model and `allow_other_model` is false.
        LinkError: nobody answers.
    """

    def __init__(
        self,
        transport: Transport,
        graph: Graph,
        *,
        digest: int | None = None,
        timing: Timing = DEFAULT_TIMING,
        allow_other_model: bool = False,
    ) -> None:
        self.name = transport.name
        self.graph = graph
        self.fingerprint = graph.fingerprint
        self.last_line_bytes = 0
        self.partial: Trace | None = None
        self._transport = transport
        self.session = Session(transport, timing=timing)
        try:
            self.hello = self.session.hello()
            expected = codegen.generate(graph).digest if digest is None else digest
            if self.hello.digest != expected and not allow_other_model:
                raise InputError(
                    f"{self.name} runs another model (digest {self.hello.digest:08x}) than the one given "
                    f"({expected:08x}); build and load this one, or allow another model."
                )
        except BaseException:
            transport.close()
            raise
        self.kernels = self.hello.engine

    def run(
        self, inputs: Mapping[str, Array], *, reference: Trace | None = None, forced: bool = False, read: bool = True
    ) -> Trace:
        """Run one input, as `tfviz.trace.Engine.run` says.

        With a `reference` only digests are exchanged where the bytes are equal: its arrays are taken over, and only
        what differs is read. `forced` writes the reference's bytes over every output that differs, after reading it.

        Raises:
            InputError: wrong inputs, or `forced` without a reference.
            OverwrittenError: in a forced run, an op's input is not what was left there.
            LinkError: the device went silent, was reset or faulted.
        """
        if forced and reference is None:
            raise InputError("A forced run needs a reference trace to force.")
        before = self._line_bytes()
        tensors = _checked_inputs(self.graph, inputs)
        self.partial = None
        run = _Run(self, tensors, reference, forced=forced, read=read)
        try:
            run.pass_all()
        except LinkError:
            self.partial = self._trace(run)
            raise
        finally:
            self.last_line_bytes = self._line_bytes() - before
        return self._trace(run)

    def _trace(self, run: "_Run") -> Trace:
        return Trace(
            engine=self.name,
            kernels=self.kernels,
            fingerprint=self.fingerprint,
            inputs=run.values(self.graph.inputs),
            steps=tuple(run.steps) if run.read else (),
            outputs=run.values(self.graph.outputs),
            forced=run.forced,
        )

    def take_instructions(self) -> int | None:
        """Instructions that ops executed since the last call, where the device counts them."""
        return None

    def close(self) -> None:
        """Release the line."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _line_bytes(self) -> int:
        return self.session.counters.sent + self.session.counters.received


class _Run:
    """One run while it lasts: what each tensor held when its op was done, and what it should hold."""

    def __init__(
        self, device: Device, inputs: Mapping[int, Tensor], reference: Trace | None, *, forced: bool, read: bool
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
        blobs = [(index, _bytes(tensor.values)) for index, tensor in self._values.items()]
        self._number = self._device.session.begin(blobs)
        self._device.take_instructions()  # of a run that was broken off
        for op in self._device.graph.ops:
            self.pass_op(op)

    def pass_op(self, op: Op) -> None:
        """Let one op run; keep its outputs, read or taken over from the reference."""
        session = self._device.session
        if self.forced:
            self._check_inputs(op)
        if op.index == 0:
            done = session.run(self._number, [self._left[index] for index in self._device.graph.inputs])
        else:
            done = session.next(self._number, op.index)
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
                self._values[index] = _tensor(described, values.reshape(described.shape))
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
            raise LinkError(
                f"{self._device.name}: op {op.index} of the device made tensors {ids} of {sizes} bytes; "
                f"the model's makes {list(op.outputs)}. It runs another model."
            )
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
            raise LinkError(f"{self._device.name}: tensor {index} changed while it was read after op {op.index}.")
        tensor = self._device.graph.tensors[index]
        little = np.dtype(tensor.dtype).newbyteorder("<")
        return np.frombuffer(data, little).reshape(tensor.shape).astype(tensor.dtype)

    def _force(self, op: Op, index: int, reference: Tensor | None) -> None:
        if reference is None:
            raise InputError(
                f"A forced run needs a reference with every op's output; it has none of op {op.index} ({op.name})."
            )
        self._device.session.write(self._number, op.index + 1, index, _bytes(reference.values))

    def _check_inputs(self, op: Op) -> None:
        names = [(Space.TENSOR, index) for index in dict.fromkeys(op.inputs) if index in self._left]
        for digest in self._device.session.digest(self._number, op.index, names):
            if digest.crc32 != self._left[digest.tensor]:
                maker = self._makers.get(digest.tensor, "the host")
                raise OverwrittenError(
                    f"{self._device.name}: tensor {digest.tensor}, made by {maker}, was overwritten before "
                    f"op {op.index} ({op.name}) could read it."
                )


def _bytes(values: Array) -> bytes:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


def _tensor(described: GraphTensor, values: Array) -> Tensor:
    if described.scale.size != 1:
        return Tensor(described.name, values)
    return Tensor(described.name, values, float(described.scale.flat[0]), int(described.zero_point.flat[0]))


def _checked_inputs(graph: Graph, inputs: Mapping[str, Array]) -> dict[int, Tensor]:
    """The model's inputs in its own order, by tensor index, with names, shapes and types checked."""
    described = {index: graph.tensors[index] for index in graph.inputs}
    names = {tensor.name for tensor in described.values()}
    if set(inputs) != names:
        raise InputError(f"The model's inputs are named {sorted(names)}; {sorted(inputs)} were given.")
    tensors = {}
    for index, tensor in described.items():
        values = np.asarray(inputs[tensor.name])
        if values.shape != tuple(tensor.shape) or values.dtype != np.dtype(tensor.dtype):
            raise InputError(
                f"Input {tensor.name!r} must be {np.dtype(tensor.dtype).name} of shape {tuple(tensor.shape)}; "
                f"it is {values.dtype.name} of shape {values.shape}."
            )
        tensors[index] = _tensor(tensor, values)
    return tensors
