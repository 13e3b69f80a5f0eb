"""The generated C on this machine: compiled to a shared library and run op by op through ctypes."""

import ctypes
import functools
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools import codegen
from firmware_tools.codegen.model import KERNELS
from firmware_tools.graph import Graph

Array = npt.NDArray[Any]
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror")
RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class NnTensor(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint16) for name in ("id", "birth", "death", "alias_of")] + [
        (name, ctypes.c_uint32) for name in ("offset", "bytes")
    ]


class NnBlock(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_uint32)]


class NnOp(ctypes.Structure):
    _fields_ = [
        ("run", ctypes.c_void_p),
        ("inputs", ctypes.POINTER(ctypes.c_uint16)),
        ("outputs", ctypes.POINTER(ctypes.c_uint16)),
        ("constants", ctypes.POINTER(NnBlock)),
        ("n_inputs", ctypes.c_uint8),
        ("n_outputs", ctypes.c_uint8),
        ("n_constants", ctypes.c_uint8),
    ]


class NnModel(ctypes.Structure):
    _fields_ = [
        ("tensors", ctypes.POINTER(NnTensor)),
        ("ops", ctypes.POINTER(NnOp)),
        ("inputs", ctypes.POINTER(ctypes.c_uint16)),
        ("outputs", ctypes.POINTER(ctypes.c_uint16)),
        ("digested", ctypes.POINTER(NnBlock)),
        ("arena", ctypes.c_void_p),
        ("arena_bytes", ctypes.c_uint32),
        ("n_tensors", ctypes.c_uint16),
        ("n_ops", ctypes.c_uint16),
        ("n_inputs", ctypes.c_uint16),
        ("n_outputs", ctypes.c_uint16),
        ("n_digested", ctypes.c_uint16),
    ]


@functools.cache
def kernel_library(folder: Path, *flags: str) -> Path:
    """All kernels as one object file, compiled once for each set of flags; -Werror included."""
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "nn.o"
    compile_c("-r", "-nostdlib", "-fPIC", "-O2", *flags, *all_kernels(), "-o", str(library))
    return library


def all_kernels() -> list[str]:
    """The C files of all kernels."""
    return [str(source) for source in sorted(KERNELS.glob("*.c"))]


def compile_c(*arguments: str) -> None:
    """Run the C compiler that ships as a Python package; its complaints become the failure's text."""
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        *WARNINGS,
        "-fno-sanitize=undefined",
        *arguments,
    ]  # later flags win
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class NativeModel:
    """One compiled model. Each instance has a library of its own, and so an arena of its own."""

    def __init__(self, graph: Graph, folder: Path, *, flags: Sequence[str] = (), **options: Any) -> None:
        self.graph = graph
        self.sources = codegen.generate(graph, **options)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.sources.files.items():
            (folder / name).write_text(text)
        shared = folder / "model.so"
        kernels = kernel_library(folder.parent / f"kernels{abs(hash(tuple(flags)))}", *flags)
        # Constants need no optimiser: -O0 makes large models compile quickly.
        model = str(folder / "model.c")
        compile_c("-shared", "-fPIC", "-O0", *flags, f"-I{KERNELS}", model, str(kernels), "-o", str(shared))
        self.code = ctypes.CDLL(str(shared))
        self.model = NnModel.in_dll(self.code, "nn_the_model")
        self.arena = (ctypes.c_uint8 * self.model.arena_bytes).from_address(self.model.arena)

    def digest(self) -> int:
        """CRC-32 over the digested blocks, from the bytes in the library."""
        crc = 0
        for i in range(self.model.n_digested):
            block = self.model.digested[i]
            crc = zlib.crc32(ctypes.string_at(block.data, block.bytes), crc)
        return crc

    def read(self, position: int) -> Array:
        """A tensor's bytes as the graph's dtype and shape."""
        entry = self.model.tensors[position]
        tensor = self.graph.tensors[entry.id]
        raw = bytes(self.arena[entry.offset : entry.offset + entry.bytes])
        return np.frombuffer(raw, tensor.dtype).reshape(tensor.shape)

    def write(self, position: int, values: Array) -> None:
        entry = self.model.tensors[position]
        raw = np.ascontiguousarray(values).tobytes()
        assert len(raw) == entry.bytes
        ctypes.memmove(self.model.arena + entry.offset, raw, len(raw))

    def run(self, *inputs: Array, forced: Mapping[int, Array] | None = None, fill: int = 0x55) -> dict[int, Array]:
        """Run op by op; every op's outputs by tensor index, read at the pause after it.

        With `forced` (reference tensors by index) each op gets the reference's inputs, as a forced run does.
        """
        ctypes.memset(self.model.arena, fill, self.model.arena_bytes)
        for i, values in enumerate(inputs):
            self.write(self.model.inputs[i], values)
        results: dict[int, Array] = {}
        for k in range(self.model.n_ops):
            op = self.model.ops[k]
            if op.run:
                RUN(op.run)(self.model.arena)
            for i in range(op.n_outputs):
                index = self.model.tensors[op.outputs[i]].id
                results[index] = self.read(op.outputs[i])
                if forced is not None:
                    self.write(op.outputs[i], forced[index])
        return results
