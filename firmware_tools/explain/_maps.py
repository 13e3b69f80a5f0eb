"""The methods that explain an engine: from its own feature map, or from what it answers to changed pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools._feed import Feed
from firmware_tools.explain._head import Head, head_of, logits_of, step_output
from firmware_tools.explain._predict import logit_predictor
from firmware_tools.graph import Graph
from firmware_tools.pictures import Expectation
from firmware_tools.reference.keras_engine import KerasEngine
from tfviz.errors import InputError
from tfviz.trace import Engine, Trace

Array = npt.NDArray[Any]
Maps = npt.NDArray[np.float32]

METHODS = ("cam", "ablation-cam", "eigen-cam", "score-cam", "occlusion", "rise")
_FROM_HEAD = ("cam", "ablation-cam")
# How tfviz names them for the float model. Of a head that is linear in the map, HiResCAM is the map in closed form.
_OF_KERAS = {"cam": "hires_cam"}


def explain(
    engine: Engine,
    images: Array,
    target: "int | Sequence[int] | str | None" = None,
    *,
    method: str = "cam",
    expected: Expectation,
    graph: Graph | None = None,
    samples: int = 500,
    patch: int | None = None,
    seed: int = 0,
) -> Maps:
    """Where the engine looks, `(B, h, w)` float32 and raw.

    - `cam`: ReLU(sum_k w_k A_k) of the engine's own last feature map A and the head's weights, times the integers'
      scales; divided by the map's area after global average pooling, so that the sum before the ReLU is the logit
      without its bias. Source: Zhou et al. 2016; with a dense layer on a flattened map Draelos and Carin 2020.
    - `ablation-cam`: ReLU(sum_k (y - y_k) / y A_k), y_k the logit without channel k. With such a head that is
      arithmetic on the engine's own map and takes no run more. Source: Desai and Ramaswamy 2020.
    - `eigen-cam`: the map's first principal component. Source: Muhammad and Yeasin 2020.
    - `score-cam`: ReLU(sum_k softmax(y(x M_k)) A_k), M_k channel k over the picture, y asked of the engine. Source:
      Wang et al. 2020.
    - `occlusion`, `rise`: of `tfviz.perturb`, with the engine as the black box, at the picture's resolution.

    An int as target means the logit, also where the model ends in softmax.

    Args:
        engine: open: on this computer, emulated, a board, or the float Keras model (which tfviz explains).
        images: uint8 `(B, H, W, C)`, RGB or grey.
        target: a class, one for each image, a name, or None for what the engine itself says.
        method: one of `METHODS`.
        expected: what the model expects of pictures, and its class names.
        graph: the `.tflite`; needed for a recorded trace alone.
        samples: of RISE.
        patch: of occlusion, in pixels; default: a quarter of the shorter side.
        seed: of RISE's masks.

    Raises:
        InputError: an unknown method or class, a head that is not linear, an engine that hides its tensors.
    """
    maps, _ = explained(
        engine,
        images,
        target,
        method=method,
        expected=expected,
        graph=graph,
        samples=samples,
        patch=patch,
        seed=seed,
    )
    return maps


def explained(
    engine: Engine,
    images: Array,
    target: Any,
    *,
    method: str,
    expected: Expectation,
    graph: Graph | None = None,
    samples: int = 500,
    patch: int | None = None,
    seed: int = 0,
) -> tuple[Maps, npt.NDArray[np.int64]]:
    """The maps as `explain` makes them, and the class that the engine itself names for each image."""
    if method not in METHODS:
        raise InputError(f"There is no method {method!r} for engines; there are {', '.join(METHODS)}.")
    options: dict[str, Any] = {}
    if method == "occlusion":
        options = {"patch": patch or max(1, min(images.shape[1:3]) // 4)}
    if method == "rise":
        options = {"samples": samples, "seed": seed}
    if isinstance(engine, KerasEngine):
        outputs = [trace.outputs[0].real.reshape(-1) for trace in Feed(engine, expected).runs(images, read=False)]
        said = np.array([_float_class(one) for one in outputs], np.int64)
        classes = said if target is None else class_indices(target, outputs, expected.class_names)
        return _of_keras(engine, images, classes, method, expected, options), said
    own = graph or getattr(engine, "graph", None)
    if own is None:
        raise InputError(f"{engine.name} does not bring its model; name the .tflite with --model.")
    head = head_of(own) if method in _FROM_HEAD else None
    traces = list(Feed(engine, expected).runs(images, read=True))
    logits = [logits_of(own, trace) for trace in traces]
    said, classes = (class_indices(wanted, logits, expected.class_names) for wanted in (None, target))
    if method in ("occlusion", "rise"):
        from tfviz import perturb

        predict = _two_sided(logit_predictor(engine, own, preprocess=expected.preprocess))
        return np.asarray(getattr(perturb, method)(predict, images, classes, **options), np.float32), said
    maps = np.concatenate([_last_map(own, trace, head) for trace in traces])
    if method == "score-cam":
        predict = _two_sided(logit_predictor(engine, own, preprocess=expected.preprocess))
        weights = _scores_through(predict, images, maps, classes)
        return _rectified(np.einsum("bhwk,bk->bhw", maps, weights)), said
    return from_maps(maps, classes, method=method, head=head), said


def from_maps(maps: Array, classes: Array, *, method: str, head: Head | None) -> Maps:
    """`cam`, `ablation-cam` or `eigen-cam` of feature maps `(B, h, w, K)`: what needs no engine any more."""
    if method == "eigen-cam":
        return _rectified(np.stack([_first_component(one) for one in maps]))
    assert head is not None
    if method == "cam":
        return _rectified(head.terms(maps, classes).sum(axis=-1))
    logits = head.logits(maps, classes)[:, np.newaxis]
    weights = np.divide(
        head.contributions(maps, classes), logits, out=np.zeros((len(maps), maps.shape[-1])), where=logits != 0
    )
    return _rectified(np.einsum("bhwk,bk->bhw", maps, weights))


def feature_maps(
    engine: Engine, image: Array, *, expected: Expectation, op: int | None = None, graph: Graph | None = None
) -> tuple[str, Maps]:
    """An op's name and its output for one image, `(h, w, channels)`, read back from the engine.

    Args:
        op: its index; None for the last with places.

    Raises:
        InputError: no such op, or one without places (of float Keras: an index of its layers' calls).
    """
    trace = next(iter(Feed(engine, expected).runs(image, read=True)))
    own = graph or getattr(engine, "graph", None)
    names = {} if own is None else {one.index: one.layer for one in own.ops}
    if op is None:
        found = next((step for step in reversed(trace.steps) if _has_places(step.output.values.shape)), None)
    else:
        found = next((step for step in trace.steps if step.index == op), None)
    if found is None or not _has_places(found.output.values.shape):
        usable = [str(step.index) for step in trace.steps if _has_places(step.output.values.shape)]
        raise InputError(f"{trace.engine} has no maps at op {op}; ops with maps: {', '.join(usable) or 'none'}.")
    return names.get(found.index, found.name) or found.name, found.output.real[0]


def class_indices(target: Any, logits: Sequence[Array], class_names: Sequence[str]) -> npt.NDArray[np.int64]:
    """The class of each image: what was asked for, or what the engine says."""
    count = max(len(logits[0]), 2)
    if target is None:
        said = [int(one[0] > 0) if len(one) == 1 else int(np.argmax(one)) for one in logits]
        return np.array(said, np.int64)
    if isinstance(target, str):
        if target not in class_names:
            known = ", ".join(class_names) or "none are recorded beside the model"
            raise InputError(f"There is no class {target!r}; classes: {known}.")
        target = list(class_names).index(target)
    classes = np.broadcast_to(np.asarray(target, np.int64), (len(logits),))
    if classes.min() < 0 or classes.max() >= count:
        raise InputError(f"Class {int(classes.max())} was asked for; the model has the classes 0 to {count - 1}.")
    return classes


def _of_keras(
    engine: KerasEngine, images: Array, target: Any, method: str, expected: Expectation, options: dict[str, Any]
) -> Maps:
    import tfviz

    function = getattr(tfviz, _OF_KERAS.get(method, method.replace("-", "_")))
    values = next(iter(Feed(engine, expected).inputs(images).values()))
    if method in ("occlusion", "rise"):
        # The engines' black patch is black pixels: what those are to the model depends on its preprocessing.
        options["fill"] = np.asarray(expected.real(np.zeros_like(images[:1])))[0, 0, 0]
    return np.asarray(function(engine.model, values, target, **options), np.float32)


def _float_class(outputs: Array) -> int:
    """The class that float outputs name; a head of one unit is taken for a sigmoid where all lies in 0..1."""
    if len(outputs) > 1:
        return int(np.argmax(outputs))
    return int(outputs[0] > (0.5 if 0 <= outputs[0] <= 1 else 0))


def _last_map(graph: Graph, trace: Trace, head: Head | None) -> Array:
    """The last feature map, (1, h, w, K): before the head, or the last that has places."""
    if head is not None:
        return step_output(trace, head.op).real
    for op in reversed(graph.ops):
        if _has_places(graph.tensors[op.outputs[0]].shape):
            return step_output(trace, op.index).real
    raise InputError(f"{graph.name} has no feature map: no tensor of it has places.")


def _has_places(shape: Sequence[int]) -> bool:
    return len(shape) == 4 and shape[1] * shape[2] > 1


def _first_component(values: Array) -> Array:
    """A v, v the first right singular vector of A (places, channels), turned so that the map's sum is positive."""
    matrix = values.reshape(-1, values.shape[-1]).astype(np.float64)
    _, vectors = np.linalg.eigh(matrix.T @ matrix)
    map_ = (matrix @ vectors[:, -1]).reshape(values.shape[:2])
    return np.asarray(-map_ if map_.sum() < 0 else map_)


def _scores_through(predict: Any, images: Array, maps: Array, classes: Array) -> Array:
    """Score-CAM's weights `(B, K)`: the softmax over the channels of the score of the picture seen through each."""
    from tfviz.image import resize

    made = []
    for image, one, k in zip(images, maps, classes, strict=True):
        masks = np.asarray(resize(np.moveaxis(one, -1, 0), image.shape[:2]))
        low, high = (edge(masks, axis=(1, 2), keepdims=True) for edge in (np.min, np.max))
        masks = np.divide(masks - low, high - low, out=np.zeros_like(masks), where=high > low)
        # uint8 pixels, as a picture has them: the engine's own rounding follows.
        seen = np.rint(image.astype(np.float32) * masks[..., np.newaxis]).astype(np.uint8)
        scores = predict(seen)[:, k].astype(np.float64)
        shares = np.exp(scores - scores.max())
        made.append(shares / shares.sum())
    return np.stack(made)


def _two_sided(predict: Any) -> Any:
    """A head of one unit answers for two classes: class 1 its logit, class 0 the negative."""

    def both(images: Array) -> Array:
        scores = predict(images)
        return np.concatenate([-scores, scores], axis=1) if scores.shape[1] == 1 else scores

    return both


def _rectified(signed: Array) -> Maps:
    return np.maximum(signed, 0).astype(np.float32)
