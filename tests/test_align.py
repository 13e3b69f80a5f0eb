"""Which Keras layer is which op: right on fused, nested and folded layers, and silent where nothing is proved."""

import dataclasses

import numpy as np
import pytest
from chain import keras_file, pictures, tflite_file

from firmware_tools import graph
from firmware_tools._real_graph import in_reals
from firmware_tools.align import Alignment, align, named
from firmware_tools.convert import convert
from firmware_tools.engines import open_engine
from firmware_tools.quantize import model_input
from firmware_tools.reference import KerasEngine, litert
from tfviz import data, zoo
from tfviz.trace import Trace


def traces(tflite, model, x: np.ndarray) -> tuple[list[Trace], list[Trace]]:
    """The same float images through the .tflite and the Keras model."""
    with open_engine(f"litert:{tflite}") as integer, KerasEngine(model) as real:
        tensor = integer.graph.tensors[integer.graph.inputs[0]]
        q = model_input(x, tensor)
        quantised = [integer.run({tensor.name: q[i : i + 1]}) for i in range(len(x))]
        return quantised, real.run_batch({real.inputs[0].name: x})


def aligned(tflite, model, x: np.ndarray) -> Alignment:
    return align(*traces(tflite, model, x), graph=graph.load(tflite))


def dogs(size: int, count: int = 6) -> np.ndarray:
    return data.load("dog-poses", split="test", limit=count, size=size).whole().images.astype(np.float32) / 255


def written(tflite, change):
    """The file after `change(model, schema)`, as bytes."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite.read_bytes(), 0))
    change(model, schema)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_file_over_real_numbers_is_the_float_model_but_for_the_rounding_of_its_weights():
    x = dogs(16, 2)
    with KerasEngine(str(keras_file())) as real:
        right = real.run_batch({real.inputs[0].name: x})
    engine = litert(in_reals(graph.load(tflite_file())).bytes)
    tensor = engine.graph.tensors[engine.graph.inputs[0]]
    assert {one.dtype for one in engine.graph.tensors} <= {"float32", "int32"}
    for image, trace in zip(x, right, strict=True):
        made = engine.run({tensor.name: image[None]}).steps[-1].output.values
        expected = trace.steps[-1].output.values
        assert 0 < np.abs(made - expected).max() < 0.02 * np.abs(expected).max()


def test_weights_of_four_bits_are_what_they_stand_for(tmp_path):
    """Two a byte, the lower half first: -8 to 7 on a grid sixteen times as coarse."""
    before = graph.load(tflite_file())
    index = before.ops[0].inputs[1]
    coarse = before.tensors[index].data >> 4

    def change(model, schema):
        tensor = model.subgraphs[0].tensors[index]
        tensor.type = schema.TensorType.INT4
        tensor.quantization.scale = np.asarray(tensor.quantization.scale, np.float32) * 16
        flat = (coarse.ravel() & 15).astype(np.uint8)
        flat = np.append(flat, np.zeros(flat.size % 2, np.uint8))
        model.buffers[tensor.buffer].data = flat[::2] | flat[1::2] << 4

    (tmp_path / "int4.tflite").write_bytes(written(tflite_file(), change))
    made = in_reals(graph.load(tmp_path / "int4.tflite")).tensors[index]
    scale = before.tensors[index].scale.reshape(-1, 1, 1, 1) * np.float32(16)
    np.testing.assert_allclose(made.data, scale * coarse, rtol=1e-6)


def test_fused_batch_norm_and_activation_belong_to_the_layer_whose_output_the_op_gives():
    found = aligned(tflite_file(), str(keras_file()), dogs(16))
    assert found.layers == {0: "relu", 1: "pool", 2: "second", 3: "flatten", 4: "head:pre", 5: "head"}
    assert found.unpaired_ops == ()
    assert found.unpaired_layers == ("first", "norm", "dropout")
    assert all(proof > 10 for proof in found.sqnr_db.values())


@pytest.mark.parametrize("mode", ["float32", "float16", "dynamic", "int16x8"])
def test_files_of_every_kind_are_aligned(mode, tmp_path):
    x = dogs(16)
    found = aligned(convert(str(keras_file()), x, mode=mode, out=tmp_path / "m.tflite"), str(keras_file()), x)
    assert set(found.layers.values()) >= {"relu", "pool", "second", "head"}
    assert all(proof > 30 for proof in found.sqnr_db.values())


def test_the_dog_cnn_and_its_probability_models_align_whole(tmp_path):
    model = zoo.dog_cnn((32, 32, 3))
    own = [layer.name for layer in model.layers[1:]]
    for make, prefix, behind in [
        (lambda logits: logits, "", []),
        (zoo.probability_model, "", ["probabilities"]),
        (zoo.wrapped_probability_model, "dog_cnn/", ["probabilities"]),
    ]:
        made = make(model)
        x = dogs(32)
        found = aligned(convert(made, x, out=tmp_path / "m.tflite"), made, x)
        names = [prefix + name for name in own] + behind
        assert list(found.layers.values()) == names
        assert found.unpaired_ops == ()


def test_resnet8_of_another_converter_aligns_whole(shared_data):
    folder = shared_data / "mlperf_tiny"
    photographs = data.load(shared_data / "cifar10_subset.npz", split="test", limit=8).whole().images
    x = photographs.astype(np.float32)
    found = aligned(folder / "pretrainedResnet_quant.tflite", str(folder / "pretrainedResnet.h5"), x)
    assert list(found.layers.values()) == [
        "activation", "activation_1", "batch_normalization_2", "activation_2",
        "activation_3", "batch_normalization_4", "conv2d_5", "activation_4",
        "activation_5", "batch_normalization_6", "conv2d_8", "activation_6",
        "average_pooling2d", "flatten", "dense:pre", "dense",
    ]  # fmt: skip
    assert min(found.sqnr_db.values()) > 20


def test_numbers_prove_and_names_only_hint():
    """With every tensor's name taken away the alignment is the same; with other weights there is none."""
    quantised, floats = traces(tflite_file(), str(keras_file()), dogs(16))
    nameless = [
        dataclasses.replace(
            trace,
            steps=tuple(
                dataclasses.replace(step, outputs=(dataclasses.replace(step.output, name="Identity"),))
                for step in trace.steps
            ),
        )
        for trace in quantised
    ]
    layers = align(nameless, floats).layers
    # Dropout and Flatten hold the same numbers in another shape; without names the shapeless RESHAPE may be either.
    assert {index: layers[index] for index in (0, 1, 2, 4, 5)} == {
        0: "relu", 1: "pool", 2: "second", 4: "head:pre", 5: "head"
    }  # fmt: skip

    noise = np.random.default_rng(0)
    strangers = [
        dataclasses.replace(
            trace,
            steps=tuple(
                dataclasses.replace(
                    step,
                    outputs=(
                        dataclasses.replace(
                            step.output, values=noise.normal(0, 1, step.output.values.shape).astype(np.float32)
                        ),
                    ),
                )
                for step in trace.steps
            ),
        )
        for trace in floats
    ]
    found = align(quantised, strangers)
    assert found.layers == {}
    assert found.unpaired_ops == tuple(range(6))


def test_layers_that_are_zero_everywhere_prove_nothing_without_a_name():
    quantised, floats = traces(tflite_file(), str(keras_file()), pictures(1).astype(np.float32) / 255)

    def silent(trace: Trace, name: str | None) -> Trace:
        steps = []
        for step in trace.steps:
            zero = np.full_like(step.output.values, step.output.zero_point)
            label = step.output.name if name is None else name
            steps.append(
                dataclasses.replace(step, outputs=(dataclasses.replace(step.output, values=zero, name=label),))
            )
        return dataclasses.replace(trace, steps=tuple(steps))

    zeros = [silent(trace, None) for trace in floats]
    assert 0 not in align([silent(trace, "Identity") for trace in quantised], zeros).layers
    assert align([silent(trace, None) for trace in quantised], zeros).layers[1] == "pool"


def test_a_batch_norm_that_changes_nothing_yet_is_part_of_the_convolution_s_op(tmp_path):
    """Of a new model both have the same numbers in 8 bits, and the name in the file may be either's."""
    import keras

    keras.utils.set_random_seed(6)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(6, 3, name="one"),
            layers.BatchNormalization(name="one_norm"),
            layers.DepthwiseConv2D(3, name="two"),
            layers.BatchNormalization(name="two_norm"),
            layers.ReLU(name="two_relu"),
            layers.Conv2D(4, 1, name="three", activation="relu"),
            layers.BatchNormalization(name="behind"),
            layers.Conv2D(4, 1, name="last"),
        ]
    )
    found = aligned(convert(model, dogs(16), out=tmp_path / "new.tflite"), model, dogs(16))
    assert list(found.layers.values())[:3] == ["one_norm", "two_relu", "three"]
    assert list(found.layers.values())[-1] == "last"
    assert "one" in found.unpaired_layers


def test_names_with_tensorflow_s_suffixes_are_recognised():
    assert named("model/conv2d_1/BiasAdd", "conv2d")  # the suffix may be TensorFlow's own
    assert named("model/conv2d_1/BiasAdd", "block/conv2d_1:pre")
    assert not named("model/conv2d_12/BiasAdd", "conv2d_1")
    assert not named("StatefulPartitionedCall:0", "dense")
