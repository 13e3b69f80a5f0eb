"""A `.tflite` in tflite-runtime's or LiteRT's interpreter: its tables, its inferences, every tensor of them."""

import contextlib
import importlib
import os
import struct
import threading
import zlib
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .outputs import outputs_of, with_outputs

MODEL_BYTES = 512 << 20
TENSOR_BYTES = 1 << 30
"""A model file larger than the first, or one whose tensors take more than the second, is not served."""

_RUNTIMES = ("tflite_runtime.interpreter", "ai_edge_litert.interpreter")


class ServeError(ValueError):
    """What cannot be served, in one sentence."""


class ServedModel:
    """A model in the runtime's interpreter: its tables, and one inference at a time.

    `rows` are TENSORS' rows, `ops` the activations (inputs, outputs) of each op in the order of the `.tflite`.

    Raises:
        ServeError: no such file, no runtime, or a model that it does not run.
    """

    def __init__(self, path: str | os.PathLike[str], *, kernels: str = "default", threads: int = 1) -> None:
        data = _read(Path(path))
        if threads < 1:
            raise ServeError(f"At least one thread has to run; {threads} were asked for.")
        module = _runtime()
        self.name = Path(path).name
        self.digest = zlib.crc32(data)
        self._lock = threading.Lock()
        distribution = module.__name__.partition(".")[0].replace("_", "-")
        self.engine = f"{distribution} {metadata.version(distribution)}, {kernels} kernels, {threads} thread(s)"
        nodes = _nodes(_interpreter(module, data, kernels, threads))
        made = [int(tensor) for node in nodes for tensor in node["outputs"]]
        try:
            self.outputs = outputs_of(data)
        except ValueError as error:
            raise ServeError(f"{path} is {error}.") from error
        every = [*self.outputs, *(tensor for tensor in made if tensor not in self.outputs)]
        self._interpreter = _interpreter(module, with_outputs(data, every), kernels, threads)
        details = {int(detail["index"]): detail for detail in self._interpreter.get_tensor_details()}
        self.inputs = [int(detail["index"]) for detail in self._interpreter.get_input_details()]
        births = dict.fromkeys(self.inputs, 0)
        for index, node in enumerate(nodes):
            births.update((int(tensor), index + 1) for tensor in node["outputs"])
        self.ops = [
            (tuple(int(i) for i in node["inputs"] if int(i) in births), tuple(map(int, node["outputs"])))
            for node in nodes
        ]
        self._kinds = {index: (details[index]["dtype"], tuple(details[index]["shape"])) for index in births}
        values = self.run({index: bytes(self.bytes_of(index)) for index in self.inputs})  # that all can be read
        self.sizes = {index: len(data) for index, data in values.items()}
        offsets = np.cumsum([0, *(self.sizes[index] for index in births)])
        if offsets[-1] > TENSOR_BYTES:
            raise ServeError(f"{self.name} has tensors of {offsets[-1]:,} bytes; at most {TENSOR_BYTES:,} are served.")
        self.rows = [
            struct.pack("<HHHHII", index, births[index], len(nodes), position, offsets[position], self.sizes[index])
            for position, index in enumerate(births)
        ]
        self.births = births
        self.arena_bytes = int(offsets[-1])

    def bytes_of(self, index: int) -> int:
        """Size of a tensor before anything has run."""
        kind, shape = self._kinds[index]
        return int(np.dtype(kind).itemsize * np.prod(shape, dtype=np.int64))

    def run(self, inputs: dict[int, bytes]) -> dict[int, bytes]:
        """One inference; the bytes of all activations, inputs included."""
        with self._lock:
            for index, data in inputs.items():
                kind, shape = self._kinds[index]
                self._interpreter.set_tensor(index, np.frombuffer(data, kind).reshape(shape))
            made = {tensor for _, outputs in self.ops for tensor in outputs}
            try:
                self._interpreter.invoke()
                return {**inputs, **{index: self._interpreter.get_tensor(index).tobytes() for index in made}}
            except (ValueError, RuntimeError) as error:
                raise ServeError(f"The runtime does not run {self.name}: {error}.") from error


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MODEL_BYTES:
            raise ServeError(f"{path} is larger than {MODEL_BYTES:,} bytes.")
        data = path.read_bytes()
    except OSError as error:
        raise ServeError(f"{path} cannot be read: {error.strerror}.") from error
    if data[4:8] != b"TFL3":
        raise ServeError(f"{path} is not a .tflite file.")
    return data


def _runtime() -> Any:
    for name in _RUNTIMES:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    raise ServeError("No runtime: pip install ai-edge-litert, or 'tflite-runtime==2.14.*' 'numpy<2' up to Python 3.11.")


def _interpreter(module: Any, data: bytes, kernels: str, threads: int) -> Any:
    resolver = {"default": "AUTO", "reference": "BUILTIN_REF"}.get(kernels)
    if resolver is None:
        raise ServeError(f"There are no kernels {kernels!r}; there are default and reference.")
    try:
        made = module.Interpreter(
            model_content=data, num_threads=threads, experimental_op_resolver_type=module.OpResolverType[resolver]
        )
        made.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ServeError(f"The runtime does not take this model: {str(error).splitlines()[0]}.") from error
    return made


def _nodes(interpreter: Any) -> list[dict[str, Any]]:
    """The ops of the file; those that a delegate has put in their place are not."""
    return [node for node in interpreter._get_ops_details() if node["op_name"] != "DELEGATE"]
