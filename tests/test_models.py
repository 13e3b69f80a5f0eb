"""MODEL on a command line: what loads, and the sentence for what does not."""

import hashlib
import json
import logging
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from tfviz import models, zoo
from tfviz.errors import InputError

X = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)


@pytest.fixture(scope="module")
def small() -> object:
    return zoo.dog_cnn((16, 16, 3), 2, seed=1)


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_saved_models_come_back_with_the_same_answers(small: object, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    small.save(path)  # type: ignore[attr-defined]
    loaded = models.load_model(str(path))
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), small.predict(X, verbose=0))  # type: ignore[attr-defined]


def test_a_real_legacy_h5_loads_and_knows_its_photographs(shared_data: Path) -> None:
    model = models.load_model(str(shared_data / "mlperf_tiny" / "pretrainedResnet.h5"))
    with np.load(shared_data / "cifar10_subset.npz") as archive:
        x, y = archive["x_test"][:200], archive["y_test"][:200].reshape(-1)
    assert np.mean(model.predict(x.astype(np.float32), verbose=0).argmax(axis=1) == y) > 0.8


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_a_legacy_depthwise_convolution_loads_with_a_note_of_what_was_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import keras

    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.DepthwiseConv2D(3, name="deep")])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        config = json.loads(file.attrs["model_config"])
        (layer,) = [layer for layer in config["config"]["layers"] if layer["class_name"] == "DepthwiseConv2D"]
        layer["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(config)
    with caplog.at_level(logging.WARNING):
        loaded = models.load_model(str(tmp_path / "m.h5"))
    assert "deep" in caplog.text
    assert "groups=1" in caplog.text
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert type(loaded.layers[0]) is keras.layers.DepthwiseConv2D


def _as_keras_2_wrote_it(model: object, path: Path, changes: dict[str, dict[str, object]]) -> None:
    """Save a model and put into the layers' configs what Keras 2 wrote there."""
    model.save(path)  # type: ignore[attr-defined]
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            inner = layer["config"].get("layer", {})
            for part in (layer, inner):
                part.get("config", {}).update(changes.get(part.get("class_name"), {}))
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_what_keras_2_wrote_and_keras_3_refuses_is_dropped_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import keras

    layers = keras.layers
    steps = [
        keras.Input((8, 8, 2)),
        layers.SeparableConv2D(3, 3),
        layers.Conv2DTranspose(2, 2),
        layers.SpatialDropout2D(0.5),
        layers.Reshape((7, 14)),
        layers.Bidirectional(layers.LSTM(3)),
    ]
    model = keras.Sequential(steps)
    changes: dict[str, dict[str, object]] = {
        "SeparableConv2D": {"groups": 1, "kernel_initializer": "zeros", "kernel_constraint": None},
        "Conv2DTranspose": {"groups": 1},
        "SpatialDropout2D": {"trainable": True, "noise_shape": None},
        "LSTM": {"time_major": False},
    }
    _as_keras_2_wrote_it(model, tmp_path / "m.h5", changes)
    with caplog.at_level(logging.WARNING):
        loaded = models.load_model(str(tmp_path / "m.h5"))
    for dropped in ("groups=1", "kernel_initializer=zeros", "noise_shape=None", "time_major=False"):
        assert dropped in caplog.text
    x = np.random.default_rng(0).random((2, 8, 8, 2), np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))
    _as_keras_2_wrote_it(model, tmp_path / "n.h5", changes | {"Conv2DTranspose": {"groups": 2}})
    with pytest.raises(InputError, match="groups=2, which Keras 3 cannot do"):
        models.load_model(str(tmp_path / "n.h5"))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_hard_sigmoid_of_a_keras_2_file_is_the_one_of_keras_2(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Activation("hard_sigmoid")])
    x = np.array([[-1.0, 0.3, 2.0]], np.float32)
    model.save(tmp_path / "new.h5")
    np.testing.assert_allclose(models.load_model(str(tmp_path / "new.h5"))(x), np.clip(x / 6 + 0.5, 0, 1), rtol=1e-6)
    _as_keras_2_wrote_it(model, tmp_path / "old.h5", {})
    np.testing.assert_allclose(models.load_model(str(tmp_path / "old.h5"))(x), np.clip(0.2 * x + 0.5, 0, 1), rtol=1e-6)


def test_a_builder_is_called_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_nets.py").write_text(
        "from tfviz import zoo\n"
        "def good():\n    return zoo.dog_cnn((16, 16, 3), 2, seed=1)\n"
        "def number():\n    return 3\n"
        "def broken():\n    raise RuntimeError('no weights')\n"
    )
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert models.load_model("my_nets:good").output_shape == (None, 2)
    for spec, sentence in {
        "my_nets:number": "returned int",
        "my_nets:broken": "raised RuntimeError: no weights",
        "my_nets:absent": "no function 'absent'",
        "no_such_module:f": "Cannot import",
        "broken_module:f": "raised ZeroDivisionError",
        ":f": "Cannot import",
        "my_nets:": "no function ''",
    }.items():
        with pytest.raises(InputError, match=sentence):
            models.load_model(spec)


def test_lambda_layers_are_not_run_and_the_way_out_is_named(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(InputError, match=r"Lambda layer.*module:function"):
        models.load_model(str(tmp_path / "m.keras"))


def test_a_class_of_ones_own_is_named_with_the_way_out(tmp_path: Path) -> None:
    import keras

    class Doubled(keras.layers.Layer):
        def call(self, x: object) -> object:
            return x * 2  # type: ignore[operator]

    keras.Sequential([keras.Input((4,)), Doubled()]).save(tmp_path / "m.keras")
    with pytest.raises(InputError, match=r"Doubled.*module:function"):
        models.load_model(str(tmp_path / "m.keras"))


def test_what_is_no_model_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.keras").write_bytes(b"")
    (tmp_path / "text.keras").write_text("not a model")
    (tmp_path / "text.h5").write_text("not a model, and longer than a signature")
    (tmp_path / "model.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    (tmp_path / "model.onnx").write_bytes(b"x")
    (tmp_path / "MODEL.KERAS").write_bytes(b"x")
    (tmp_path / "saved").mkdir()
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("a.txt", "b")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.create_dataset("w", data=[1.0])
    for name, sentence in {
        "empty.keras": "empty",
        "text.keras": "not a .keras model",
        "text.h5": "not a .h5 model",
        "model.tflite": "firmware-tools takes",
        "model.onnx": "does not end in .keras or .h5",
        "MODEL.KERAS": "does not end in .keras or .h5",
        "saved": "is a folder",
        "zip.keras": "not a model that Keras can load",
        "weights.h5": "weights without a model",
        "emptyy.keras": "Near names there: empty.keras",
        "absent": "neither",
    }.items():
        with pytest.raises(InputError, match=sentence) as caught:
            models.load_model(str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_another_keras_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="set KERAS_BACKEND=tensorflow"):
        models.load_model("tfviz.zoo:dog_cnn")


def test_a_files_fingerprint_is_its_sha256_and_a_models_follows_its_weights(small: object, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"abc")
    assert models.fingerprint(tmp_path / "m.tflite") == hashlib.sha256(b"abc").hexdigest()
    one, same = (models.fingerprint(zoo.dog_cnn((16, 16, 3), 2, seed=1)) for _ in range(2))
    assert one == same == models.fingerprint(small)  # type: ignore[arg-type]
    assert models.fingerprint(zoo.dog_cnn((16, 16, 3), 2, seed=2)) != one
    with pytest.raises(InputError, match="Cannot read"):
        models.fingerprint(tmp_path / "absent.keras")
