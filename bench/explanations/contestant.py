"""One contestant, a process of its own: `python -m explanations.contestant ours a`, from the folder `bench`.

Every line in asks for one thing, every line out answers it, both JSON. `call` runs an item once and times it;
`answer` writes what it returned; `peak` gives the most memory that the process ever held.
"""

import importlib
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SHORT = 50.0  # milliseconds; before each timed call of less, an untimed one warms the processor's caches


def timed(run: Callable[[], Any]) -> dict[str, float]:
    """Milliseconds on the clock, and of all processors' time spent on this process."""
    start, spent = time.perf_counter(), time.process_time()
    run()
    return {"ms": 1e3 * (time.perf_counter() - start), "cpu": 1e3 * (time.process_time() - spent)}


def megabytes() -> float:
    """The memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


class Contestant:
    """Finds its module, builds the network, and does what it is asked."""

    def __init__(self, name: str, net: str) -> None:
        from explanations.nets import NETS

        module = importlib.import_module(f"explanations.{name}" if name in ("ours", "floors") else f"peers.{name}")
        self.net = NETS[net]()
        self.items = module.items(self.net)
        self.answers = getattr(module, "answers", lambda _: {})(self.net)
        self.short: set[str] = set()

    def own(self, compiled: bool) -> dict[str, float]:
        """The model's own call, as it is or compiled by Keras: the first of a process is its first call."""
        model, x = self.net.model, self.net.images
        return timed(lambda: model.predict(x, batch_size=len(x), verbose=0) if compiled else model(x))

    def call(self, item: str) -> dict[str, float]:
        run = self.items[item]
        if item in self.short:
            run()
        spent = timed(run)
        if spent["ms"] < SHORT:
            self.short.add(item)
        return spent

    def answer(self, item: str, path: str) -> dict[str, Any]:
        import numpy as np

        found = (self.answers.get(item) or self.items[item])()
        np.savez(path, *[np.asarray(part) for part in (found if isinstance(found, list) else [found])])
        return {}

    def do(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What one line asks for."""
        from explanations import endurance

        match asked:
            case {"do": "items"}:
                return {"items": list(self.items), "answers": list(self.answers)}
            case {"do": "own", "compiled": compiled}:
                return self.own(compiled)
            case {"do": "call", "item": item}:
                return self.call(item)
            case {"do": "answer", "item": item, "path": path}:
                return self.answer(item, path)
            case {"do": "peak"}:
                return {"megabytes": peak()}
            case {"do": "endure", "what": what, "tfviz": with_tfviz, "times": times}:
                return endurance.TESTS[what](with_tfviz, times)
        raise ValueError(f"{asked} asks for nothing known")


def main() -> None:
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    contestant = Contestant(*sys.argv[1:3])
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            result = contestant.do(json.loads(line))
        except Exception as error:  # told to the one who asked
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), file=answers, flush=True)


if __name__ == "__main__":
    main()
