"""The commands of `tfviz` on a small model and on a real one: what they write and say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from tfviz import cli, console
from tfviz.preprocess import Preprocess, Sidecar, write_sidecar

CIFAR = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"


def tfviz(*arguments: object) -> int:
    """Run a command in this process; its exit code."""
    with pytest.raises(SystemExit) as stop:
        console.run(cli.app, [str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose logits are 10 times the mean of red, green and blue; classes red, green, blue."""
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(3, 1, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(name="mean"),
            keras.layers.Dense(3, name="logits"),
        ]
    )
    net.get_layer("conv").set_weights([np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3), np.zeros(3, np.float32)])
    net.get_layer("logits").set_weights([10 * np.eye(3, dtype=np.float32), np.zeros(3, np.float32)])
    path = tmp_path_factory.mktemp("model") / "colours.keras"
    net.save(path)
    write_sidecar(path, Sidecar(Preprocess(size=(8, 8), scale=1 / 255), ("red", "green", "blue")))
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures of each colour in an .npz with labels; the last one is labelled wrongly on purpose."""
    x = np.zeros((6, 8, 8, 3), np.uint8)
    for index in range(6):
        x[index, 2:6, 1:4, index % 3] = 250
    path = tmp_path_factory.mktemp("data") / "colours.npz"
    np.savez(path, x=x, y=np.array([0, 1, 2, 0, 1, 0]), class_names=np.array(["red", "green", "blue"]))
    return path


def test_layers_lists_every_address_with_shape_and_parameters(model: Path, capsys) -> None:
    assert tfviz("layers", model) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["conv", "Conv2D", "8", "x", "8", "x", "3", "float32", "12", "relu"]
    assert lines[-1].startswith("3 layers")


def test_methods_lists_what_the_registry_knows(capsys) -> None:
    assert tfviz("methods") == 0
    words = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()}
    assert words["grad-cam"] == "layer"
    assert words["integrated-gradients"] == "pixel"
    assert words["road"] == "metric"


def test_cam_names_the_prediction_the_label_and_the_target(model: Path, pictures: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "cam.png"
    assert tfviz("cam", model, pictures, "--class", "red", "--index", 2, "--target", "green", "--out", out) == 0
    said = capsys.readouterr().out.splitlines()
    # The third picture labelled red is the blue one at position 5: 12 of 64 pixels are blue, so the logits are
    # (0, 0, 10 * 250 / 255 * 12 / 64) and its share is e^1.838 / (2 + e^1.838).
    share = 100 * np.exp(10 * 250 / 255 * 12 / 64) / (2 + np.exp(10 * 250 / 255 * 12 / 64))
    assert f"predicted blue ({share:.1f} %), labelled red, explained green" in said[0]
    assert re.fullmatch(rf"wrote {re.escape(str(out))} \([\d.]+ kB\)", said[1])
    assert cv2.imread(str(out)).shape[2] == 3


def test_saliency_takes_one_picture_file(model: Path, tmp_path: Path, capsys) -> None:
    picture = tmp_path / "green.png"
    cv2.imwrite(str(picture), np.full((20, 30, 3), (0, 255, 0), np.uint8))
    assert tfviz("saliency", model, picture, "--method", "integrated-gradients", "--out", tmp_path / "s.png") == 0
    assert "predicted green" in capsys.readouterr().out


def test_saliency_draws_black_box_methods_too(model: Path, pictures: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "occlusion.png"
    assert tfviz("saliency", model, pictures, "--class", "red", "--method", "occlusion", "--out", out) == 0
    assert "predicted red" in capsys.readouterr().out
    assert cv2.imread(str(out)).std() > 10


def test_maps_writes_one_picture_for_each_layer_asked_for(model: Path, pictures: Path, tmp_path: Path, capsys) -> None:
    assert tfviz("maps", model, pictures, "--layer", "conv:pre", "--layer", "logits", "--out", tmp_path / "maps") == 0
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["conv-pre.png", "logits.png"]
    assert capsys.readouterr().out.count("wrote ") == 2


def test_maps_draws_all_layers_by_default(model: Path, pictures: Path, tmp_path: Path, capsys) -> None:
    assert tfviz("maps", model, pictures, "--out", tmp_path / "maps") == 0
    assert sorted(path.stem for path in (tmp_path / "maps").iterdir()) == ["conv", "logits", "mean"]
    capsys.readouterr()


def test_report_judges_all_pictures_and_shows_some(model: Path, pictures: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "report.html"
    assert tfviz("report", model, pictures, "--show", 4, "--out", out) == 0
    page = out.read_text()
    assert "<h1>colours names 5 of 6 pictures right.</h1>" in page
    assert "83.3 %" in page
    assert "Says blue, but it is red" in page
    assert page.count('<article class="shot"') == 4
    assert "4 of 6 pictures shown" in capsys.readouterr().out


def test_a_model_without_a_sidecar_gets_its_pixels_as_they_are_and_a_note(
    model: Path, pictures: Path, tmp_path: Path, capsys
) -> None:
    bare = tmp_path / "bare.keras"
    bare.write_bytes(model.read_bytes())
    assert tfviz("cam", bare, pictures, "--target", "1", "--out", tmp_path / "cam.png") == 0
    said = capsys.readouterr()
    assert "No preprocessing is recorded" in said.err
    assert "0..255" in said.err


def test_train_writes_model_and_sidecar_and_says_how_good_it_is(tmp_path: Path, capsys) -> None:
    out = tmp_path / "dogs.keras"
    options = ["--epochs", 1, "--size", 16, "--limit", 96, "--test-limit", 30, "--batch-size", 32]
    assert tfviz("train", "dog-poses", "--out", out, *options) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    accuracy = float(re.match(r"accuracy ([\d.]+) % on 30 held-out pictures, learned from 96", lines[0])[1])
    counts = np.array([[int(number) for number in line.split()[1:]] for line in lines[2:5]])
    assert counts.sum() == 30
    assert accuracy == pytest.approx(100 * np.trace(counts) / 30, abs=0.05)
    assert json.loads(out.with_name("dogs.keras.json").read_text())["class_names"] == ["sit", "stand", "lie"]
    assert "training ..." in said.err


def test_help_and_version_of_both_programs_need_no_tensorflow() -> None:
    code = (
        "import sys; sys.argv = ['tfviz', 'cam', '--help']\n"
        "from tfviz.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "print([name for name in ('tensorflow', 'keras', 'cv2', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_grad_cam_for_class_dog_over_a_dog_photograph(shared_data: Path, tmp_path: Path) -> None:
    """In a process of its own, as a user runs it: nothing of TensorFlow's start-up on standard error."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tfviz.cli", "cam"),
            *(str(shared_data / "mlperf_tiny/pretrainedResnet.h5"), str(shared_data / "cifar10_subset.npz")),
            *("--class", "dog", "--target", "dog", "--class-names", CIFAR, "--out", str(tmp_path / "dog.png")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "predicted dog (98.2 %), labelled dog" in done.stdout
    notes = done.stderr.splitlines()
    assert len(notes) == 1
    assert notes[0].startswith("tfviz: note: No preprocessing is recorded")
    assert cv2.imread(str(tmp_path / "dog.png")) is not None
