"""Engines in Ray's processes, here or on a cluster: each runs images beside the others, as one more of a crew.

Only the runs are handed away. What they add up to is counted here, in the order of the images, so that a comparison
finds the same, to the last bit, whoever ran what.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfviz._ray import work_in
from tfviz.errors import InputError, LinkError
from tfviz.trace import Array, Closing, Trace


class Host:
    """What Ray starts: an engine in a process of its own."""

    def __init__(self, folder: str, spec: str, options: Mapping[str, Any]) -> None:
        from firmware_tools.engines import open_engine

        work_in(folder)
        self._engine = open_engine(spec, **options)

    def facts(self) -> tuple[str, str, str]:
        """Name, kernels and fingerprint of the engine."""
        return self._engine.name, self._engine.kernels, self._engine.fingerprint

    def run(self, inputs: Mapping[str, Array], options: Mapping[str, Any]) -> Trace | Exception:
        """One run; its error as a value, since Ray would wrap it."""
        try:
            return self._engine.run(inputs, **options)
        except (InputError, LinkError) as error:
            return error


class RemoteEngine(Closing):
    """An engine that a `Host` runs."""

    def __init__(self, ray: Any, host: Any, name: str) -> None:
        self._ray, self._host = ray, host
        try:
            self.name, self.kernels, self.fingerprint = ray.get(host.facts.remote())
        except ray.exceptions.RayError as error:
            said = " ".join(str(error).split())
            raise InputError(f"Ray could not open {name}: {said[-300:]}") from error

    def run(
        self, inputs: Mapping[str, Array], *, reference: Trace | None = None, forced: bool = False, read: bool = True
    ) -> Trace:
        """As `Engine.run`; LinkError where the process died."""
        options = {"reference": reference, "forced": forced, "read": read}
        try:
            answer = self._ray.get(self._host.run.remote(dict(inputs), options))
        except self._ray.exceptions.RayError as error:
            raise LinkError(f"{self.name}: its process is gone ({type(error).__name__}).") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self) -> None:
        """End a run that is under way."""
        self.close()

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._host)


def open_remote(ray: Any, spec: str, workers: int, options: Mapping[str, Any]) -> list[RemoteEngine]:
    """So many engines like `spec`, one a process, each with a processor to itself.

    Raises:
        InputError: one cannot be opened.
    """
    actor = ray.remote(num_cpus=1)(Host)
    hosts = [actor.remote(str(Path.cwd()), spec, dict(options)) for _ in range(workers)]
    return [RemoteEngine(ray, host, spec) for host in hosts]
