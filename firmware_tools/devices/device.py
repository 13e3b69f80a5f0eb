"""The `Device`: an engine at the other end of a link, run op by op and compared by digest first."""

import itertools
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from firmware_tools import codegen
from firmware_tools.devices.bad_line import BadLine
from firmware_tools.devices.capture import Capture
from firmware_tools.devices.one_run import OneRun, OverwrittenError, tensor_of
from firmware_tools.graph import Graph, Op
from firmware_tools.link import Capability, Session, Space, Timing, Transport
from firmware_tools.link.patience import DEFAULT_TIMING, SLOWEST_CLOCK, op_patience
from tfviz.errors import InputError, LinkError
from tfviz.trace import Array, Closing, Tensor, Trace

__all__ = ["Device", "OverwrittenError"]


class Device(Closing):
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
        notes: sentences that belong beside whatever is found with this device.

    Args:
        transport: the line.
        graph: the model.
        digest: what the device must say at HELLO; None: from the model.
        timing: how patient to be.
        allow_other_model: go on where the device says that it runs another model.
        clock_hz: of the slowest core that it may have.
        fault: what is wrong with the line (`bad_line.parse`), for trying what happens then.
        seed: of nonce, sequence and run numbers; None: others each time, as a host must.

    Raises:
        InputError: the device runs another model and `allow_other_model` is false; `fault` names no fault.
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
        clock_hz: int = SLOWEST_CLOCK,
        fault: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.name = transport.name
        self.graph = graph
        self.fingerprint = graph.fingerprint
        self.last_line_bytes = 0
        self.partial: Trace | None = None
        self._clock_hz = clock_hz
        self._waiting: int | None = None  # number of a run that CAPTURE began
        self._there: dict[int, int] = {}  # CRCs of the inputs that the device holds
        self.notes: tuple[str, ...] = ()
        self._transport = transport
        self._whole: Trace | None = None  # the last run that ended well
        try:
            line = transport if fault is None else BadLine.parse(transport, fault)
            self.session = Session(line, timing=timing, seed=seed)
            self.hello = self.session.hello()
            self._check_model(digest, allowed=allow_other_model)
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
            InputError: wrong inputs; `forced` without a reference, or on a device that cannot be written to.
            OverwrittenError: in a forced run, an op's input is not what was left there.
            LinkError: the device went silent, was reset or faulted. Its `partial` is the trace until then or, where no
                op had arrived whole, that of the last run that ended well.
        """
        if forced and reference is None:
            raise InputError("A forced run needs a reference trace to force.")
        if forced and Capability.WRITE not in self.session.capabilities:
            raise InputError(f"{self.name} lets nobody write its tensors, so that no op can be given the reference's.")
        before = self._line_bytes()
        tensors = _checked_inputs(self.graph, inputs)
        self.partial = None
        run = OneRun(self, tensors, reference, forced=forced, read=read)
        try:
            run.pass_all()
        except LinkError as error:
            self.partial = self._trace(run)
            error.partial = self.partial if self.partial.steps else self._whole or self.partial
            raise
        finally:
            self.last_line_bytes = self._line_bytes() - before
        self._whole = self._trace(run)
        return self._whole

    def capture(self) -> Capture:
        """Let the device fill its own input from its sensor; read the sensor's frame and the input tensors.

        A `run` of exactly these inputs that follows goes on from there and sends nothing.

        Raises:
            InputError: the device has no sensor.
            LinkError: the sensor gave nothing, or the line broke.
        """
        if Capability.CAPTURE not in self.session.capabilities:
            raise InputError(f"{self.name} has no sensor of its own; give it images.")
        done = self.session.capture()
        raw = self._read_checked(done.run, Space.RAW, 0, done.raw_bytes, done.raw_crc32)
        inputs = {}
        for digest in done.inputs:
            tensor = self.graph.tensors[digest.tensor]
            data = self._read_checked(done.run, Space.TENSOR, digest.tensor, digest.bytes, digest.crc32)
            inputs[tensor.name] = np.frombuffer(data, np.dtype(tensor.dtype).newbyteorder("<")).reshape(tensor.shape)
        self._waiting = done.run
        self._there = {digest.tensor: digest.crc32 for digest in done.inputs}
        return Capture(raw, done.format, done.width, done.height, inputs)

    def peek(self, inputs: Mapping[str, Array], op: int) -> dict[int, Array]:
        """What the inputs of op `op` hold in the device's memory just before it runs, by tensor index.

        Raises:
            InputError: wrong inputs.
            LinkError: the device went silent.
        """
        tensors = _checked_inputs(self.graph, inputs)
        run = OneRun(self, tensors, None, forced=False, read=False)
        return run.peek(self.graph.ops[op])

    def begin(self, inputs: Sequence[tuple[int, bytes]]) -> int:
        """Begin a run of these inputs, sent unless the device holds them; returns its number."""
        wanted = {index: zlib.crc32(data) for index, data in inputs}
        same = wanted == self._there
        waiting, self._waiting, self._there = self._waiting, None, {}
        if same and waiting is not None:
            return waiting
        keeps = Capability.KEEPS_INPUT in self.session.capabilities
        number = self.session.begin(inputs, kept=same and keeps)
        if keeps:
            self._there = wanted
        return number

    def patience(self, op: Op) -> float:
        """Seconds that `op` may take: its multiplications and values at the worst rate that we can think of."""
        values = sum(self.graph.tensors[index].elements for index in op.outputs)
        return op_patience(self.graph.op_macs(op), values, clock_hz=self._clock_hz)

    def _read_checked(self, run: int, space: Space, name: int, length: int, crc: int) -> bytes:
        data = self.session.read(run, 0, space, name, length)
        if zlib.crc32(data) != crc:
            raise LinkError(self.session.located(f"{self.name}: what CAPTURE made changed while it was read"))
        return data

    def _check_model(self, digest: int | None, *, allowed: bool) -> None:
        """Compare the device's digest with the model's."""
        expected = self._digests() if digest is None else (digest,)
        if self.hello.digest in expected:
            return
        given = " or ".join(f"{one:08x}" for one in dict.fromkeys(expected))
        found = f"{self.name} runs another model (digest {self.hello.digest:08x}) than the one given ({given})"
        if not allowed:
            raise InputError(f"{found}; build and load this one, or allow another by --allow-other-model.")
        self.notes = (*self.notes, f"{found}, which was allowed.")

    def _digests(self) -> tuple[int, ...]:
        """What a device may say that runs the model: an interpreter (TFLM, a served LiteRT) digests the file itself.

        The built-in engine's depends on whether the input is kept (where no input's memory happens to be used again,
        the device cannot tell) and on whether the weights were widened for speed.
        """
        file = zlib.crc32(self.graph.bytes)
        if self.hello.digest == file:
            return (file,)
        keep = Capability.KEEPS_INPUT in self.session.capabilities
        ways = itertools.product(sorted({keep, False}, reverse=True), (False, True))
        try:
            own = [codegen.generate(self.graph, keep_input=kept, wide_weights=wide).digest for kept, wide in ways]
        except InputError:  # a model that only interpreters run
            own = []
        return (*own, file)

    def _trace(self, run: OneRun) -> Trace:
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

    def stop(self) -> None:
        """Let a run that is under way in another thread end at once, in a LinkError."""
        self.session.stopped = True

    def close(self) -> None:
        """Release the line."""
        self._transport.close()

    def _line_bytes(self) -> int:
        return self.session.counters.sent + self.session.counters.received


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
        tensors[index] = tensor_of(tensor, values)
    return tensors
