"""`tfviz.evaluate` and its command: rankings of methods whose worth is known, and what the command writes and says."""

import dataclasses
import json
import re
from pathlib import Path

import cv2
import keras
import nets
import numpy as np
import pytest

import tfviz
from tfviz import cli, console, plot
from tfviz.errors import InputError
from tfviz.metrics import summary, table
from tfviz.preprocess import Preprocess, Sidecar, write_sidecar


@dataclasses.dataclass(frozen=True)
class Pictures:
    images: np.ndarray
    masks: np.ndarray | None = None


def bright_squares(count: int = 24) -> Pictures:
    """Dark pictures with one bright square each, which is the object."""
    draws = np.random.default_rng(0)
    masks = np.zeros((count, 16, 16), bool)
    for mask in masks:
        y, x = draws.integers(0, 11, 2)
        mask[y : y + 5, x : x + 5] = True
    pixels = np.where(masks, 0.9, 0.1)[..., np.newaxis] + draws.normal(0, 0.01, (count, 16, 16, 1))
    return Pictures(pixels.astype(np.float32), masks)


@pytest.fixture(scope="module")
def brightness():
    """Class 1 is the more certain the more bright pixels there are."""
    net = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            keras.layers.Conv2D(1, 1, activation="relu", name="bright"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, name="logits"),
        ]
    )
    net.set_weights([np.ones((1, 1, 1, 1)), np.array([-0.5]), np.array([[0.0, 60.0]]), np.array([0.0, -1.0])])
    return net


METHODS = {
    "truth": lambda _, x, __: np.maximum(x[..., 0] - 0.5, 0),
    "opposite": lambda _, x, __: np.maximum(0.5 - x[..., 0], 0),
    "empty": lambda _, x, __: np.zeros(x.shape[:3]),
}


@pytest.fixture(scope="module")
def evaluation(brightness):
    return tfviz.evaluate(brightness, [bright_squares()], METHODS, target=1)


def test_the_true_map_is_ranked_first_and_beats_random_maps_wherever_that_can_be_told(evaluation):
    assert evaluation.rows[0].method == "truth"
    assert [row.method for row in evaluation.rows[-2:]] == ["random", "random-coarse"]
    beats = {name: estimate.beats_random for name, estimate in evaluation.rows[0].estimates.items()}
    for name in ("deletion", "insertion", "road", "average-drop", "mu-fidelity", "infidelity", "pointing-game"):
        assert beats[name] is True, name
    assert beats["relevance-mass"] is beats["relevance-rank"] is True
    assert beats["max-sensitivity"] is beats["randomisation"] is beats["sparseness"] is None


def test_the_opposite_map_beats_random_maps_nowhere_on_the_object_nor_in_deletion(evaluation):
    (row,) = [row for row in evaluation.rows if row.method == "opposite"]
    for name in ("deletion", "insertion", "road", "pointing-game", "relevance-mass", "relevance-rank"):
        assert row.estimates[name].beats_random is False, name
    assert row.estimates["pointing-game"].mean == 0
    assert row.estimates["randomisation"].mean == pytest.approx(1)  # it never looks at the weights


def test_empty_maps_are_counted_and_no_figure_is_nan(evaluation):
    assert {row.method: row.empty_share for row in evaluation.rows}["empty"] == 1
    for row in evaluation.rows:
        for name, estimate in row.estimates.items():
            assert np.isfinite([estimate.mean, estimate.low, estimate.high]).all(), (row.method, name)
            assert estimate.low <= estimate.mean + 1e-12
            assert estimate.mean <= estimate.high + 1e-12


def test_how_the_data_is_cut_into_batches_changes_no_method(brightness, evaluation):
    whole = bright_squares()
    parts = [Pictures(whole.images[i : i + 7], whole.masks[i : i + 7]) for i in range(0, 24, 7)]
    again = tfviz.evaluate(brightness, parts, METHODS, target=1, metrics=["deletion", "road", "relevance-mass"])
    for name in METHODS:
        one, other = ({row.method: row for row in e.rows}[name].estimates for e in (evaluation, again))
        for metric in ("deletion", "road", "relevance-mass"):
            assert other[metric].mean == pytest.approx(one[metric].mean, abs=1e-6)
            assert (other[metric].low, other[metric].high) == pytest.approx(
                (one[metric].low, one[metric].high), abs=1e-6
            )


def test_an_evaluation_is_the_same_for_a_seed(brightness, evaluation):
    again = tfviz.evaluate(brightness, [bright_squares()], METHODS, target=1)
    assert [row.estimates for row in again.rows] == [row.estimates for row in evaluation.rows]


def test_bootstrap_means_spread_like_the_standard_error():
    values = np.random.default_rng(3).normal(5, 2, (400, 2))
    means = summary.resampled_means(values, seed=0)
    np.testing.assert_allclose(means.mean(axis=0), values.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(means.std(axis=0), values.std(axis=0) / 20, rtol=0.08)


def test_no_group_of_metrics_weighs_more_for_having_many():
    def fake(name, group, higher=True):
        return table.Metric(name=name, group=group, higher=higher, line="", source="", function=lambda _: None)

    metrics = [fake(str(i), "faithful") for i in range(7)] + [fake("s", "on the object", False)]
    scores = {}
    for name, faithful, moved in (("a", 1.0, 9.0), ("b", 0.0, 1.0)):
        scores[name] = summary.Scores(images=2)
        for metric in metrics:
            scores[name].add(metric.name, np.full(2, moved if metric.name == "s" else faithful))
    found = summary.summarise(scores, metrics, blind=(), seed=0)
    assert [row.rank for row in found.rows] == [1.5, 1.5]


def test_a_map_that_is_the_same_everywhere_wins_nothing_by_being_stable(evaluation):
    by_name = {row.method: row for row in evaluation.rows}
    assert by_name["empty"].estimates["max-sensitivity"].mean == 0
    assert by_name["empty"].rank > by_name["truth"].rank


def test_data_without_masks_is_judged_without_them_and_asking_for_them_is_refused(brightness):
    pictures = Pictures(bright_squares(4).images)
    found = tfviz.evaluate(brightness, [pictures], ["saliency"], metrics=None)
    assert not {"pointing-game", "relevance-mass", "relevance-rank"} & {metric.name for metric in found.metrics}
    with pytest.raises(InputError, match="pointing-game needs masks"):
        tfviz.evaluate(brightness, [pictures], ["saliency"], metrics=["pointing-game"])


def test_one_array_is_one_batch_and_a_data_set_is_read_in_batches(brightness):
    array = bright_squares(5).images
    found = tfviz.evaluate(brightness, array, ["saliency"], metrics=["sparseness"])
    assert found.rows[0].estimates["sparseness"].images == 5
    dogs = tfviz.data.load("dog-poses", limit=3, size=16, channels=1)
    assert tfviz.evaluate(brightness, dogs, ["saliency"], metrics=["relevance-mass"]).images == 3


def test_wrong_names_and_no_pictures_are_refused(brightness):
    with pytest.raises(InputError, match="near names: deletion"):
        tfviz.evaluate(brightness, [bright_squares(2)], ["saliency"], metrics=["deletions"])
    with pytest.raises(InputError, match=r"near names: .*saliency"):
        tfviz.evaluate(brightness, [bright_squares(2)], ["salience"])
    with pytest.raises(InputError, match="list of names"):
        tfviz.evaluate(brightness, [bright_squares(2)], "saliency")
    with pytest.raises(InputError, match="no pictures"):
        tfviz.evaluate(brightness, [], ["saliency"])


def test_methods_that_do_not_apply_are_told_apart_with_their_reason():
    from tfviz._evaluate import applicable

    usable, refused = applicable(nets.flattened(), nets.images(1), ["saliency", "cam", "grad-cam"])
    assert usable == ["saliency", "grad-cam"]
    assert "cam" in refused
    assert refused["cam"]


def test_the_picture_has_a_panel_for_each_metric_and_says_what_it_is(evaluation):
    figure = plot.scoreboard(evaluation, title="squares")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert [title.split("\n")[0] for title in titles] == [metric.name for metric in evaluation.metrics]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "truth"
    assert "empty (100% empty)" in labels


def tfviz_command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        console.run(cli.app, [str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    net = tfviz.zoo.dog_cnn((16, 16, 3))
    net.save(folder / "dog.keras")
    write_sidecar(folder / "dog.keras", Sidecar(Preprocess(size=(16, 16), scale=1 / 255), ("sit", "stand", "lie")))
    return folder


def test_the_command_prints_one_table_and_writes_its_json_and_its_picture(room, capfd):
    arguments = ["--methods", "grad-cam,saliency", "--limit", 6, "--steps", 4, "--samples", 8]
    arguments += ["--out", room / "e.png", "--json", room / "e.json"]
    assert tfviz_command("evaluate", room / "dog.keras", "dog-poses", *arguments) == 0
    said = capfd.readouterr().out
    assert {line.split()[0] for line in said.splitlines()[1:5]} == {"grad-cam", "saliency", "random", "random-coarse"}
    assert "6 pictures" in said
    assert cv2.imread(str(room / "e.png")).std() > 5
    facts = json.loads((room / "e.json").read_text())
    assert facts["images"] == 6
    assert len(facts["data_identity"]) == 16
    assert {row["method"] for row in facts["methods"]} == {"grad-cam", "saliency", "random", "random-coarse"}
    best = facts["methods"][0]
    assert f"{best['metrics']['deletion']['mean']:.3g}±" in said
    assert set(best["metrics"]) == set(table.METRICS)


def test_the_command_without_methods_takes_all_that_fit_and_can_explain_one_class(room, capfd):
    arguments = ["--metrics", "sparseness,relevance-mass", "--limit", 2, "--target", "lie"]
    assert tfviz_command("evaluate", room / "dog.keras", "dog-poses", *arguments) == 0
    said = capfd.readouterr().out
    assert re.search(r"^integrated-gradients\s", said, re.MULTILINE)
    assert re.search(r"^cam\s", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["dog.keras", "dog-poses", "--methods", "salience"], "near names: .*saliency"),
        (["dog.keras", "dog-poses", "--methods", "saliency,"], "parted by commas"),
        (["dog.keras", "dog-poses", "--metrics", "delete"], "no metric 'delete'"),
        (["dog.keras", "dog-poses", "--target", "cat"], "no class 'cat'"),
        (["dog.keras", "dog-poses", "--layer", "convx", "--methods", "grad-cam"], "convx"),
        (["dog.keras", "dog-poses", "--out", "e.jpg"], r"ends in \.png"),
        (["dog.keras", "dog-poses", "--json", "e.txt"], r"ends in \.json"),
        (["gone.keras", "dog-poses"], "no model file"),
        (["dog.keras", "gone.npz"], "gone.npz"),
        (["dog.keras", "dog-poses", "--limit", "1"], "greater than or equal to 2"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(room, arguments, sentence, capfd, monkeypatch):
    monkeypatch.chdir(room)
    assert tfviz_command("evaluate", *arguments) == 2
    error = capfd.readouterr().err
    assert re.search(sentence, error)
    assert "Traceback" not in error
