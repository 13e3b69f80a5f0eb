"""Derivatives inside a compiled run, and the same in an eager one; how ReLUs are differentiated is a rule."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tfviz.errors import InputError

# Half-precision gradients of a mean over thousands of places are denormal; a power of two lifts them, exactly.
_LIFT = 1024.0


class Derivative:
    """Differentiates scores: by a tape, or, where rules or second derivatives ask for it, by `tf.gradients`.

    The tape knows which sources matter while the model runs, so that a sixth fewer operations are traced.
    """

    def __init__(self, tape: Any) -> None:
        self._tape = tape
        self.watches = False
        """Whether something is differentiated with respect to that has been made already."""

    def watch(self, tensor: Any) -> None:
        """Say that `tensor` will be differentiated with respect to, before it is used."""
        self.watches = True
        if self._tape is not None and tensor.dtype.is_floating:
            self._tape.watch(tensor)

    def of(self, score: Any, sources: Sequence[Any]) -> list[Any]:
        """d sum(score) / d source for each source, float32 (float64 for a float64 model); zeros where none flows."""
        half = any(source.dtype in (tf.float16, tf.bfloat16) for source in sources)
        lift = tf.fill(tf.shape(score), tf.cast(_LIFT, score.dtype)) if half else None
        if self._tape is None:
            found = tf.gradients(score, list(sources), grad_ys=lift, unconnected_gradients="zero")
        else:
            found = self._tape.gradient(score, list(sources), output_gradients=lift, unconnected_gradients="zero")
        return [as_answer(gradient) / _LIFT if half else as_answer(gradient) for gradient in found]

    def curvature(self, gradients: Sequence[Any], sources: Sequence[Any]) -> list[Any]:
        """H a for each source a and its gradient: the second derivative of the score at a, along a itself.

        Raises:
            InputError: the model runs eagerly.
        """
        if self._tape is not None:
            raise InputError("Second derivatives need a model that TensorFlow can compile; this one runs eagerly.")
        found = []
        for gradient, source in zip(gradients, sources, strict=True):
            along = tf.reduce_sum(gradient * tf.stop_gradient(as_answer(source)))
            found += tf.gradients(along, [source], unconnected_gradients="zero")
        return [as_answer(second) for second in found]


def as_answer(tensor: Any) -> Any:
    """float32, but float64 stays."""
    return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)


@contextmanager
def derivative(*, symbolic: bool = False) -> Iterator[Derivative]:
    """What runs inside can be differentiated; where it is compiled, `symbolic` allows rules and second derivatives."""
    if symbolic and not tf.executing_eagerly():
        yield Derivative(None)
        return
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        yield Derivative(tape)


def _relu(op: Any, gradient: Any) -> Any:
    return tf.raw_ops.ReluGrad(gradients=gradient, features=op.outputs[0])


def _relu6(op: Any, gradient: Any) -> Any:
    return tf.raw_ops.Relu6Grad(gradients=gradient, features=op.outputs[0])


def _leaky_relu(op: Any, gradient: Any) -> Any:
    return tf.raw_ops.LeakyReluGrad(gradients=gradient, features=op.inputs[0], alpha=op.get_attr("alpha"))


def _elu(op: Any, gradient: Any) -> Any:
    return tf.raw_ops.EluGrad(gradients=gradient, outputs=op.outputs[0])


def _selu(op: Any, gradient: Any) -> Any:
    return tf.raw_ops.SeluGrad(gradients=gradient, outputs=op.outputs[0])


_RECTIFIERS: dict[str, Callable[[Any, Any], Any]] = {
    "Relu": _relu,
    "Relu6": _relu6,
    "LeakyRelu": _leaky_relu,
    "Elu": _elu,
    "Selu": _selu,
}


def _register(kind: str, own: Callable[[Any, Any], Any]) -> None:
    tf.RegisterGradient(f"TfvizGuided{kind}")(lambda op, gradient: own(op, tf.nn.relu(gradient)))
    tf.RegisterGradient(f"TfvizDeconvnet{kind}")(lambda _, gradient: tf.nn.relu(gradient))


for _kind, _own in _RECTIFIERS.items():
    _register(_kind, _own)


@contextmanager
def rectifiers(rule: str) -> Iterator[None]:
    """Differentiate the rectifiers that are run inside by a rule: "guided", "deconvnet", or "" for the plain one.

    Guided (Springenberg et al. 2015): only what is positive goes back, and only where the unit was active. Deconvnet
    (Zeiler and Fergus 2014): only what is positive goes back, wherever the unit was active or not.

    Raises:
        InputError: the model can only be run eagerly, or has no rectifier that the rule could be applied to.
    """
    if not rule:
        yield
        return
    if tf.executing_eagerly():
        raise InputError(f"The {rule} rule needs a model that TensorFlow can compile; this one runs eagerly.")
    graph = tf.compat.v1.get_default_graph()
    before = {op.name for op in graph.get_operations()}
    with graph.gradient_override_map({kind: f"Tfviz{rule.capitalize()}{kind}" for kind in _RECTIFIERS}):
        yield
    if not any(op.type in _RECTIFIERS for op in graph.get_operations() if op.name not in before):
        raise InputError(f"The model has no ReLU (or ELU, SELU, leaky ReLU), so the {rule} rule does not apply to it.")
