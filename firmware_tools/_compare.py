"""Two engines over a set of images, op by op, in one pass with bounded memory: errors, verdicts, agreement.

What happens with each image is in `_run`; here is the door, and the `Comparison` made of what was added up.
"""

import contextlib
import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firmware_tools._crew import Crew
from firmware_tools._matrix import Pairs, seats
from firmware_tools._run import Run
from firmware_tools.engines import input_tensors
from firmware_tools.pictures import Expectation, expectation
from firmware_tools.reference.keras_engine import KerasEngine
from firmware_tools.results import Comparison, DataInfo, Diagnosis, EngineInfo, Matrix, OpResult, RunVerdict, Verdict
from tfviz.errors import InputError, LinkError
from tfviz.trace import Engine

if TYPE_CHECKING:
    from tfviz.data import Batch, Dataset

Array = npt.NDArray[Any]
# Images that are in memory at once with every tensor: at most so many, and of large models fewer.
BATCH = 16
BATCH_BYTES = 1 << 28
TOLERANCES = ("rounding",)


def compare(
    reference: Engine,
    engine: Engine,
    images: "Dataset | Array",
    *,
    labels: npt.ArrayLike | None = None,
    float_engine: KerasEngine | None = None,
    expected: Expectation | None = None,
    tolerate: str | None = None,
    samples: int = 1,
    matrix: bool = False,
    crew: Sequence[Engine] = (),
    progress: Callable[[int], object] = lambda _: None,
) -> Comparison:
    """Compare `engine` with `reference` on every image.

    Either may be the float Keras model; then each op is measured against the layer that it came from, and no verdict
    in LSB is given.

    Args:
        reference: what is right.
        engine: what is judged.
        images: a `tfviz.data.Dataset`, or an array: uint8 pixels `(B, H, W, C)`, floats, or integers that are
            quantised already.
        labels: of an array, `(B,)`.
        float_engine: the float model; with it SQNR and its like are measured against the layers' float tensors.
        expected: what the model expects of pixels; None: pixels go in as they are, 0..255.
        tolerate: `rounding` lets ROUNDING and INHERITED ops pass.
        samples: how many of the first images are kept with every tensor, for the page.
        matrix: also compare every pair of reference, engine and float model, in a free run.
        crew: more engines like `engine`, of the same model, which run images beside it, each in its thread (emulated
            boards spend their time outside of Python).
        progress: told how many more images are done.

    Returns:
        The `Comparison`. Sizes of a board are those of the engine, where it has one.

    Raises:
        InputError: no images, images that the model does not take, or engines with different ops.
        LinkError: a device went silent.
    """
    found = compare_all(
        reference,
        [(engine, *crew)],
        images,
        labels=labels,
        float_engine=float_engine,
        expected=expected,
        tolerate=tolerate,
        samples=samples,
        matrix=matrix,
        progress=progress,
    )[0]
    if isinstance(found, LinkError):
        raise found
    return found


def compare_all(
    reference: Engine,
    crews: Sequence[Sequence[Engine]],
    images: "Dataset | Array",
    *,
    labels: npt.ArrayLike | None = None,
    float_engine: KerasEngine | None = None,
    expected: Expectation | None = None,
    tolerate: str | None = None,
    samples: int = 1,
    matrix: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> "list[Comparison | LinkError]":
    """Compare several engines with one reference, side by side; the reference runs each image once.

    Args:
        reference: what is right.
        crews: what is judged; each is engines of one model and kind that share the images among them.
        images, labels, float_engine, expected, tolerate, samples, progress: as in `compare`.
        matrix: also compare every pair of all these engines; each `Comparison` then holds the whole matrix.

    Returns:
        A `Comparison` of each crew, or the error of a crew whose last device died; the others went on.

    Raises:
        InputError: as in `compare`.
    """
    started = time.monotonic()
    if tolerate is not None and tolerate not in TOLERANCES:
        raise InputError(f"Tolerate {tolerate!r}? It is one of {', '.join(TOLERANCES)}.")
    if any(other.fingerprint != crew[0].fingerprint for crew in crews for other in crew):
        raise InputError("The engines that run images side by side have different models.")
    expected = expected or _default(reference, crews[0][0])
    dead: dict[Run, LinkError] = {}
    pairs = Pairs()
    with contextlib.ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(max_workers=len(crews)))
        pools = [stack.enter_context(ThreadPoolExecutor(max_workers=len(crew))) for crew in crews]
        teams = [Crew(crew, pool) for crew, pool in zip(crews, pools, strict=True)]
        runs = [Run(reference, c[0], float_engine, expected, samples, t) for c, t in zip(crews, teams, strict=True)]
        stack.enter_context(_interruptible(teams))  # before the threads are waited for
        size = _batch_size([reference, *(crew[0] for crew in crews), *([float_engine] if float_engine else [])])
        for batch in _batches(images, labels, size):
            alive = [run for run in runs if run not in dead]
            if not alive:
                break
            known = alive[0].known(batch.images)
            shared = [known if _same_float(run, alive[0]) else run.known(batch.images) for run in alive]
            errors = list(threads.map(_added, alive, [batch] * len(alive), shared))
            dead |= {run: error for run, error in zip(alive, errors, strict=True) if error is not None}
            if matrix and len(dead) < len(runs):
                pairs.add(seats(runs, dead))
            progress(len(batch.images))
    if not runs[0].count and not dead:
        raise InputError("There are no images to compare on.")
    seconds = time.monotonic() - started
    found = pairs.result() if matrix else None
    return [dead[run] if run in dead else _comparison(run, images, tolerate, seconds, found) for run in runs]


@contextlib.contextmanager
def _interruptible(teams: Sequence[Crew]) -> Iterator[None]:
    """End the runs of all teams where the user interrupts: on a slow line an image may take minutes."""
    try:
        yield
    except KeyboardInterrupt:
        for team in teams:
            team.stop()
        raise


def _same_float(one: Run, other: Run) -> bool:
    return (one.float and one.float.engine) is (other.float and other.float.engine)


def _added(run: Run, batch: "Batch", known: Any) -> LinkError | None:
    """Take a batch in; the error of a run whose last device died."""
    try:
        run.add(batch, known)
    except LinkError as error:
        return error
    return None


def _default(reference: Engine, engine: Engine) -> Expectation:
    for candidate in (engine, reference):
        tensors = input_tensors(candidate)
        if tensors:
            return expectation((), tensors[0].shape)
    assert isinstance(engine, KerasEngine)
    return expectation((), (1, *engine.inputs[0].shape))


def _batch_size(engines: Sequence[Engine]) -> int:
    """How many images' tensors of all these engines are held at once."""
    total = 0
    for engine in engines:
        graph = getattr(engine, "graph", None)
        if isinstance(engine, KerasEngine):
            total += engine.bytes_an_image
        elif graph is not None:
            total += sum(tensor.elements for tensor in graph.tensors if not tensor.is_constant)
    return max(1, min(BATCH, BATCH_BYTES // max(total, 1)))


def _batches(images: "Dataset | Array", labels: npt.ArrayLike | None, size: int) -> "Iterable[Batch]":
    if not isinstance(images, np.ndarray):
        yield from images.batches(size)
        return
    from tfviz.data import Batch

    known = None if labels is None else np.asarray(labels, np.int64)
    if known is not None and known.shape != (len(images),):
        raise InputError(f"{len(images)} images need as many labels; the labels have the shape {known.shape}.")
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        names = tuple(f"image {i}" for i in range(start, start + len(images[part])))
        yield Batch(images[part], None if known is None else known[part], None, names)


def _comparison(
    run: Run, images: "Dataset | Array", tolerate: str | None, seconds: float, matrix: Matrix | None
) -> Comparison:
    """What was found."""
    ops = _with_macs(tuple(tally.result() for tally in run.tallies), run.engine.engine)
    names = _names(run.reference.engine, run.engine.engine, run.float.engine if run.float else None)
    engines = [run.reference.engine, run.engine.engine, *([run.float.engine] if run.float else [])]
    infos = tuple(
        EngineInfo(role, names[role], engine.kernels, engine.fingerprint)
        for role, engine in zip(("reference", "engine", "float"), engines, strict=False)
    )
    diagnosis = None if run.missing else _diagnosis(run)
    named = diagnosis is not None and diagnosis.hypothesis is not None
    costs = [op.instructions for op in ops if op.instructions is not None]
    return Comparison(
        verdict=RunVerdict.FAIL if run.missing else _run_verdict(ops, tolerate),
        ops=ops,
        engines=infos,
        exact_ops=sum(op.verdict is Verdict.EXACT for op in ops),
        total_ops=len(ops) + run.missing,
        images=run.count,
        data=(_data_info(images, run.count),),
        measured_against=names["float"] if run.float else names["reference"],
        class_names=run.expected.class_names or tuple(getattr(images, "class_names", ())),
        **run.class_tally.results(names),
        first_divergent=next((op.index for op in ops if op.verdict not in (Verdict.EXACT, Verdict.MEASURED)), None),
        worst=_worst(ops),
        tolerated=tolerate,
        cause=diagnosis.cause if diagnosis is not None and (named or run.cause is None) else run.cause,
        diagnosis=diagnosis,
        instructions=sum(costs) if costs else None,
        **_memory(run.engine.engine),
        unpaired=run.unpaired,
        notes=tuple(dict.fromkeys([*run.notes, *getattr(run.engine.engine, "notes", ()), *run.crew.notes])),
        seconds=round(seconds, 3),
        matrix=matrix,
        samples=tuple(run.samples),
    )


def _with_macs(ops: tuple[OpResult, ...], engine: Engine) -> tuple[OpResult, ...]:
    """The ops with their multiplications, where the engine knows its graph."""
    graph = getattr(engine, "graph", None)
    known = {} if graph is None else {(op.index, op.name): graph.op_macs(op) for op in graph.ops}
    return tuple(dataclasses.replace(op, macs=known.get((op.index, op.op))) for op in ops)


def _diagnosis(run: Run) -> Diagnosis | None:
    """Why the two differ: hypotheses replayed on the images that differ earliest, which the engine runs anew."""
    if not run.apart:
        return None
    from firmware_tools._diagnose import diagnose

    images = np.concatenate([image for _, image in run.apart])
    living = run.crew.living()
    engine = getattr(living, "unkept", living)
    try:
        return diagnose(run.reference.engine, engine, images, preprocess=run.expected.preprocess)
    except (InputError, LinkError) as error:
        run.notes.append(f"Why the two differ was not found out: {error}")
        return None


def _run_verdict(ops: tuple[OpResult, ...], tolerate: str | None) -> RunVerdict:
    passing = {Verdict.EXACT} | ({Verdict.ROUNDING, Verdict.INHERITED} if tolerate == "rounding" else set())
    verdicts = {op.verdict for op in ops}
    if verdicts <= passing:
        return RunVerdict.PASS
    return RunVerdict.MEASURED if verdicts <= passing | {Verdict.MEASURED} else RunVerdict.FAIL


def _worst(ops: tuple[OpResult, ...]) -> int | None:
    """The op with the largest difference in LSB; where none is measured in LSB, the one with the lowest SQNR."""
    apart = [op for op in ops if op.max_lsb]
    if apart:
        return max(apart, key=lambda op: op.max_lsb or 0).index
    noisy = [op for op in ops if op.max_lsb is None and op.sqnr_db is not None and op.sqnr_db < np.inf]
    return min(noisy, key=lambda op: op.sqnr_db if op.sqnr_db is not None else np.inf).index if noisy else None


def _names(reference: Engine, engine: Engine, real: Engine | None) -> dict[str, str]:
    """A name for each role; two engines of one kind are told apart."""
    names = {"reference": reference.name, "engine": engine.name}
    if reference.name == engine.name:
        names = {role: f"{name} ({role})" for role, name in names.items()}
    if real is not None:
        names["float"] = names["reference"] if real is reference else names["engine"] if real is engine else real.name
    return names


def _data_info(images: "Dataset | Array", count: int) -> DataInfo:
    if isinstance(images, np.ndarray):
        identity = hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()[:16]
        return DataInfo("evaluation", "array", None, count, identity)
    return DataInfo("evaluation", images.spec, images.split, count, images.identity)


def _memory(engine: Engine) -> dict[str, Any]:
    """What the firmware takes of its board, and the arena, where the engine has them."""
    built = getattr(engine, "build", None)
    if not dataclasses.is_dataclass(built):
        return {}
    from firmware_tools import memory

    known: Any = built  # a `Build`, known by its fields alone here
    names = ("flash_bytes", "flash_total", "ram_bytes", "ram_total", "arena_bytes", "stack_bytes")
    machine: Any = getattr(engine, "machine", None)  # an emulated core, whose stack was painted at reset
    plan = memory.plan(known_graph) if (known_graph := getattr(engine, "graph", None)) is not None else None
    return {
        "board": known.board.name,
        "arena_lower_bound": None if plan is None else plan.lower_bound,
        "stack_used": None if machine is None else machine.stack_used(),
        **{name: getattr(known, name) for name in names},
    }
