"""`tfviz explain`: many pictures into shards, gone on with after a kill, the same bytes whoever did the work."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import tfviz
from tfviz import cli, console, store
from tfviz.data import load
from tfviz.preprocess import Preprocess, Sidecar, write_sidecar

PICTURES = 22


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, name="logits"),
        ]
    )
    path = tmp_path_factory.mktemp("model") / "net.keras"
    net.save(path)
    write_sidecar(path, Sidecar(Preprocess(size=(16, 16), scale=1 / 255), ("sit", "stand", "lie")))
    return path


def arguments(model: Path, out: Path, *more: object) -> list[str]:
    words = ["explain", model, "dog-poses", "--limit", PICTURES, "--batch", 4, "--shard", 8, "--out", out, *more]
    return [str(word) for word in words]


def run(model: Path, out: Path, *more: object) -> int:
    with pytest.raises(SystemExit) as stop:
        console.run(cli.app, arguments(model, out, *more))
    assert isinstance(stop.value.code, int)
    return stop.value.code


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "maps"
    assert run(model, out) == 0
    return out


def test_the_maps_are_those_of_the_function_in_the_order_of_the_data(model: Path, whole: Path) -> None:
    found = tfviz.open_maps(whole)
    dogs = load("dog-poses", limit=PICTURES, size=16).whole()
    x = Preprocess(scale=1 / 255)(dogs.images)
    net = tfviz.load_model(model)
    np.testing.assert_allclose([found[i] for i in range(PICTURES)], tfviz.grad_cam(net, x), rtol=1e-5, atol=1e-7)
    assert found.complete
    assert [entry.name for entry in found.entries] == list(dogs.names)
    assert [entry.label for entry in found.entries] == dogs.labels.tolist()
    assert [entry.predicted for entry in found.entries] == np.asarray(net(x)).argmax(axis=1).tolist()
    assert [len(shard.maps) for shard in found.shards()] == [8, 8, 6]


def test_the_index_says_where_each_map_is_and_which_are_empty(whole: Path) -> None:
    lines = [json.loads(line) for line in (whole / "index.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == list(range(PICTURES))
    for line in lines:
        with np.load(whole / line["shard"]) as shard:
            values = shard["maps"][line["row"]]
        assert (line["low"], line["high"]) == (values.min(), values.max())
    assert store.Entry(0, "a", None, None, "s", 0, 0.0, 0.0).empty
    assert not store.Entry(0, "a", None, None, "s", 0, 0.0, 0.5).empty


def test_a_run_goes_on_with_the_shards_that_are_missing_or_broken(model: Path, whole: Path, tmp_path: Path) -> None:
    assert run(model, tmp_path) == 0
    kept = (tmp_path / "maps-000000.npz").stat().st_mtime_ns
    (tmp_path / "maps-000001.npz").unlink()
    (tmp_path / "maps-000002.npz").write_bytes((tmp_path / "maps-000002.npz").read_bytes()[:100])
    (tmp_path / ".maps-000001-abc.npz").write_bytes(b"half a shard")
    (tmp_path / "index.jsonl").unlink()
    assert run(model, tmp_path) == 0
    assert digests(tmp_path) == digests(whole)
    assert (tmp_path / "maps-000000.npz").stat().st_mtime_ns == kept


def test_another_job_does_not_mix_its_maps_in(model: Path, whole: Path, capsys) -> None:
    before = digests(whole)
    for more, name in ((("--method", "saliency"), "method"), (("--target", "lie"), "target"), (("--seed", 5), "seed")):
        assert run(model, whole, *more) == 2
        assert f"another job: its {name} is" in capsys.readouterr().err
    assert digests(whole) == before


def test_an_unfinished_folder_can_be_read(whole: Path, tmp_path: Path) -> None:
    for name in ("job.json", "maps-000001.npz"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    found = tfviz.open_maps(tmp_path)
    assert not found.complete
    assert [entry.image for entry in found.entries] == list(range(8, 16))
    assert np.array_equal(found[3], tfviz.open_maps(whole)[11])


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--method", "saliency", "--layer", "conv"), "saliency is a pixel method and takes no layer"),
        (("--method", "grad-cat"), "near names: grad-cam"),
        (("--target", "cat"), "There is no class 'cat'"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(model, tmp_path, capsys, more, sentence) -> None:
    assert run(model, tmp_path / "out", *more) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_damaged_index_and_a_damaged_shard_are_said(whole: Path, tmp_path: Path) -> None:
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "index.jsonl").write_text("{half a line")
    with pytest.raises(tfviz.InputError, match=r"index\.jsonl is damaged"):
        tfviz.open_maps(tmp_path)
    (tmp_path / "index.jsonl").write_bytes((whole / "index.jsonl").read_bytes())
    (tmp_path / "maps-000000.npz").write_bytes(b"no archive")
    with pytest.raises(tfviz.InputError, match=r"maps-000000\.npz is not a whole shard"):
        tfviz.open_maps(tmp_path)[0]


def test_a_folder_without_maps_is_said(tmp_path: Path) -> None:
    with pytest.raises(tfviz.InputError, match=r"holds no maps: there is no job\.json"):
        tfviz.open_maps(tmp_path)


@pytest.mark.slow
def test_killed_in_the_middle_nothing_is_lost_and_nothing_twice(model: Path, tmp_path: Path) -> None:
    words = ("--shard", 1, "--batch", 1, "--limit", 300, "--method", "smoothgrad")
    command = [sys.executable, "-m", "tfviz.cli", *arguments(model, tmp_path / "killed", *words)]
    rounds = 0
    for most in (3, 60, 150):
        process = subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while len(list((tmp_path / "killed").glob("maps-*.npz"))) < most and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        rounds += process.wait() == -signal.SIGKILL
    assert rounds == 3
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("maps-*.npz")}
    assert 150 <= len(before) < 300
    subprocess.run(command, check=True, capture_output=True)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("maps-*.npz")}
    assert before.items() <= after.items()
    assert run(model, tmp_path / "whole", *words) == 0
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
    assert [entry.image for entry in tfviz.open_maps(tmp_path / "killed").entries] == list(range(300))


@pytest.mark.slow
def test_two_workers_of_ray_finish_what_one_process_began_with_the_same_bytes(model, whole, tmp_path) -> None:
    pytest.importorskip("ray", reason="Ray is an extra: pip install tfviz[ray]")
    (tmp_path / "maps").mkdir()
    for name in ("job.json", "maps-000001.npz"):
        (tmp_path / "maps" / name).write_bytes((whole / name).read_bytes())
    command = [sys.executable, "-m", "tfviz.cli", *arguments(model, tmp_path / "maps", "--ray", "--workers", 2)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    assert said.stdout.splitlines()[0] == f"{PICTURES} maps by grad-cam"
    assert digests(tmp_path / "maps") == digests(whole)
