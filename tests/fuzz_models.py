"""Real models with bytes changed, given to all that open a model: `python fuzz_models.py MODEL FOLDER SEED COUNT`.

Each changed file must be taken or refused with a sentence (`InputError`), in bounded time and memory, also by the
interpreters of the desktop, which never see what `graph.load` refuses. Prints how many files got how far, and what was
found, as JSON; files that were found lie in FOLDER.
"""

import json
import os
import resource
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from firmware_tools import codegen, graph, memory, reference
from tfviz.errors import InputError

SECONDS = 60
"""A file that takes longer than this has no bound; the slowest unchanged model takes about one second."""
MEGABYTES = 1500
"""Memory that a file may take; the largest unchanged model takes about 30."""
WORDS = (0, 1, 2, 3, 4, 127, 255, 2**15, 2**16, 2**24, 2**28, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1)


def structure(data: bytes) -> np.ndarray:
    """Positions of the bytes that are no weights: where a change means something."""
    model = schema.Model.GetRootAs(data, 0)
    free = np.ones(len(data), bool)
    start = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    for i in range(model.BuffersLength()):
        values = model.Buffers(i).DataAsNumpy()
        if isinstance(values, np.ndarray):
            first = values.__array_interface__["data"][0] - start
            free[first : first + values.size] = False
    return np.flatnonzero(free[: len(data) - 4])


def mutated(data: bytes, places: np.ndarray, rng: np.random.Generator) -> bytes:
    """One to four changes: words, bits, bytes, words exchanged, a piece cut out or said twice, the end cut off."""
    changed = bytearray(data)
    for _ in range(int(rng.choice((1, 1, 1, 2, 4)))):
        at, other = (min(int(place), len(changed) - 8) for place in rng.choice(places, 2))
        match int(rng.integers(0, 12)):
            case 0:
                del changed[int(rng.integers(8, len(changed))) :]
                changed += bytes(8)
            case 1:
                del changed[at : at + 4 * int(rng.integers(1, 9))]
            case 2:
                changed[at:at] = changed[other : other + 4 * int(rng.integers(1, 9))]
            case 3 | 4:
                changed[at] ^= 1 << int(rng.integers(0, 8))
            case 5:
                changed[at] = int(rng.integers(0, 256))
            case 6 | 7:
                changed[at : at + 4], changed[other : other + 4] = changed[other : other + 4], changed[at : at + 4]
            case 8:
                near = int.from_bytes(changed[at : at + 4], "little") + int(rng.integers(-9, 10))
                changed[at : at + 4] = (near % 2**32).to_bytes(4, "little")
            case _:
                changed[at : at + 4] = int(rng.choice(WORDS)).to_bytes(4, "little")
    return bytes(changed)


def opened(data: bytes) -> str:
    """How far a file gets: `"refused"`, else which of the generator and the two interpreters take it."""
    try:
        loaded = graph.load(data)
    except InputError as error:
        return told("refused", error)
    took = []
    for name, taker in TAKERS.items():
        try:
            taker(loaded)
            took.append(name)
        except InputError as error:
            told(name, error)
    return "+".join(took) or "taken by none"


def told(outcome: str, error: InputError) -> str:
    assert "\n" not in str(error), error
    assert 20 < len(str(error)) < 12_000, error
    return outcome


def generate(loaded: graph.Graph) -> None:
    memory.plan(loaded)
    codegen.generate(loaded)


def run(engine, loaded: graph.Graph) -> None:
    images = {}
    for index in loaded.inputs:
        tensor = loaded.tensors[index]
        assert tensor.bytes  # or a refusal: half a byte a value
        images[tensor.name] = np.zeros(tensor.shape, graph.DTYPES[tensor.dtype])
    with engine(loaded) as opened_engine:
        opened_engine.run(images)


TAKERS = {
    "C": generate,
    "tflm": lambda loaded: run(reference.tflm, loaded),
    "litert": lambda loaded: run(reference.litert, loaded),
}


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def opened_in_a_child(data: bytes) -> str:
    """As `opened`, but what ends a process ends the child's: an interpreter's fault is one file's."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        before, status = megabytes(), 1
        try:
            os.write(write, opened(data).encode())
            status = 0 if megabytes() - before < MEGABYTES else 2
        except BaseException:
            os.write(write, traceback.format_exc().encode()[-4000:])
        os._exit(status)
    os.close(write)
    with os.fdopen(read, encoding="utf-8", errors="replace") as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise AssertionError(f"exit code {code}: {said}")
    return said


def main(path: str, folder: str, seed: int, count: int) -> int:
    data = Path(path).read_bytes()
    assert opened(data) == "C+tflm+litert"
    places, rng = structure(data), np.random.default_rng(seed)
    reached: Counter[str] = Counter()
    finds = []
    for trial in range(count):
        changed = mutated(data, places, rng)
        try:
            graph.load(changed)
        except InputError as error:
            reached[told("refused", error)] += 1
            continue
        try:
            reached[opened_in_a_child(changed)] += 1
        except AssertionError as error:
            finds.append(f"trial {trial}: {error}")
            (Path(folder) / f"find_{seed}_{trial}.tflite").write_bytes(changed)
    sys.stdout.write(json.dumps({"reached": reached, "finds": finds}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
