"""What is not a time: memory against the floor and the number of samples, compilations, leaks; in fresh processes."""

from collections.abc import Iterator

from explanations.process import Process

MEMORY_LIMIT = 1.1
# On small networks 50 samples are less than one chunk, so 200 fill it a little more; from there on nothing grows.
GROWTH_LIMIT = 1.1
CALLS, MODELS = 10_000, 200
# What two runs of one loop differ by: the allocator's and TensorFlow's own pools, in MB.
CALLS_NOISE, MODELS_NOISE = 4.0, 16.0
Found = Iterator[tuple[str, bool]]


def _peak(name: str, net: str, item: str) -> float:
    with Process(name, net) as process:
        for _ in range(2):
            process.milliseconds(item)
        return float(process.ask(do="peak")["megabytes"])


def memory(net: str) -> Found:
    """The most memory that a process ever held that did this one thing twice, MB."""
    for item in ("Grad-CAM", "Integrated Gradients x 50"):
        floor, ours = (_peak(name, net, item) for name in ("floors", "ours"))
        ratio = ours / floor
        yield (
            f"peak memory, {item} on {net}: floor {floor:.0f} MB, ours {ours:.0f} MB ({ratio:.2f})",
            ratio <= MEMORY_LIMIT,
        )
    more = _peak("ours", net, "Integrated Gradients x 200")
    yield f"peak memory with 200 samples instead of 50: {more:.0f} MB ({more / ours:.2f})", more / ours <= GROWTH_LIMIT


def compilations() -> Found:
    """A new class, a last partial batch and new weights compile nothing."""
    with Process("ours", "a") as process:
        found = process.ask(do="endure", what="retraces", tfviz=True, times=1)
    for method, count in found.items():
        if count:
            yield f"{method}: compiled {count:.0f} times for a new class, batch or weights", False
    yield (
        f"no compilation for a new class, a last partial batch, new weights: {len(found)} methods",
        not any(found.values()),
    )


def leaks() -> Found:
    """Long loops grow no more with tfviz than without."""
    for what, times, noise in (("calls", CALLS, CALLS_NOISE), ("models", MODELS, MODELS_NOISE)):
        grown = []
        for with_tfviz in (False, True):
            with Process("ours", "a") as process:
                grown.append(process.ask(do="endure", what=what, tfviz=with_tfviz, times=times)["megabytes"])
        line = f"{times} {what}: grown by {grown[1]:.1f} MB, without tfviz by {grown[0]:.1f} MB"
        yield line, grown[1] <= grown[0] + noise
