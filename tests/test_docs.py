"""The documentation says what the code does: its recipes run, its commands exist, and every command is in it."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import typer

import firmware_tools.cli
import tfviz
import tfviz.cli
from firmware_tools import boards
from tfviz import cam, registry

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def test_the_recipe_for_a_method_gives_a_method(monkeypatch):
    import keras

    recipe = blocks("extend.md", "python")[0]
    assert recipe.count("\n") < 50
    for table in (cam.MEMBERS, registry.METHODS):
        monkeypatch.setitem(table, "peak-cam", None)  # so that it is taken out again
    module = types.ModuleType("recipe")
    monkeypatch.setitem(sys.modules, "recipe", module)
    exec(compile(recipe, "extend.md", "exec"), module.__dict__)

    keras.utils.set_random_seed(3)
    layers = keras.layers
    pooled = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(4, 3, name="conv"), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    )
    images = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
    method = registry.find("peak-cam", "layer")
    # Every gradient of a channel is the same in front of global average pooling.
    np.testing.assert_allclose(method.function(pooled, images, 1), tfviz.grad_cam(pooled, images, 1), rtol=1e-5)
    flat = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])
    # A weight that is a maximum is never below the one that is a mean, where the maps are positive.
    both = cam.cams(flat, images, ["peak-cam", "grad-cam"], 1)
    assert not np.allclose(both["peak-cam"], both["grad-cam"])


def test_the_recipe_for_a_board_is_a_board(tmp_path):
    (recipe,) = blocks("extend.md", "toml")
    assert recipe.count("\n") < 50
    path = tmp_path / "blackpill.toml"
    path.write_text(recipe)
    board = boards.load(str(path))
    assert (board.chip, board.core.name, board.clock_hz) == ("STM32F411CE", "cortex-m4f", 100_000_000)


def commands(app: typer.Typer) -> set[str]:
    return set(typer.main.get_command(app).commands)


@pytest.mark.parametrize("program", ["tfviz", "firmware-tools"])
def test_every_command_is_shown_and_every_one_shown_exists(program):
    known = commands({"tfviz": tfviz.cli.app, "firmware-tools": firmware_tools.cli.app}[program])
    shown = set(re.findall(rf"^    {program} ([a-z]+) ", (DOCS / "commands.md").read_text() + "\n", re.MULTILINE))
    shown |= set(re.findall(rf"^    {program} ([a-z]+)$", (DOCS / "commands.md").read_text(), re.MULTILINE))
    assert shown == known


def test_the_table_of_ops_is_put_in_at_its_place(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import op_table

    from firmware_tools.codegen import registry

    page = op_table.on_page_markdown((DOCS / "engine.md").read_text())
    assert op_table.PLACE not in page
    assert "| CONV_2D | yes | yes | yes |" in page
    assert "| RESHAPE | yes |  |  |" in page  # moves nothing, whatever the type: no kernel of its own
    assert all(f"| {op} |" in page for op in registry.known_ops())
    assert op_table.on_page_markdown("another page") == "another page"


def test_every_page_is_in_the_menu_and_links_stay_within_the_site():
    """What `mkdocs build --strict` refuses, told in a moment."""
    menu = (DOCS.parent / "mkdocs.yml").read_text().split("\nnav:")[1]
    for page in DOCS.rglob("*.md"):
        assert f": {page.relative_to(DOCS).as_posix()}" in menu, f"{page.name} is not in the menu of mkdocs.yml"
        outside = re.findall(r"\]\((\.\./(?!\w+\.md)[^)]*)\)", page.read_text())
        allowed = [link for link in outside if (page.parent / link.split("#")[0]).resolve().is_relative_to(DOCS)]
        assert outside == allowed, f"{page.name} links out of docs/: {outside}"
