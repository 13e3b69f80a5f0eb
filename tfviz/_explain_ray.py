"""Hand shards to Ray Data: one actor a worker, each with the model loaded once; their bytes come back to be written.

The driver alone writes, so a cluster needs no shared place for the maps, and a shard that Ray does twice (a worker
died) is still written once.
"""

import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tfviz._explain import Explainer, Work, use_threads, work_in
from tfviz.errors import InputError


class Worker:
    """What Ray starts in each of its processes."""

    def __init__(self, work: Work, folder: str) -> None:
        work_in(folder)
        use_threads(work.threads)
        self._explainer = Explainer(work)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """One shard. A sentence for the user comes back as a value: Ray would wrap it into a traceback."""
        number = int(row["shard"])
        try:
            return {"shard": number, "data": self._explainer(number), "error": ""}
        except InputError as error:
            return {"shard": number, "data": b"", "error": str(error)}


def run(
    work: Work, numbers: Sequence[int], *, address: str | None = None, workers: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """The shards as they are done, in any order.

    Raises:
        InputError: Ray is not installed, there is no cluster at the address, too few processors, or bad data.
    """
    try:
        ray: Any = import_module("ray")
        import_module("ray.data")
    except ImportError as error:
        raise InputError('Ray is not installed here; pip install "tfviz[ray]" brings it.') from error
    if not numbers:
        return
    started = _connect(ray, address, work.threads * (workers or 1))
    try:
        processors = int(ray.cluster_resources().get("CPU", 0))
        crew = workers or max(1, processors // work.threads)
        if crew * work.threads > processors:
            raise InputError(
                f"{crew} workers of {work.threads} threads need {crew * work.threads} processors; Ray has {processors}."
            )
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = ray.data.from_items([{"shard": number} for number in numbers], override_num_blocks=len(numbers))
        done = rows.map(
            Worker,
            fn_constructor_args=(work, str(Path.cwd())),
            compute=ray.data.ActorPoolStrategy(size=min(crew, len(numbers))),
            num_cpus=work.threads,
        )
        for row in done.iter_rows():
            if row["error"]:
                raise InputError(row["error"])
            yield int(row["shard"]), row["data"]
    finally:
        if started:
            ray.shutdown()


def _connect(ray: Any, address: str | None, processors: int) -> bool:
    """Join the cluster, or start Ray here; whether it was started (or joined) now."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone
    local = {"num_cpus": max(processors, os.cpu_count() or 1), "include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **local)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if address is None:
            raise
        raise InputError(f"There is no Ray cluster at {address}: {str(error).splitlines()[0]}") from error
    return True
