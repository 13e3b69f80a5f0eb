"""Every command with input that cannot be used: one sentence, exit code 2, no traceback, nothing half-written."""

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


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good model and good pictures, and with everything that is wrong."""
    folder = tmp_path_factory.mktemp("room")
    net = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(2, 3, name="conv"),
            keras.layers.GlobalAveragePooling2D(name="mean"),
            keras.layers.Dense(2, name="logits"),
        ]
    )
    net.save(folder / "model.keras")
    write_sidecar(folder / "model.keras", Sidecar(Preprocess(size=(8, 8)), ("cat", "dog")))
    flat = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    flat.save(folder / "flat.keras")
    (folder / "broken.keras").write_bytes(b"PK not a model")
    (folder / "notes.txt").write_text("no model")
    cv2.imwrite(str(folder / "good.png"), np.full((8, 8, 3), 90, np.uint8))
    (folder / "broken.png").write_bytes((folder / "good.png").read_bytes()[:40])
    (folder / "empty.png").write_bytes(b"")
    (folder / "nothing").mkdir()
    np.savez(folder / "unlabelled.npz", x=np.zeros((2, 8, 8, 3), np.uint8))
    np.savez(folder / "labelled.npz", x=np.zeros((2, 8, 8, 3), np.uint8), y=np.array([0, 1]))
    np.savez(folder / "quantised.npz", x=np.zeros((2, 8, 8, 3), np.int8), y=np.array([0, 1]))
    np.savez(folder / "odd.npz", z=np.zeros(3))
    return folder


GOOD = ["model.keras", "good.png"]
CASES = {
    "missing model": (["cam", "gone.keras", "good.png"], r"no model file .*gone\.keras"),
    "broken model": (["cam", "broken.keras", "good.png"], r"broken\.keras"),
    "text for a model": (["layers", "notes.txt"], r"notes\.txt"),
    "missing model of layers": (["layers", "gone.keras"], r"no model file"),
    "a model that is no word": (["report", "nonsense", "good.png"], r"nonsense"),
    "missing function": (["layers", "os:no_such_function"], r"no_such_function"),
    "missing module": (["layers", "no_such_module:build"], r"no_such_module"),
    "a model of no pictures": (["cam", "flat.keras", "good.png"], r"model"),
    "missing picture": (["cam", "model.keras", "gone.png"], r"gone\.png"),
    "broken picture": (["cam", "model.keras", "broken.png"], r"broken\.png"),
    "empty picture": (["saliency", "model.keras", "empty.png"], r"empty\.png"),
    "empty folder": (["report", "model.keras", "nothing"], r"nothing"),
    "archive without pictures": (["report", "model.keras", "odd.npz"], r"odd\.npz"),
    "integers for pixels": (["cam", "model.keras", "quantised.npz"], r"int8"),
    "unknown layer": (["cam", *GOOD, "--layer", "convv"], r"convv.*conv"),
    "layer without places": (["cam", *GOOD, "--layer", "logits"], r"logits.*places"),
    "unknown layer of maps": (["maps", *GOOD, "--layer", "convv"], r"convv"),
    "no activation to be before": (["maps", *GOOD, "--layer", "mean:pre"], r"mean"),
    "unknown class": (["cam", *GOOD, "--target", "horse"], r"no class 'horse'; there are: cat, dog"),
    "class beyond the outputs": (["saliency", *GOOD, "--target", "2"], r"classes 0 to 1"),
    "negative class": (["report", "model.keras", "labelled.npz", "--target=-1"], r"classes 0 to 1"),
    "unknown method": (["cam", *GOOD, "--method", "grad-cam-3"], r"grad-cam"),
    "method of another kind": (["cam", *GOOD, "--method", "saliency"], r"pixel method"),
    "layer method for pixels": (["saliency", *GOOD, "--method", "grad-cam"], r"layer method"),
    "index beyond the data": (["cam", "model.keras", "labelled.npz", "--index", "2"], r"2 pictures.*beyond"),
    "negative index": (["cam", "model.keras", "labelled.npz", "--index=-1"], r"counts from 0"),
    "class of no labels": (["cam", "model.keras", "unlabelled.npz", "--class", "dog"], r"no labels"),
    "class that is not there": (["cam", "model.keras", "labelled.npz", "--class", "horse"], r"no class 'horse'"),
    "too few class names": (["cam", *GOOD, "--class-names", "a,b,c"], r"3 class names.*2 outputs"),
    "empty class name": (["cam", *GOOD, "--class-names", "a,"], r"different words"),
    "limit 0": (["report", "model.keras", "labelled.npz", "--limit", "0"], r"limit of 0"),
    "unknown split": (["report", "model.keras", "labelled.npz", "--split", "half"], r"no split 'half'"),
    "training data without labels": (["train", "unlabelled.npz"], r"unlabelled\.npz"),
    "training data that is not there": (["train", "gone"], r"gone"),
    "training limit 0": (["train", "dog-poses", "--limit", "0"], r"limit of 0"),
    "two channels": (["train", "dog-poses", "--channels", "2"], r"not 2"),
}
SUFFIX = {"train": ".keras", "report": ".html", "maps": ""}


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        console.run(cli.app, arguments)
    said = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, said.out, said.err


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_is_one_sentence_and_leaves_nothing_behind(
    case: str, room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, pattern = CASES[case]
    monkeypatch.chdir(room)
    out = [] if arguments[0] == "layers" else ["--out", str(tmp_path / f"out{SUFFIX.get(arguments[0], '.png')}")]
    code, said, error = run([*arguments, *out], capsys)
    assert code == 2, error
    sentences = [line for line in error.splitlines() if line.startswith("tfviz: ") and "tfviz: note: " not in line]
    assert len(sentences) == 1, error
    assert re.search(pattern, sentences[0]), sentences[0]
    assert "Traceback" not in error
    assert said == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["train", "cam", "saliency", "maps", "report"])
def test_a_place_that_cannot_be_written_to_is_told_before_the_work(
    command: str, room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(room)
    given = ["dog-poses"] if command == "train" else GOOD
    out = f"notes.txt/deep/out{SUFFIX.get(command, '.png')}"
    code, said, error = run([command, *given, "--out", out], capsys)
    assert code == 2
    assert said == ""
    assert error == f"tfviz: --out {out}: notes.txt is a file, not a folder.\n"


@pytest.mark.parametrize(
    ("command", "out", "words"),
    [
        ("train", "model.h5", "ends in .keras"),
        ("cam", "cam.jpeg2", "ends in .png"),
        ("report", "page.pdf", "ends in .html"),
        ("report", "nothing", "ends in .html"),
        ("maps", "good.png", "is a file, not a folder"),
    ],
)
def test_a_file_of_the_wrong_kind_is_refused(
    command: str, out: str, words: str, room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(room)
    code, _, error = run([command, *(["dog-poses"] if command == "train" else GOOD), "--out", out], capsys)
    assert code == 2
    assert words in error


def test_a_user_sees_one_line_and_nothing_else(room: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tfviz.cli", "cam", "broken.keras", "good.png", "--out", "cam.png"],
        cwd=room,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert not (room / "cam.png").exists()
