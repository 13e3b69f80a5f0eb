"""Ray, where it is installed: joining a cluster, or starting it on this machine for as long as it is needed."""

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from tfviz.errors import InputError


@contextlib.contextmanager
def connected(address: str | None, processors: int) -> Iterator[Any]:
    """Yield the module `ray`, with at least so many processors; what was started here ends here.

    Args:
        address: of a cluster that runs (`auto`, `ray://HOST:PORT`); None: this machine.
        processors: that the work needs. On this machine Ray is told that it has them, whatever it has.

    Raises:
        InputError: Ray is not installed, nobody answers at the address, or the cluster is too small.
    """
    try:
        ray: Any = import_module("ray")
        import_module("ray.data")
    except ImportError as error:
        raise InputError('Ray is not installed here; pip install "tfviz[ray]" brings it.') from error
    started = not ray.is_initialized() and _start(ray, address, processors)
    try:
        there = int(ray.cluster_resources().get("CPU", 0))
        if there < processors:
            raise InputError(f"{processors} processors are needed, and Ray has {there}; ask for fewer workers.")
        yield ray
    finally:
        if started:
            ray.shutdown()


def _start(ray: Any, address: str | None, processors: int) -> bool:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone
    local = {"num_cpus": max(processors, os.cpu_count() or 1), "include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **local)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if address is None:
            raise
        raise InputError(f"There is no Ray cluster at {address}: {str(error).splitlines()[0]}") from error
    return True


def work_in(folder: str) -> None:
    """Look for models and data where the command was given, in a process that was started elsewhere."""
    if Path(folder).is_dir():
        os.chdir(folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)
