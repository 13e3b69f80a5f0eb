"""Hand shards to Ray Data: one actor a worker, each with the model loaded once; their bytes come back to be written.

The driver alone writes, so a cluster needs no shared place for the maps, and a shard that Ray does twice (a worker
died) is still written once.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfviz._explain import Explainer, Work, use_threads
from tfviz._ray import connected, work_in
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
    if not numbers:
        return
    with connected(address, work.threads * (workers or 1)) as ray:
        crew = workers or max(1, int(ray.cluster_resources()["CPU"]) // work.threads)
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
