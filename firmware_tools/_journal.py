"""Runs that are kept on disk, so that a comparison over many images goes on where it was interrupted.

A `Journal` is an engine around another one. What was run before is answered from its folder; the rest is run and kept.
Whoever compares sees the same traces in the same order, so the same is found. One file an image (and one more where
it was forced), written whole or not at all; tensors that equal the reference's are not stored again.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfviz.errors import InputError
from tfviz.trace import Array, Closing, Engine, Step, Tensor, Trace


class Journal(Closing):
    """`engine`, with its runs kept in `folder`.

    A run is known by the model, the engine with its kernels, the bytes of the firmware where there is one, the input,
    and of a forced run the reference's tensors. What an attribute is not here, it is the engine's.

    Raises:
        InputError: the folder cannot be written to.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._who = _who(engine)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"Cannot keep runs in {folder}: {error.strerror or error}.") from error

    @property
    def unkept(self) -> Engine:
        """The engine itself, for runs whose answer may hang on the run before (a buffer that was not filled anew)."""
        return self._engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run(
        self, inputs: Mapping[str, Array], *, reference: Trace | None = None, forced: bool = False, read: bool = True
    ) -> Trace:
        """Answer from the folder, or run and keep; as `Engine.run`."""
        path = self._folder / f"{self._key(inputs, reference if forced else None)}.npz"
        with contextlib.suppress(InputError):  # not there, or broken: it is run
            kept = _filled(Trace.load(path), reference)
            if kept is not None:
                return kept
        trace = self._engine.run(inputs, reference=reference, forced=forced, read=read)
        if read:
            _emptied(trace, reference).save(path)
        return trace

    def _key(self, inputs: Mapping[str, Array], forced_onto: Trace | None) -> str:
        digest = hashlib.sha256(self._who)
        for name in sorted(inputs):
            digest.update(f"\0{name} {inputs[name].dtype} {inputs[name].shape}\0".encode())
            digest.update(np.ascontiguousarray(inputs[name]).tobytes())
        if forced_onto is not None:
            for step in forced_onto.steps:
                digest.update(b"".join(tensor.crc32.to_bytes(4, "little") for tensor in step.outputs))
        return digest.hexdigest()[:32]

    def stop(self) -> None:
        """End a run that is under way, where the engine can."""
        if hasattr(self._engine, "stop"):
            self._engine.stop()

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def _who(engine: Engine) -> bytes:
    """What the answers hang on beside the input."""
    elf = getattr(getattr(engine, "build", None), "elf", None)
    firmware = b"" if elf is None else hashlib.sha256(Path(elf).read_bytes()).digest()
    return "\0".join((engine.name, engine.kernels, engine.fingerprint)).encode() + firmware


def _emptied(trace: Trace, reference: Trace | None) -> Trace:
    """Without the tensors that the reference has too; a step without outputs says that they are the reference's."""
    if reference is None:
        return trace
    theirs = {step.index: step for step in reference.steps}
    steps = [
        dataclasses.replace(step, outputs=()) if _same(step, theirs.get(step.index)) else step for step in trace.steps
    ]
    return dataclasses.replace(trace, steps=tuple(steps))


def _filled(trace: Trace, reference: Trace | None) -> Trace | None:
    """The inverse; None where tensors of the reference are needed and there is none."""
    if all(step.outputs for step in trace.steps):
        return trace
    if reference is None:
        return None
    steps = [
        step if step.outputs else dataclasses.replace(step, outputs=reference.step(step.index).outputs)
        for step in trace.steps
    ]
    return dataclasses.replace(trace, steps=tuple(steps))


def _same(step: Step, other: Step | None) -> bool:
    if other is None or len(step.outputs) != len(other.outputs):
        return False
    return all(_equal(a, b) for a, b in zip(step.outputs, other.outputs, strict=True))


def _equal(a: Tensor, b: Tensor) -> bool:
    facts = (a.name, a.scale, a.zero_point, a.values.dtype, a.values.shape)
    return facts == (b.name, b.scale, b.zero_point, b.values.dtype, b.values.shape) and bool(
        a.values.tobytes() == b.values.tobytes()
    )
