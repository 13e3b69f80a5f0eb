"""The recipe of `make demo`, taken from the Makefile itself and run on fewer pictures."""

import json
import re
import shlex
from pathlib import Path

import pytest

from firmware_tools.cli import app as firmware_tools
from tfviz import console
from tfviz.cli import app as tfviz

MAKEFILE = Path(__file__).parents[1] / "Makefile"
PROGRAMS = {"tfviz": tfviz, "firmware-tools": firmware_tools}
# What makes each command small; it comes last, so it wins over the recipe's own.
SMALLER = {"train": ["--limit", "300", "--test-limit", "30", "--epochs", "1"], "validate": ["--limit", "6"]}


def recipe(folder: Path) -> list[list[str]]:
    """The demo's commands as argument lists, writing to `folder`."""
    text = MAKEFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.search(r"^demo:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert lines, "the Makefile has no recipe `demo`"
    commands = lines[1].replace("$(BIN)/", "").replace("$(DEMO)", str(folder))
    return [shlex.split(line) for line in commands.splitlines()]


def test_the_demo_ends_in_a_page_whose_every_layer_is_exact(tmp_path, capsys):
    for program, command, *arguments in recipe(tmp_path):
        with pytest.raises(SystemExit) as stop:
            console.run(PROGRAMS[program], [command, *arguments, *SMALLER.get(command, [])])
        assert stop.value.code == 0, (command, capsys.readouterr().err)
        if command == "train":
            assert "accuracy" in capsys.readouterr().out

    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("PASS: all ")
    for words in ("EXACT against", "SQNR of the worst layer", "top-1 agreement", "over 6 images", "flash", "RAM"):
        assert words in last, last

    written = {path.name for path in tmp_path.rglob("*.*")}
    assert {"report.html", "report.json", "dog_int8.tflite", "conv1.png", "grad-cam.png", "saliency.png"} <= written
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["verdict"] == "PASS"
    assert report["exact_ops"] == report["total_ops"] == len(report["ops"]) == 10
    assert {op["verdict"] for op in report["ops"]} == {"EXACT"}
    assert report["flash_bytes"] < report["flash_total"]
