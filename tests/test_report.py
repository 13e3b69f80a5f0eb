"""The page's parts: pictures are the numbers, sentences say what was found, nothing gets in unescaped."""

import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import report_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_tools.explain import Looks
from firmware_tools.report import words, write_report
from firmware_tools.report.chart import charts
from firmware_tools.report.layers import layers
from firmware_tools.results import Channels, Drift, Gaze, RunVerdict, Verdict
from tfviz.errors import InputError
from tfviz.preprocess import Preprocess
from tfviz.report import Section, page
from tfviz.report.album import DIVERGING, LEVELS, SEQUENTIAL, Album, bars_svg, indexed_png
from tfviz.report.model import Judged, _Keeper, model_section, predict
from tfviz.report.panels import difference_panel, layer_panels, pixel_budget
from tfviz.report.shots import heat_overlay, probabilities
from tfviz.report.tiles import Grid, Scale, draw, tile

EVIL = """<img src=x onerror="alert(1)">'"</script><script>alert(2)</script>"""


def decoded(uri: str) -> np.ndarray:
    """A `data:` PNG as (H, W, 4) RGBA."""
    data = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)


class Reader(HTMLParser):
    """Every tag with its attributes, and the text of h1."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def addresses(self) -> list[str]:
        """Everything that a browser could fetch or follow."""
        return [value or "" for _, attrs in self.tags for name, value in attrs.items() if name in ("src", "href")]


def table_of(html: str) -> dict[str, str]:
    return json.loads(re.search(r'id="pictures">(.*?)</script>', html, re.S)[1])


# Pairs and demands


def test_pairs_and_demands_are_there_when_they_were_asked_for(tmp_path):
    from firmware_tools.results import EngineInfo, Matrix, Pair, PairOp, Threshold

    infos = tuple(EngineInfo("engine", name, f"{EVIL} kernels", "ab") for name in ("tflm", EVIL, "tflm"))
    pairs = (
        Pair(0, 1, (PairOp(0, EVIL, 0.5, 4, 20.0), PairOp(1, "pool", 1.0, 0, float("inf"))), 1, 0, 0, 4, 20.0, 0.975),
        Pair(0, 2, (PairOp(0, "conv", 1.0, 0, float("inf")),), 1, None, None, 0, float("inf"), 1.0),
        Pair(1, 2, (PairOp(0, "conv", None, None, 31.3),), 0, 0, 0, None, 31.3, None),
    )
    demands = (
        Threshold("op 1", "sqnr_db", ">= 20", 37.0, True),
        Threshold("run", "ssim", EVIL, None, False),
    )
    path = tmp_path / "page.html"
    write_report(report_factory.comparison(matrix=Matrix(infos, pairs), thresholds=demands), path)
    text = path.read_text()
    for sentence in (
        "tflm 1",
        "tflm 2",
        "1 of 2 layers equal",
        "at most 4 LSB apart",
        "97.5",
        "in the worst (conv)",
    ):
        assert sentence in text
    assert "1 of 2 demands are met." in text
    assert text.index("not measured") < text.index("&gt;= 20")
    assert not [attrs for tag, attrs in Reader(text).tags if tag == "img" and attrs.get("onerror")]
    plain = tmp_path / "plain.html"
    write_report(report_factory.comparison(), plain)
    assert "Every pair of engines" not in plain.read_text()


# Pictures


@settings(deadline=None)  # the first import of OpenCV takes long
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_an_indexed_png_is_read_back_by_opencv_as_its_palette_says(height: int, width: int, seed: int) -> None:
    levels = np.random.default_rng(seed).integers(0, LEVELS, (height, width), np.uint8)
    read = cv2.imdecode(np.frombuffer(indexed_png(levels, DIVERGING), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert (read == DIVERGING[levels]).all()


def test_a_tile_of_the_picture_is_the_channel_in_the_scales_colours() -> None:
    maps = np.random.default_rng(0).uniform(0, 3, (5, 7, 6)).astype(np.float32)
    album, scale, grid = Album(), Scale(0.0, 3.0), Grid.of((5, 7, 6))
    picture = decoded(album.pictures[draw(album, maps, scale, grid)])
    for channel in range(6):
        top, left = channel // grid.columns * 6, channel % grid.columns * 8
        expected = SEQUENTIAL[np.rint(maps[..., channel] / 3 * (LEVELS - 1)).astype(int)]
        assert np.abs(picture[top : top + 5, left : left + 7, :3].astype(int) - expected).max() <= 12  # half a level
    assert (picture[5, :, 3] == 0).all()  # between the rows


def test_the_same_number_has_the_same_colour_in_every_panel_of_a_layer() -> None:
    album = Album()
    small, large = np.zeros((4, 4, 1)), np.zeros((4, 4, 1))
    small[0, 0], large[0, 0], large[1, 1] = 1.0, 1.0, 2.0
    one, other = layer_panels(album, [("a", "", [small]), ("b", "", [large])])
    first, second = (decoded(album.pictures[panel.pictures[0]]) for panel in (one, other))
    assert (first[0, 0] == second[0, 0]).all()
    assert (first[1, 1] != second[1, 1]).any()
    assert (one.low, one.high) == (other.low, other.high) == ("0", "2")


def test_two_engines_with_the_same_bytes_share_one_picture() -> None:
    album = Album()
    values = np.random.default_rng(0).normal(size=(8, 8, 4))
    one, other = layer_panels(album, [("a", "", [values]), ("b", "", [values.copy()])])
    assert one.pictures == other.pictures
    assert len(album.pictures) == 1


def test_what_is_not_a_number_has_a_colour_of_its_own() -> None:
    album, values = Album(), np.ones((2, 2, 1))
    values[0, 1] = np.nan
    values[1, 0] = np.inf
    picture = decoded(album.pictures[draw(album, values, Scale(0.0, 1.0), Grid.of((2, 2, 1)))])
    assert picture[0, 1, :3].tolist() == picture[1, 0, :3].tolist() == [255, 0, 255]
    assert picture[0, 0, :3].tolist() == SEQUENTIAL[-1].tolist()


def test_large_maps_are_means_of_blocks_and_the_edge_is_kept() -> None:
    maps = np.arange(130 * 130, dtype=np.float32).reshape(130, 130, 1)
    grid = Grid.of(maps.shape)
    assert (grid.reduced, grid.width) == (3, 44)
    sheet = tile(maps, grid)
    assert sheet[0, 0] == maps[:3, :3, 0].mean()
    assert sheet[43, 43] == maps[129, 129, 0]  # only the last value, repeated


@settings(deadline=None)  # the first import of OpenCV takes long
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_a_scale_holds_all_but_the_outliers_and_zero(values: list[float]) -> None:
    scale = Scale.of([np.array(values)])
    sizes = np.abs(np.array(values))
    assert scale.low <= 0 < scale.high
    assert (sizes > scale.high).sum() <= 0.005 * len(values) + 1
    assert scale.clipped == bool(sizes.max() > scale.high)
    assert scale.low == (-scale.high if min(values) < 0 else 0)


def test_the_difference_says_how_many_values_differ_and_by_how_much() -> None:
    difference = np.zeros((4, 4, 2))
    difference[1, 2, 0], difference[0, 0, 1] = -3, 2
    panel = difference_panel(Album(), "Difference", "", [difference, np.zeros((4, 4, 2))])
    assert panel.captions == ("2 of 32 values differ, at most by 3 LSB", "none: all 32 values are the same")
    assert (panel.low, panel.high) == ("\N{MINUS SIGN}3 LSB", "3 LSB")


def test_bars_have_the_height_of_their_values() -> None:
    svg = bars_svg(np.array([1.0, -0.5, np.nan, 0.0]), -0.5, 1.0).decode()
    heights = [float(top) - float(base) for base, top in re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)h", svg)]
    assert heights == [-40.0, 20.0]  # of 60 pixels for the span of 1.5; up is negative


def test_a_page_of_60_layers_stays_within_some_megabytes() -> None:
    pictures = 60 * 4 * 6
    assert pixel_budget(pictures) * pictures <= 13_000_000


# What is said of images


def test_probabilities_are_softmax_sigmoid_or_left_alone() -> None:
    np.testing.assert_allclose(probabilities(np.array([[1.0, 2.0]])), [[1 / (1 + np.e), np.e / (1 + np.e)]])
    np.testing.assert_allclose(probabilities(np.array([[-2.0]])), [[1 - 1 / (1 + np.e**2), 1 / (1 + np.e**2)]])
    assert probabilities(np.array([[0.2, 0.8]])).tolist() == [[0.2, 0.8]]


def test_an_empty_heat_map_is_said_and_not_drawn() -> None:
    overlay = heat_overlay("Grad-CAM", "words", np.zeros((8, 8, 3), np.uint8), -np.ones((2, 2)))
    assert overlay.heat is None
    assert overlay.caption.startswith("Nothing is positive")


def test_a_heat_map_is_opaque_where_it_is_high_and_clear_where_it_is_zero() -> None:
    heat = np.array([[0.0, 0.0], [0.0, 5.0]])
    overlay = heat_overlay("Grad-CAM", "", np.zeros((8, 8, 3), np.uint8), heat)
    assert overlay.heat is not None
    alpha = decoded(overlay.heat)[..., 3]
    assert alpha[0, 0] == 0
    assert alpha[-1, -1] == alpha.max() > 150


def test_pictures_are_chosen_one_of_each_class_and_up_to_a_third_wrong() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 0, 1])
    said = np.array([0, 0, 0, 1, 1, 2, 2, 2, 1, 0])
    keeper = _Keeper(6)
    for start in range(0, 10, 4):
        part = slice(start, start + 4)
        names = tuple(str(index) for index in range(10))[part]
        keeper.add(Judged(np.zeros((len(names), 2, 2, 3), np.uint8), names, labels[part], np.eye(3)[said[part]]))
    assert keeper.shown().names == ("0", "3", "5", "1", "8", "9")


# The page of a model


@pytest.fixture(scope="module")
def net() -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv"),
            keras.layers.MaxPooling2D(name="pool"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(3, activation="softmax", name="head"),
        ]
    )


def test_a_models_layers_are_shown_before_and_after_relu_pooled_and_as_bars(net: keras.Model) -> None:
    images = report_factory.pictures(2, side=16)
    section = model_section(net, images, Preprocess(size=(16, 16), scale=1 / 255))
    reader = Reader(section.html)
    assert [attrs["id"] for tag, attrs in reader.tags if tag == "article"] == [f"layer-{i}" for i in range(4)]
    heads = re.findall(r'class="engine"><b>(.*?)</b>', section.html)
    assert heads == ["Before relu", "After relu", "Output", "Output", "Before softmax", "After softmax"]
    named = [
        key for _, attrs in reader.tags if "data-pictures" in attrs for key in json.loads(attrs["data-pictures"] or "")
    ]
    assert set(named) == set(section.pictures)


def test_the_outputs_are_the_models_own_and_the_model_is_left_as_it_was(net: keras.Model) -> None:
    x = np.random.default_rng(0).uniform(size=(3, 16, 16, 3)).astype(np.float32)
    before = set(vars(net))
    np.testing.assert_allclose(predict(net, x), np.asarray(net(x)), atol=1e-6)
    assert set(vars(net)) == before


def test_a_model_that_gives_no_classes_is_refused() -> None:
    maps = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(2, 3)])
    with pytest.raises(InputError, match=r"classifiers.*\(1, 14, 14, 2\)"):
        predict(maps, np.zeros((1, 16, 16, 3), np.float32))


# The page of a validation


def test_the_first_sentence_says_that_the_board_is_right() -> None:
    said = words.headline(report_factory.comparison())
    assert (said.sentence, said.mark, said.tone) == ("The board sees exactly what the desktop sees.", "PASS", "good")
    assert "All 4 layers" in said.details[0]
    assert "TFLM reference kernels 0.dev1" in said.details[0]


def test_the_first_sentence_says_what_differs_first_and_the_next_by_how_much_and_why() -> None:
    made = report_factory.comparison(faulty_op=1, cause="single rounding in the pooling kernel.")
    said = words.headline(made)
    assert said.sentence == "The board differs from the desktop, first in pool."
    assert (said.mark, said.tone) == ("DIFFERS", "bad")
    assert said.details[0].startswith("2 of 4 layers")
    assert said.details[1].replace("\N{NO-BREAK SPACE}", " ") == (
        "In pool (op 1, MAX_POOL_2D) 0.05 % of its values differ, by at most 2 LSB "
        "(image 0, row 0, column 0, channel 0). Given the reference's own inputs, it still differs by 2 LSB."
    )
    assert said.details[2] == "Cause: single rounding in the pooling kernel."


def test_a_tolerated_difference_is_not_called_exact() -> None:
    made = report_factory.comparison(faulty_op=2)
    said = words.headline(dataclasses.replace(made, verdict=RunVerdict.PASS, tolerated="rounding"))
    assert said.sentence == "The board differs from the desktop within the tolerance, first in conv_1."
    assert (said.mark, said.tone) == ("PASS", "warn")


def test_a_float_comparison_has_no_verdict_in_lsb() -> None:
    made = report_factory.comparison()
    ops = tuple(dataclasses.replace(op, verdict=Verdict.MEASURED) for op in made.ops)
    measured = dataclasses.replace(made, verdict=RunVerdict.MEASURED, ops=ops, exact_ops=0)
    assert words.headline(measured).mark == "MEASURED"
    assert "Layers exact" not in [fact.label for fact in words.key_facts(measured)]


def test_key_facts_are_the_comparisons_numbers() -> None:
    facts = {fact.label: fact for fact in words.key_facts(report_factory.comparison())}
    plain = {label: fact.value.replace("\N{NO-BREAK SPACE}", " ") for label, fact in facts.items()}
    assert plain == {
        "Layers exact": "4 of 4",
        "Same class named": "100 %",
        "Accuracy": "95.0 %",
        "Worst layer, int8 to float": "31.0 dB",
        "Flash used": "42.0 kB",
        "RAM used": "61.4 kB",
    }
    assert facts["RAM used"].share == 61_440 / 262_144


def test_what_nobody_measured_is_not_shown(tmp_path: Path) -> None:
    bare = report_factory.comparison(
        samples=0, accuracy={}, confusion={}, top1_agreement=None, flash_bytes=None, ram_bytes=None, arena_bytes=None
    )
    bare = dataclasses.replace(bare, ops=tuple(dataclasses.replace(op, instructions=None) for op in bare.ops))
    write_report(bare, tmp_path / "bare.html")
    html = (tmp_path / "bare.html").read_text()
    for absent in ("Flash used", "Accuracy", "Over the data", "What it saw", ">instructions<"):
        assert absent not in html
    assert "None" not in html
    assert ">nan" not in re.sub(r"<style>.*?</style>|<script.*?</script>", "", html, flags=re.S)


def test_every_layer_has_every_engine_at_one_scale_and_the_difference() -> None:
    made = report_factory.comparison(faulty_op=1)
    album = Album()
    column = layers(made, album)
    assert [layer.name for layer in column] == ["conv", "pool", "conv_1", "dense"]
    assert [panel.title for panel in column[0].panels] == ["Float", "Desktop int8", "Board int8", "Difference"]
    assert len({(panel.low, panel.high) for panel in column[1].panels[:3]}) == 1
    assert column[0].panels[1].pictures == column[0].panels[2].pictures
    assert column[1].panels[3].captions[0] == "1 of 2,048 values differ, at most by 2 LSB"
    assert [layer.chips[0] for layer in column] == [
        ("EXACT", "good"),
        ("DIVERGED", "bad"),
        ("INHERITED", "warn"),
        ("EXACT", "good"),
    ]


def test_the_growth_of_the_error_is_drawn_where_there_is_any() -> None:
    assert [chart.title[:6] for chart in charts(report_factory.comparison())] == ["Signal"]
    made = charts(report_factory.comparison(faulty_op=1))[1]
    accumulated, own = made.lines
    assert [dot.text for dot in accumulated.dots][1] == "pool: accumulated 2 LSB"
    zero, top = made.ticks[0][0], made.ticks[-1][0]
    assert [dot.y for dot in accumulated.dots] == [zero, top, top, zero]
    assert [dot.y for dot in own.dots] == [zero, top, zero, zero]


def test_what_was_not_measured_is_a_gap_in_the_chart() -> None:
    made = report_factory.comparison()
    ops = [
        dataclasses.replace(op, sqnr_db=value) for op, value in zip(made.ops, [30.0, None, np.inf, 20.0], strict=True)
    ]
    line = charts(dataclasses.replace(made, ops=tuple(ops)))[0].lines[0]
    assert line.path.count("M") == 2
    assert len(line.dots) == 2


def test_a_report_asks_no_network_for_anything(tmp_path: Path) -> None:
    write_report(report_factory.comparison(), tmp_path / "page.html", commands=["firmware-tools validate model.keras"])
    html = (tmp_path / "page.html").read_text()
    reader = Reader(html)
    assert all(address.startswith(("#", "data:")) for address in reader.addresses())
    assert not re.search(r"https?://(?!www\.w3\.org)", html)
    assert "@import" not in html
    policy = next(attrs["content"] for tag, attrs in reader.tags if attrs.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    anchors = {attrs["id"] for _, attrs in reader.tags if attrs.get("id")}
    assert {address[1:] for address in reader.addresses() if address.startswith("#")} <= anchors


def test_every_picture_that_is_named_is_in_the_page_and_no_other(tmp_path: Path) -> None:
    write_report(report_factory.comparison(), tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    named = {
        key
        for _, attrs in Reader(html).tags
        if "data-pictures" in attrs
        for key in json.loads(attrs["data-pictures"] or "")
    }
    assert named == set(table_of(html))


def test_no_name_gets_into_the_page_unescaped(tmp_path: Path) -> None:
    made = report_factory.comparison(faulty_op=0)
    ops = tuple(dataclasses.replace(op, name=EVIL, op=EVIL, keras_layer=EVIL) for op in made.ops)
    evil = dataclasses.replace(
        made,
        ops=ops,
        class_names=(EVIL,) * 3,
        board=EVIL,
        cause=EVIL,
        notes=(EVIL,),
        unpaired=(EVIL,),
        engines=tuple(dataclasses.replace(info, name=EVIL, kernels=EVIL) for info in made.engines),
        data=tuple(dataclasses.replace(info, source=EVIL, split=EVIL) for info in made.data),
        samples=tuple(dataclasses.replace(sample, name=EVIL) for sample in made.samples),
        accuracy={EVIL: 1.0},
        confusion={EVIL: np.eye(3, dtype=np.int64)},
    )
    write_report(evil, tmp_path / "evil.html", title=EVIL, commands=[EVIL])
    html = (tmp_path / "evil.html").read_text()
    reader = Reader(html)
    assert len([tag for tag, _ in reader.tags if tag == "script"]) == 2
    assert not [name for _, attrs in reader.tags for name in attrs if name.startswith("on")]
    assert "<img src=x" not in html


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="Cannot write"):
        write_report(report_factory.comparison(), tmp_path / "file" / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_sections_are_put_together_with_all_their_pictures() -> None:
    html = page("A title", [Section("a", "First", "<p>one</p>", {"k": "data:,"}), Section("b", "", "<p>two</p>")])
    assert table_of(html) == {"k": "data:,"}
    assert html.index("<p>one</p>") < html.index("<p>two</p>")
    assert '<a href="#a">First</a>' in html
    assert "<h2></h2>" not in html


def test_the_same_comparison_gives_the_same_page(tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        write_report(report_factory.comparison(), tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def with_drift(question: str = "Does the microcontroller still look at the dog?"):
    """A comparison whose drift shows one picture that float and board explain, the board half as strongly."""
    names = ("keras", "emulator:nano33ble")
    gazes = [
        Gaze(name, role, 0.99, 0.9, 0.95, 0.75, 0.5, 1.0, 0)
        for name, role in zip(names, ("float", "device"), strict=True)
    ]
    found = Drift(question, "Yes: it does.", True, "cam", 1, 0.1, tuple(gazes), ())
    comparison = dataclasses.replace(report_factory.comparison(), drift=found)
    heat = np.zeros((4, 4), np.float32)
    heat[1, 1] = 2.0
    return comparison, (Looks(EVIL, report_factory.pictures(1)[0], 0, (0, 1), (heat, heat / 2)),)


def test_the_page_answers_where_the_board_looks_in_one_colour_scale(tmp_path):
    comparison, looks = with_drift()
    write_report(comparison, tmp_path / "page.html", looks=looks)
    text = (tmp_path / "page.html").read_text()
    assert EVIL not in text
    # On the first screen in a line, and in a section of its own with the figures.
    assert "Does the microcontroller still look at the dog? Yes." in text
    part = text[text.index('class="gazes"') :]
    assert "they disagree" in part
    assert part.index("0.990") > 0
    uris = re.findall(r'class="heat" src="([^"]+)"', part)
    strong, weak = (decoded(uri)[..., 3].max() for uri in uris[:2])
    assert strong > weak > 0.3 * strong  # half the value is less opaque, not normalised to the same


def test_cause_and_what_to_do_stand_out_in_the_headline(tmp_path):
    comparison = dataclasses.replace(report_factory.comparison(faulty_op=1), cause="a <b>swapped</b> channel: proved")
    write_report(comparison, tmp_path / "page.html")
    assert "<b>Cause:</b> a &lt;b&gt;swapped&lt;/b&gt; channel: proved" in (tmp_path / "page.html").read_text()


def test_each_layer_shows_its_error_by_channel_and_its_time(tmp_path):
    made = report_factory.comparison(faulty_op=1, board="nano33ble")
    ops = list(made.ops)
    ops[0] = dataclasses.replace(ops[0], channels=Channels(max_lsb=(0, 0, 3, 1), rmse_scale=(0.3, 0.3, 0.3, 0.3)))
    ops[1] = dataclasses.replace(ops[1], channels=Channels(max_lsb=(0, 0), rmse_scale=(0.2, 0.5)))
    write_report(dataclasses.replace(made, ops=tuple(ops)), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "tallest: channel 2, 3 LSB" in text
    assert "channel 3: 1 LSB" in text
    assert "tallest: channel 1, 0.5 steps (RMSE)" in text
    assert text.count('class="by-channel"') == 2
    assert f"\u2265 {1e3 * ops[0].instructions / 64e6:.3g} ms at 64 MHz" in text
