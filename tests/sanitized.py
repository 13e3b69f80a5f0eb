"""The generated C as a program of this computer under AddressSanitizer and UndefinedBehaviorSanitizer."""

import functools
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from native import KERNELS, WARNINGS, all_kernels

from firmware_tools import codegen
from firmware_tools.graph import Graph

HERE = Path(__file__).parent
FLAGS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{KERNELS}")

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc here: it brings the sanitizers' run time")


def gcc(*arguments: str, cwd: Path | None = None) -> None:
    done = subprocess.run(["gcc", *WARNINGS, *arguments], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr


@functools.cache
def kernels(folder: Path) -> list[str]:
    """All kernels as objects, compiled once."""
    folder.mkdir(parents=True, exist_ok=True)
    gcc(*FLAGS, "-c", *all_kernels(), cwd=folder)
    return [str(path) for path in folder.glob("*.o")]


class SanitizedModel:
    """One model as a program; `run` starts it once for all inputs."""

    def __init__(self, graph: Graph, folder: Path, **options: Any) -> None:
        self.graph = graph
        sources = codegen.generate(graph, **options)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [f"{{{sources.plan.scratch.get(op.index, 0)}, {self.scratch_bytes(graph, op)}}}," for op in graph.ops]
        table = "static const struct { uint32_t offset, bytes; } scratch[] = {\n" + "\n".join(rows) + "\n};\n"
        for name, text in {**sources.files, "scratch.h": table}.items():
            (folder / name).write_text(text)
        self.program = folder / "sanitized"
        own = [str(folder / "model.c"), str(HERE / "sanitized.c")]
        gcc(*FLAGS, "-O0", f"-I{folder}", *own, *kernels(folder.parent / "sanitized_kernels"), "-o", str(self.program))

    @staticmethod
    def scratch_bytes(graph, op) -> int:
        return codegen.needs_of(graph, op).scratch

    def run(self, *rounds: Sequence[npt.NDArray]) -> list[dict[int, npt.NDArray]]:
        """Every op's outputs by tensor index, for each round of inputs."""
        given = b"".join(np.ascontiguousarray(values).tobytes() for inputs in rounds for values in inputs)
        done = subprocess.run([str(self.program)], input=given, capture_output=True, timeout=600)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[:3000]
        said, results = done.stdout, []
        for _ in rounds:
            made = {}
            for op in self.graph.ops:
                for index in op.outputs:
                    tensor = self.graph.tensors[index]
                    made[index] = np.frombuffer(said[: tensor.bytes], tensor.dtype).reshape(tensor.shape)
                    said = said[tensor.bytes :]
            results.append(made)
        assert said == b""
        return results
