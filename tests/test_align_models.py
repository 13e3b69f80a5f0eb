"""Alignment of whole networks, against a truth from another file: the same model as float32, where an op's output and
its layer's tensor agree in four digits, and no noise of 8 bits can mislead."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
from test_align import written

from firmware_tools import compare
from firmware_tools import graph as graphs
from firmware_tools.align import Alignment, align
from firmware_tools.convert import convert
from firmware_tools.engines import open_engine
from firmware_tools.quantize import model_input
from firmware_tools.reference import KerasEngine
from tfviz import data
from tfviz.trace import Trace

SAME = 1e-5  # of the signal's power: 50 dB
FAMILIES = {
    "VGG16": (32, {}),
    "ResNet50": (32, {}),
    "ResNet50V2": (32, {}),
    "DenseNet121": (32, {}),
    "MobileNet": (32, {"alpha": 0.25}),
    "MobileNetV2": (32, {"alpha": 0.35}),
    "MobileNetV3Small": (32, {}),
    "MobileNetV3Large": (32, {}),
    "EfficientNetB0": (32, {}),
    "EfficientNetV2B0": (32, {}),
    "InceptionV3": (75, {}),
    "InceptionResNetV2": (75, {}),
    "Xception": (71, {}),
    "NASNetMobile": (32, {}),
    "ConvNeXtTiny": (32, {}),
}


def dogs(size: int, count: int) -> np.ndarray:
    return data.load("dog-poses", split="test", limit=count, size=size).whole().images.astype(np.float32) / 127.5 - 1


def lived_in(model, x: np.ndarray):
    """The model with norms that have seen data: other scales and shifts, and statistics of their own inputs.

    ConvNeXt's blocks begin at a millionth of what they add to: in 8 bits they are nothing, and have no partner.
    """
    import keras

    for layer in model._flatten_layers():
        if type(layer).__name__ == "LayerScale":
            layer.gamma.assign(np.random.default_rng(1).uniform(0.3, 0.8, layer.gamma.shape))
        if isinstance(layer, keras.layers.LayerNormalization):
            layer.beta.assign(np.random.default_rng(2).normal(0, 0.2, layer.beta.shape))
            layer.gamma.assign(np.random.default_rng(3).uniform(0.5, 1.5, layer.gamma.shape))
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    random = np.random.default_rng(0)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        if norm.gamma is not None:
            norm.gamma.assign(random.uniform(0.5, 1.5, norm.gamma.shape))
        if norm.beta is not None:
            norm.beta.assign(random.normal(0, 0.2, norm.beta.shape))
        norm.momentum = 0.0
    if norms:
        model(x, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model


def of_family(family: str):
    """A model of `keras.applications` and pictures of its size."""
    import keras

    size, options = FAMILIES[family]
    keras.utils.set_random_seed(1)
    x = dogs(size, 12)
    make = getattr(keras.applications, family)
    return lived_in(make(weights=None, input_shape=(size, size, 3), classes=10, **options), x), x


def traces(tflite: Path, x: np.ndarray) -> list[Trace]:
    with open_engine(f"litert-xnnpack:{tflite}") as engine:
        tensor = engine.graph.tensors[engine.graph.inputs[0]]
        q = model_input(x, tensor)
        return [engine.run({tensor.name: q[i : i + 1]}) for i in range(len(q))]


def truth(tflite: Path, floats: list[Trace], x: np.ndarray) -> dict[str, set[str]]:
    """By name of the op's output: the layers whose tensor it is."""
    found: dict[str, set[str]] = {}
    made = traces(tflite, x)
    for place, step in enumerate(made[0].steps):
        y = np.stack([trace.steps[place].output.values.ravel() for trace in made]).astype(np.float64)
        found[step.output.name] = set()
        for k, layer in enumerate(floats[0].steps):
            if layer.output.values.size == y.shape[1]:
                values = np.stack([trace.steps[k].output.values.ravel() for trace in floats]).astype(np.float64)
                if ((values - y) ** 2).sum() < SAME * (values**2).sum():
                    found[step.output.name].add(layer.name)
    return found


def without_names(tflite: Path, out: Path) -> Path:
    """The same file, every tensor's name replaced by a number that says nothing."""

    def change(model, _):
        order = np.random.default_rng(0).permutation(len(model.subgraphs[0].tensors))
        for number, tensor in zip(order, model.subgraphs[0].tensors, strict=True):
            tensor.name = f"{number}".encode()

    out.write_bytes(written(tflite, change))
    return out


def aligned(tflite: Path, floats: list[Trace], x: np.ndarray) -> Alignment:
    return align(traces(tflite, x), floats, graph=graphs.load(tflite))


@dataclasses.dataclass(frozen=True)
class Checked:
    """An alignment that is right: ops of the file, layers of the model, and how long aligning took."""

    found: Alignment
    ops: int
    layers: int
    seconds: float


def check(model, x: np.ndarray, folder: Path) -> Checked:
    """Every op that gives a layer's tensor is paired with that layer (or with one that holds the very same numbers),
    without exception, every other op with none, and the names in the file make no difference."""
    judged = x[:4]
    int8 = convert(model, x, out=folder / "int8.tflite")
    with KerasEngine(model) as engine:
        floats = engine.run_batch({engine.inputs[0].name: judged})
    layers_of = truth(convert(model, mode="float32", out=folder / "float.tflite"), floats, judged)
    made = traces(int8, judged)
    started = time.monotonic()
    found = align(made, floats, graph=graphs.load(int8))
    seconds = time.monotonic() - started
    nameless = aligned(without_names(int8, folder / "nameless.tflite"), floats, judged)
    taken: set[str] = set()
    proved, missing = 0, []
    graph = graphs.load(int8)
    for op in graph.ops:
        name = graph.tensors[op.outputs[0]].name
        right = layers_of.get(name, set())
        for answer in (found.layers.get(op.index), nameless.layers.get(op.index)):
            assert answer is None or answer in right, (op.index, op.name, answer, right)
        if right - taken:  # a RESHAPE of what an op before it gave has no layer of its own
            if op.index not in found.layers or op.index not in nameless.layers:
                missing.append((op.index, op.name, right))
            proved += 1
        taken |= right
    assert missing == []
    assert proved >= 0.25 * len(graph.ops)
    return Checked(found, len(graph.ops), sum(not step.name.endswith(":pre") for step in floats[0].steps), seconds)


def test_a_deep_network_s_last_op_is_proved_as_well_as_its_first(tmp_path):
    """Where maps have shrunk to one pixel and noise has grown through 16 blocks, what has accumulated proves little."""
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(12, 3, strides=8, padding="same", name="stem")(image)
    for k in range(16):
        inner = layers.BatchNormalization(name=f"norm_{k}")(x)
        inner = layers.Conv2D(12, 3, padding="same", name=f"wide_{k}")(layers.ReLU(name=f"relu_{k}")(inner))
        inner = layers.BatchNormalization(name=f"norm_{k}_b")(inner)
        x = layers.Add(name=f"add_{k}")([x, layers.ReLU(6.0, name=f"relu_{k}_b")(inner)]) if k % 2 else inner
    pooled = layers.GlobalAveragePooling2D(name="pooled")(x)
    pictures = dogs(16, 12)
    model = lived_in(keras.Model(image, layers.Dense(4, name="scores")(pooled)), pictures)
    found = check(model, pictures, tmp_path).found
    assert min(found.sqnr_db.values()) > 15
    assert list(found.layers.values())[-2:] == ["pooled", "scores"]
    assert {f"add_{k}" for k in range(1, 16, 2)} <= set(found.layers.values())


def test_branches_nested_models_constants_and_pads(tmp_path):
    """Branches that the converter orders as it likes, a model in a model, a Rescaling that is folded, a ZeroPadding."""
    import keras

    keras.utils.set_random_seed(4)
    layers = keras.layers
    inner_input = keras.Input((8, 8, 6))
    squeezed = layers.Conv2D(6, 1, activation="relu", name="squeeze")(inner_input)
    inner = keras.Model(inner_input, layers.Conv2D(6, 3, padding="same", name="spread")(squeezed), name="inner")
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Rescaling(0.5, offset=0.1, name="rescale")(image)
    x = layers.ZeroPadding2D(1, name="pad")(x)
    x = layers.Conv2D(6, 3, strides=2, use_bias=False, name="stem")(x)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_norm")(x))
    left = layers.Conv2D(6, 3, padding="same", name="left")(x)
    right = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="right")(x)
    both = layers.Add(name="both")([inner(x), left])
    joined = layers.Concatenate(name="joined")([right, both])
    pooled = layers.GlobalAveragePooling2D(name="pooled")(joined)
    model = keras.Model(image, layers.Dense(5, name="scores")(pooled))
    pictures = dogs(16, 12)
    found = check(lived_in(model, pictures), pictures, tmp_path).found
    own = set(found.layers.values())
    # The sum of two convolutions needs both; the batch norm lives on in the ReLU's op.
    assert {"stem_relu", "inner/squeeze", "left", "right", "both", "joined", "pooled", "scores"} <= own
    assert {"stem", "stem_norm"} <= set(found.unpaired_layers)


def test_ops_whose_integers_say_nothing_are_proved_all_the_same(tmp_path):
    """Signals that fade below the converter's least scale, as in new deep networks, and gates that are 0 or 1."""
    import keras

    keras.utils.set_random_seed(5)
    layers = keras.layers
    image = keras.Input((16, 16, 3), name="image")
    faint, small = (keras.initializers.RandomNormal(stddev=stddev) for stddev in (1e-3, 1e-2))
    x = layers.Conv2D(8, 3, strides=4, name="stem", activation="relu")(image)
    loud = layers.Conv2D(8, 1, name="loud", kernel_initializer=keras.initializers.RandomNormal(stddev=300))(x)
    x = layers.Multiply(name="gated")([x, layers.Activation("sigmoid", name="gate")(loud)])
    for k in range(4):
        inner = layers.Conv2D(8, 3, padding="same", name=f"faint_{k}", kernel_initializer=faint)(x)
        inner = layers.ReLU(6.0, name=f"relu_{k}")(inner)
        x = layers.Conv2D(8, 1, name=f"branch_{k}", kernel_initializer=small)(inner)
        x = layers.Add(name=f"add_{k}")([x, inner]) if k % 2 else x
    pooled = layers.GlobalAveragePooling2D(name="pooled")(x)
    model = keras.Model(image, layers.Dense(4, name="scores")(pooled))
    found = check(model, dogs(16, 12), tmp_path).found
    assert found.unpaired_ops == ()
    assert {"gate", "gated", "branch_3", "add_3", "pooled", "scores"} <= set(found.layers.values())


def test_a_relu_that_is_nothing_but_the_beginning_of_a_range_is_the_op_s_layer(tmp_path):
    import keras

    keras.utils.set_random_seed(7)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(6, 3, name="conv"),
            layers.ReLU(name="relu"),
            layers.Conv2D(4, 3, name="last"),
        ]
    )
    x = dogs(16, 12)

    def change(model, schema):
        options = model.subgraphs[0].operators[0].builtinOptions
        assert options.fusedActivationFunction == schema.ActivationFunctionType.RELU
        options.fusedActivationFunction = schema.ActivationFunctionType.NONE

    (tmp_path / "b.tflite").write_bytes(written(convert(model, x, out=tmp_path / "a.tflite"), change))
    with KerasEngine(model) as engine:
        floats = engine.run_batch({engine.inputs[0].name: x[:4]})
    assert aligned(tmp_path / "b.tflite", floats, x[:4]).layers == {0: "relu", 1: "last"}


def test_resnet8_without_its_names_is_the_same(shared_data, tmp_path):
    folder = shared_data / "mlperf_tiny"
    x = data.load(shared_data / "cifar10_subset.npz", split="test", limit=4).whole().images.astype(np.float32)
    with KerasEngine(str(folder / "pretrainedResnet.h5")) as engine:
        floats = engine.run_batch({engine.inputs[0].name: x})
    int8 = folder / "pretrainedResnet_quant.tflite"
    assert aligned(without_names(int8, tmp_path / "n.tflite"), floats, x) == aligned(int8, floats, x)


@pytest.mark.parametrize("file", ["kws_ref_model", "vww_96_int8"])
def test_a_tflite_alone_has_ops_that_stand_for_themselves(shared_data, file):
    path = shared_data / "mlperf_tiny" / f"{file}.tflite"
    with open_engine(f"tflm:{path}") as one, open_engine(f"litert-xnnpack:{path}") as other:
        tensor = one.graph.tensors[one.graph.inputs[0]]
        random = np.random.default_rng(0).integers(-128, 128, (2, *tensor.shape[1:])).astype(np.int8)
        found = compare(one, other, random)
    assert {op.keras_layer for op in found.ops} == {None}
    assert all(op.name for op in found.ops)
    assert found.unpaired == ()


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_families_of_keras_applications(family, tmp_path):
    import keras

    check(*of_family(family), tmp_path)
    keras.backend.clear_session()


@pytest.mark.slow
def test_an_untrained_mobile_net_whose_signals_fade_away(tmp_path):
    """As new as Keras makes it, at its full size: its last fourteen ops say nothing in 8 bits."""
    import keras

    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNetV2(
        weights=None, input_shape=(224, 224, 3), alpha=0.35, classes=10, classifier_activation=None
    )
    found = check(model, (dogs(224, 12) + 1) * 127.5, tmp_path)
    assert (found.ops, found.found.unpaired_ops) == (64, ())
