"""What can reach what: derivatives with every weight taken as 1 and every non-linearity as the identity.

A unit's ordinary gradient is zero wherever a weight, a closed ReLU or a lost maximum makes it so by accident. With
these rules it is positive exactly where the layers' arithmetic (kernels, strides, dilation, padding, branches) lets a
value through, whatever the weights and the picture.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tfviz.errors import InputError

Rule = Callable[[Any, Any], Any]
# Each gives out what comes in, element by element, from every input that is a tensor of numbers.
_ELEMENTWISE = (
    *("Abs", "Elu", "Erf", "Erfc", "Exp", "Expm1", "LeakyRelu", "Log", "Log1p", "Neg", "Reciprocal", "Relu", "Relu6"),
    *("Rsqrt", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Square", "Tanh", "Sin", "Cos", "Sign"),
    *("AddV2", "Mul", "Sub", "RealDiv", "Div", "DivNoNan", "Maximum", "Minimum", "SquaredDifference", "Pow"),
)
_REDUCTIONS = ("Max", "Min", "Prod", "Mean", "Sum")


def _marked(values: Any) -> Any:
    """1 where something came through."""
    return tf.cast(tf.abs(values) > 0, values.dtype)


def _elementwise(op: Any, gradient: Any) -> Any:
    mark = _marked(gradient)
    found = [_unbroadcast(mark, source) for source in op.inputs]
    return found[0] if len(found) == 1 else found


def _unbroadcast(mark: Any, source: Any) -> Any:
    """Gather what went to the copies that broadcasting made of one element."""
    if source.shape.rank == mark.shape.rank and source.shape.is_compatible_with(mark.shape):
        return mark
    over, _ = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(source), s1=tf.shape(mark))
    return tf.reshape(tf.reduce_max(mark, axis=over), tf.shape(source))


def _reduction(op: Any, gradient: Any) -> list[Any]:
    source, axes = op.inputs
    kept = tf.reduce_max(tf.zeros_like(source), axis=axes, keepdims=True)
    return [_marked(tf.reshape(gradient, tf.shape(kept)) + tf.zeros_like(source)), None]


def _softmax(_op: Any, gradient: Any) -> Any:
    return _marked(tf.reduce_max(tf.abs(gradient), axis=-1, keepdims=True) + tf.zeros_like(gradient))


def _batch_norm(op: Any, gradient: Any, *_: Any) -> list[Any]:
    return [_marked(gradient), *([None] * (len(op.inputs) - 1))]


def _matmul(op: Any, gradient: Any) -> list[Any]:
    """Of `x W`: every input of a row reaches every output of it."""
    return [_marked(tf.reduce_max(tf.abs(gradient), axis=-1, keepdims=True) + tf.zeros_like(op.inputs[0])), None]


def _convolution(op: Any, gradient: Any) -> list[Any]:
    source, kernel = op.inputs
    seen = _marked(tf.reduce_max(tf.abs(gradient), axis=-1, keepdims=True))
    back = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=tf.concat([tf.shape(source)[:3], [1]], 0),
        filter=tf.ones(tf.concat([tf.shape(kernel)[:2], [1, 1]], 0), seen.dtype),
        out_backprop=seen,
        **_geometry(op, "explicit_paddings"),
    )
    return [_marked(back + tf.zeros_like(source)), None]


def _depthwise(op: Any, gradient: Any) -> list[Any]:
    source, kernel = op.inputs
    back = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
        input_sizes=tf.shape(source),
        filter=tf.ones_like(kernel),
        out_backprop=_marked(gradient),
        **_geometry(op, "explicit_paddings"),
    )
    return [_marked(back), None]


def _transposed(op: Any, gradient: Any) -> list[Any]:
    _, kernel, source = op.inputs
    seen = _marked(tf.reduce_max(tf.abs(gradient), axis=-1, keepdims=True))
    back = tf.raw_ops.Conv2D(
        input=seen,
        filter=tf.ones(tf.concat([tf.shape(kernel)[:2], [1, 1]], 0), seen.dtype),
        **_geometry(op, "explicit_paddings"),
    )
    return [None, None, _marked(back + tf.zeros_like(source))]


def _max_pool(op: Any, gradient: Any) -> Any:
    return _marked(
        tf.raw_ops.AvgPoolGrad(
            orig_input_shape=tf.shape(op.inputs[0]),
            grad=_marked(gradient),
            ksize=op.get_attr("ksize"),
            strides=op.get_attr("strides"),
            padding=op.get_attr("padding"),
        )
    )


def _geometry(op: Any, *more: str) -> dict[str, Any]:
    named = {name: op.get_attr(name) for name in ("strides", "padding", "dilations", *more)}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in named.items()}


RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "FusedBatchNormV3": _batch_norm,
    "MatMul": _matmul,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed,
    "MaxPool": _max_pool,
    "StopGradient": _elementwise,
}

for _kind, _rule in RULES.items():
    tf.RegisterGradient(f"TfvizReach{_kind}")(_rule)


@contextmanager
def everything_passes() -> Iterator[None]:
    """Differentiate by these rules what is run inside.

    Raises:
        InputError: the model can only be run eagerly.
    """
    if tf.executing_eagerly():
        raise InputError("What a unit can see is read off a model that TensorFlow can compile; this one runs eagerly.")
    with tf.compat.v1.get_default_graph().gradient_override_map({kind: f"TfvizReach{kind}" for kind in RULES}):
        yield
