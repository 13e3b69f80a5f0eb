"""A model's outputs, with the logits behind their softmax or sigmoid. Imported by target alone."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

# Ops that hand the same numbers on in the same order, so that what is before them stands for what is after them.
_SAME_NUMBERS = frozenset({"Identity", "Cast", "Reshape", "Squeeze", "ExpandDims"})
# Ops that end a linear layer: what they give is no probability, whatever its value.
_LINEAR = frozenset({"MatMul", "BatchMatMulV2", "BiasAdd", "Add", "AddV2", "Conv2D", "Einsum"})
_TINY = 1e-30  # of a squared length
_SQUASHING = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}


@dataclasses.dataclass(frozen=True)
class Head:
    """One output's logits `(B, K)`, or `(B, ..., K)` before a mask; `squash` is what the model puts after them.

    A head of one unit is of two classes: class 1 is its logit, class 0 the negative of it.
    """

    logits: Any
    squash: str
    linear: bool = False

    def under(self, mask: Any) -> "Head":
        """The logits summed over a mask `(B, ...)`."""
        weights = tf.cast(mask, self.logits.dtype)[..., tf.newaxis]
        return Head(
            tf.reduce_sum(self.logits * weights, axis=list(range(1, self.logits.shape.rank - 1))), self.squash, True
        )

    @property
    def one_unit(self) -> bool:
        """Whether one logit stands for two classes."""
        return self.logits.shape[-1] == 1

    def prediction(self) -> Any:
        """Each image's own class, int32."""
        if self.one_unit:
            return tf.cast(self.logits[:, 0] > 0, tf.int32)
        return tf.argmax(self.logits, axis=-1, output_type=tf.int32)

    def logit(self, k: Any) -> Any:
        """The logit of class `k`, `(B,)`."""
        if self.one_unit:
            return self.logits[:, 0] * tf.cast(2 * k - 1, self.logits.dtype)
        return self.unit(k)

    def probability(self, k: Any) -> Any:
        """The probability of class `k`, `(B,)`."""
        if self.one_unit or self.squash == "sigmoid":
            return tf.sigmoid(self.logit(k))
        return tf.gather(tf.nn.softmax(self.logits), k, axis=1, batch_dims=1)

    def cross_entropy(self, label: Any) -> Any:
        """-log probability of `label`, `(B,)`; of a sigmoid head, the sum of its units' binary cross-entropies."""
        if self.one_unit:
            return tf.nn.softplus(-self.logit(label))
        if self.squash == "sigmoid":
            truth = tf.one_hot(label, self.logits.shape[-1], dtype=self.logits.dtype)
            return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(truth, self.logits), axis=1)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(label, self.logits)

    def against_rivals(self, k: Any, count: int, strength: float) -> Any:
        """The logit of class `k` less `strength` times the mean logit of the nearest `count` others, `(B,)`."""
        own = self.logit(k)
        if self.one_unit:  # class 0 is the only rival of class 1, and has the negative logit
            return (1 + strength) * own
        fixed = tf.stop_gradient(self.logits)
        apart = tf.abs(fixed - tf.stop_gradient(own)[:, tf.newaxis])
        itself = tf.one_hot(k, self.logits.shape[-1], dtype=tf.bool, on_value=True, off_value=False)
        _, rivals = tf.math.top_k(-tf.where(itself, fixed.dtype.max, apart), count)
        weights = tf.nn.softmax(tf.gather(fixed, rivals, batch_dims=1))
        return own - strength * tf.reduce_sum(weights * tf.gather(self.logits, rivals, batch_dims=1), axis=1)

    def unit(self, k: Any) -> Any:
        """The number of unit `k`, `(B,)`."""
        return tf.gather(self.logits, k, axis=1, batch_dims=1)

    def similarity(self, reference: Any) -> Any:
        """The cosine of the angle to `(B, D)`, `(B,)`; 0 for a zero vector."""
        ours = tf.math.l2_normalize(self.logits, axis=1, epsilon=_TINY)
        theirs = tf.math.l2_normalize(tf.cast(reference, ours.dtype), axis=1, epsilon=_TINY)
        return tf.reduce_sum(ours * theirs, axis=1)

    def seems_probability(self) -> Any:
        """For each image, whether the numbers taken for logits are between 0 and 1 and sum to 1."""
        if self.one_unit or self.linear:
            return tf.zeros_like(self.logits[:, 0], tf.bool)
        low = tf.reduce_min(self.logits, axis=-1)
        return (low >= 0) & (tf.abs(tf.reduce_sum(self.logits, axis=-1) - 1) < 1e-3)


def heads(outputs: Any) -> list[Head]:
    """The heads of a model's outputs, in the order in which their structure flattens."""
    return [_head(tensor) for tensor in keras.tree.flatten(outputs)]


def raw(outputs: Any) -> list[Head]:
    """The outputs as they are, with nothing undone."""
    return [Head(_with_units(_as_float(tensor)), "", linear=True) for tensor in keras.tree.flatten(outputs)]


def _as_float(tensor: Any) -> Any:
    return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)


def _with_units(tensor: Any) -> Any:
    return tensor[:, tf.newaxis] if tensor.shape.rank == 1 else tensor


def _head(tensor: Any) -> Head:
    eager = tf.executing_eagerly()
    found, squash = (_logits_by_mark if eager else _logits_in_graph)(tensor)
    logits = _as_float(found)
    if squash:
        logits = tf.reshape(logits, tf.shape(tensor))
        logits.set_shape(tensor.shape)
    return Head(_with_units(logits), squash, not eager and _before(found).op.type in _LINEAR)


def _before(tensor: Any) -> Any:
    """The tensor whose numbers `tensor` hands on."""
    while tensor.op.type in _SAME_NUMBERS:
        tensor = tensor.op.inputs[0]
    return tensor


def _logits_in_graph(tensor: Any) -> tuple[Any, str]:
    """Walk back from an output to the softmax or sigmoid that made it."""
    at = _before(tensor)
    if at.op.type in _SQUASHING and len(at.op.inputs) == 1:
        return at.op.inputs[0], _SQUASHING[at.op.type]
    return tensor, ""


def _logits_by_mark(tensor: Any) -> tuple[Any, str]:
    """Without a graph: Keras marks the result of a softmax or sigmoid with its input; believed once it is verified."""
    logits = getattr(tensor, "_keras_logits", None)
    if logits is None or logits.shape != tensor.shape:
        return tensor, ""
    ways: Sequence[tuple[str, Any]] = (("softmax", tf.nn.softmax), ("sigmoid", tf.sigmoid))
    for squash, function in ways:
        if bool(tf.reduce_all(tf.abs(function(logits) - tensor) < 1e-3)):
            return logits, squash
    return tensor, ""
