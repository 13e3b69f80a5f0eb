"""The first class activation map, in closed form: no gradient, just the weights of the head."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.cam.layer import spatial_layer
from tfviz.cam.members import weighted
from tfviz.emptiness import warn_of_empty
from tfviz.errors import InputError
from tfviz.heads import heads
from tfviz.passes import in_parts
from tfviz.tap import Batch, Tap, prepare, run, steady, survey
from tfviz.tap.derivative import as_answer
from tfviz.target import plan

# What may stand between the pooled layer and the logits without changing their numbers in inference.
_WITHOUT_EFFECT = ("Dropout", "Flatten", "Reshape", "ActivityRegularization", "Identity")


def class_activation_map(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    layer: Any = None,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """CAM: sum_k w_k A^k with w_k the head's weight of channel k for the class; signed, `(B, h, w)`.

    For models that end in a layer, global average pooling (or average pooling over the whole map), and one Dense (with
    or without softmax or sigmoid). There, its mean is the logit without the bias, and Grad-CAM before its ReLU is this
    map divided by the number of places.
    Source: Zhou et al. 2016, equations 1 and 2.

    Args:
        target: None, a class, one for each image, or a class name.

    Raises:
        InputError: the model does not end so, or the target is no class.
    """
    with steady(model):
        batch = prepare(model, images)
        tap = spatial_layer(model, layer)
        head = _head_after(model, tap)
        wanted = plan(model, target, len(batch), class_names=class_names)
        if wanted.quantity != "logit" or wanted.function is not None:
            raise InputError("The closed-form CAM explains a class's logit; use grad_cam for other targets.")
        body = partial(_body, batch.structure, len(batch.arrays), tap, head, wanted.predicted, wanted.output)
        key = ("class-activation-map", tap, head)
        maps = np.asarray(in_parts(model, key, body, batch, wanted, batch_size=batch_size)[0])
    warn_of_empty("cam", maps, "no channel of that layer speaks for the class or against it; try another class.")
    return maps


def _head_after(model: Any, tap: Tap) -> Tap:
    """The Dense layer of a head that is pooling and Dense alone, checked call by call."""
    calls = list(survey(model).calls)
    position = next(i for i, call in enumerate(calls) if call.tap == Tap(tap.path, tap.call))
    size = calls[position].shapes[0][1:3]
    # A nested model's own call ends where its last layer's does and computes nothing.
    after = [call for call in calls[position + 1 :] if not _is_model(call.layer())]
    kinds = [type(call.layer()).__name__ for call in after]
    core = [(kind, call) for kind, call in zip(kinds, after, strict=True) if kind not in _WITHOUT_EFFECT]
    ends_well = len(core) == 2 or (len(core) == 3 and core[2][0] in ("Softmax", "Activation"))
    if tap.pre or not ends_well or not _averages_all(core[0][1].layer(), size) or core[1][0] != "Dense":
        raise InputError(
            f"CAM in closed form needs global average pooling and one Dense after {tap.path!r}; after it come "
            f"{', '.join(kinds) or 'no layers'}. Use grad_cam, or name the layer before the pooling."
        )
    return core[1][1].tap


def _averages_all(layer: Any, size: tuple[int | None, ...]) -> bool:
    """Whether a layer gives the mean of each channel of maps of this size."""
    if isinstance(layer, keras.layers.AveragePooling2D):
        return bool(tuple(layer.pool_size) == size)
    return isinstance(layer, keras.layers.GlobalAveragePooling2D)


def _is_model(layer: Any) -> bool:
    return isinstance(layer, keras.Model)


def _body(
    structure: Any, count: int, tap: Tap, head: Tap, predicted: bool, position: int, model: Any, *tensors: Any
) -> tuple[Any, list[Any]]:
    inputs = keras.tree.map_structure(lambda index: tensors[index], structure)
    # The pooled layer is all that is needed, unless the class is the prediction.
    outcome = run(model, inputs, (tap,), stop=not predicted)
    k = heads(outcome.outputs)[position].prediction() if predicted else tensors[count]
    kernel = as_answer(tf.convert_to_tensor(_layer(model, head).kernel))
    if kernel.shape[1] == 1:
        weights = kernel[:, 0] * tf.cast(2 * k - 1, kernel.dtype)[:, None]
    else:
        weights = tf.gather(tf.transpose(kernel), k)
    maps = weighted(as_answer(outcome.tapped[0]), weights)
    return tf.zeros(tf.shape(maps)[:1], tf.bool), [tf.cast(maps, tf.float32)]


def _layer(model: Any, tap: Tap) -> Any:
    return next(call.layer() for call in survey(model).calls if call.tap == tap)


__all__ = ["Batch", "class_activation_map"]
