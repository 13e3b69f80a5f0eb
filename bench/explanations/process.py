"""The host's end of a contestant: starts the process, asks, reads the answer."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

BENCH = Path(__file__).parents[1]
PEERS = BENCH.parent / "build" / "peers"  # where `make peers` puts them
PEER_NAMES = {"tf_keras_vis": "tf-keras-vis", "xplique": "Xplique", "tf_explain": "tf-explain"}


class ContestantError(RuntimeError):
    """A contestant could not do what it was asked."""


def peers() -> list[str]:
    """The peers that are installed."""
    return [name for name in PEER_NAMES if (PEERS / name).is_dir()]


class Process:
    """A contestant with a network, in a process of its own; a context manager that ends it."""

    def __init__(self, name: str, net: str) -> None:
        self.name, self.net = name, net
        environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", PYTHONPATH=str(PEERS) if name in PEER_NAMES else "")
        command = [sys.executable, "-m", "explanations.contestant", name, net]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            command,
            cwd=BENCH,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def __enter__(self) -> "Process":
        self._read()
        self.items: list[str] = self.ask(do="items")["items"]
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()

    def ask(self, **what: Any) -> dict[str, Any]:
        """One question, one answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise ContestantError(f"{self.name} on {self.net} ended:\n{self._log.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContestantError(f"{self.name} on {self.net}: {answer['error']}")
        return answer

    def call(self, item: str) -> dict[str, float]:
        """One timed call: `ms` on the clock, `cpu` of processor time."""
        return self.ask(do="call", item=item)

    def milliseconds(self, item: str) -> float:
        """One timed call on the clock."""
        return float(self.call(item)["ms"])

    def answer(self, item: str) -> list[Any]:
        """What an item returns."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/answer.npz"
            self.ask(do="answer", item=item, path=path)
            with np.load(path) as arrays:
                return list(arrays.values())
