"""Ground floor: the `Trace`, every layer's tensor of one run, whoever ran it, and the `Engine` that makes one.

Everything above (compare, diagnose, explain, plot, report) takes traces and never asks where they came from. Imports
NumPy alone.
"""

import abc
import dataclasses
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.files import whole_file

Array = npt.NDArray[Any]
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor with its quantisation: `real = scale * (values - zero_point)`.

    `scale` is None for a tensor that is not quantised. Activations are quantised per tensor, so both are numbers.
    """

    name: str
    values: Array
    scale: float | None = None
    zero_point: int = 0

    @property
    def real(self) -> npt.NDArray[np.float32]:
        """The values as real numbers, float32.

        >>> Tensor("x", np.array([-128, 127], np.int8), scale=0.5, zero_point=-128).real
        array([  0. , 127.5], dtype=float32)
        """
        if self.scale is None:
            return self.values.astype(np.float32)
        return (np.float32(self.scale) * (self.values.astype(np.int32) - self.zero_point)).astype(np.float32)

    @property
    def crc32(self) -> int:
        """CRC-32 (the one of zlib and Ethernet) of the little-endian bytes, as a device reports it."""
        little = np.ascontiguousarray(self.values, dtype=self.values.dtype.newbyteorder("<"))
        return zlib.crc32(little.tobytes())


@dataclasses.dataclass(frozen=True)
class Step:
    """One op (or one Keras layer) of a run and what it produced.

    `index` is the op's index in the .tflite, or the position of the layer's call in a Keras run. `instructions` and
    `cycles` are what the op cost where the engine counts them.
    """

    index: int
    op: str
    name: str
    outputs: tuple[Tensor, ...]
    instructions: int | None = None
    cycles: int | None = None

    @property
    def output(self) -> Tensor:
        """The first output, the only one of nearly every op."""
        return self.outputs[0]


@dataclasses.dataclass(frozen=True)
class Trace:
    """Every layer's tensor of one run of one input.

    `engine` says who ran it (`"tflm"`, `"emulator:nano33ble"`), `kernels` which kernel set computed it with its
    version, `fingerprint` which model it was (SHA-256 of the model file, hexadecimal). `forced` is true for a run in
    which every op got the reference's inputs, so that its differences are local to each op.
    """

    engine: str
    kernels: str
    fingerprint: str
    inputs: tuple[Tensor, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Tensor, ...]
    forced: bool = False

    def step(self, index: int) -> Step:
        """The step of op `index`; KeyError where the trace has none (some engines hide intermediate tensors)."""
        for step in self.steps:
            if step.index == index:
                return step
        raise KeyError(f"The trace of {self.engine} holds no op {index}.")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace as `.npz`: a JSON header and one array for each tensor. Whole or not at all."""
        arrays: dict[str, Any] = {}

        def describe(tensor: Tensor) -> dict[str, Any]:
            key = f"t{len(arrays)}"
            arrays[key] = tensor.values
            return {"array": key, "name": tensor.name, "scale": tensor.scale, "zero_point": tensor.zero_point}

        header = {
            "format": FORMAT,
            "engine": self.engine,
            "kernels": self.kernels,
            "fingerprint": self.fingerprint,
            "forced": self.forced,
            "inputs": [describe(tensor) for tensor in self.inputs],
            "outputs": [describe(tensor) for tensor in self.outputs],
            "steps": [
                {
                    "index": step.index,
                    "op": step.op,
                    "name": step.name,
                    "instructions": step.instructions,
                    "cycles": step.cycles,
                    "outputs": [describe(tensor) for tensor in step.outputs],
                }
                for step in self.steps
            ],
        }
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, header=text, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a trace written by `save`.

        Raises:
            InputError: the file is missing or is not a trace.
        """
        try:
            # Opened here: NumPy leaves its own handle open when the archive turns out to be broken.
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
                header = json.loads(archive["header"].tobytes())
                if header["format"] != FORMAT:
                    raise InputError(f"{path} is a trace of format {header['format']}; this version reads {FORMAT}.")

                def tensor(described: Mapping[str, Any]) -> Tensor:
                    return Tensor(
                        described["name"], archive[described["array"]], described["scale"], described["zero_point"]
                    )

                steps = tuple(
                    Step(
                        index=step["index"],
                        op=step["op"],
                        name=step["name"],
                        outputs=tuple(tensor(output) for output in step["outputs"]),
                        instructions=step["instructions"],
                        cycles=step["cycles"],
                    )
                    for step in header["steps"]
                )
                return cls(
                    engine=header["engine"],
                    kernels=header["kernels"],
                    fingerprint=header["fingerprint"],
                    inputs=tuple(tensor(described) for described in header["inputs"]),
                    steps=steps,
                    outputs=tuple(tensor(described) for described in header["outputs"]),
                    forced=header["forced"],
                )
        except FileNotFoundError as error:
            raise InputError(f"There is no trace file {path}.") from error
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{Path(path).name} is not a trace file: {error}.") from error


class Engine(Protocol):
    """Whoever answers the one question: run this input and give me every layer's tensor."""

    name: str
    kernels: str
    fingerprint: str

    def run(
        self, inputs: Mapping[str, Array], *, reference: Trace | None = None, forced: bool = False, read: bool = True
    ) -> Trace:
        """Run one input and return its trace.

        Args:
            inputs: by input name, each of the model's own shape (batch 1) and dtype: the integers of a quantised
                model, float32 of a float one.
            reference: a trace of the same input. An engine behind a slow line compares digests with it and reads only
                what differs; any engine may ignore it.
            forced: give every op the reference's inputs, so that what differs is the op's own. Needs `reference`.
            read: false says that intermediate tensors are not wanted; an engine may leave `steps` empty.

        Raises:
            InputError: an input of the wrong name, shape or dtype; `forced` on an engine that cannot be written to.
            LinkError: the device went silent.
        """
        ...

    def close(self) -> None:
        """Release the interpreter, process or port."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class Closing(abc.ABC):
    """What a `with` statement closes at its end: the part that all engines have in common."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release what is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
