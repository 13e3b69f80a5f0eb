"""Boards are data; their facts are checked against the data sheets' figures, written here a second time."""

import pytest

from firmware_tools import boards
from tfviz.errors import InputError

FIRST = 0x0800_0000
FACTS = {
    # name: (core, MHz, flash for us from, flash for us in KB, RAM from, RAM in KB)
    "esp32c3": ("rv32imc", 160, 0x4200_0000, 4096, 0x3FC8_0000, 384),
    "microbit-v2": ("cortex-m4f", 64, 0, 512, 0x2000_0000, 128),
    "nano33ble": ("cortex-m4f", 64, 0x1_0000, 960, 0x2000_0000, 256),
    "nicla-vision": ("cortex-m7f", 480, FIRST + 0x4_0000, 768, 0x2400_0000, 512),
    "nrf52840-dk": ("cortex-m4f", 64, 0, 1024, 0x2000_0000, 256),
    "nucleo-f446re": ("cortex-m4f", 180, FIRST, 512, 0x2000_0000, 128),
    "nucleo-h743zi": ("cortex-m7f", 480, FIRST, 2048, 0x2400_0000, 512),
    "pico": ("cortex-m0plus", 125, 0x1000_0100, 2047.75, 0x2000_0000, 264),
    "pico2": ("cortex-m33f", 150, 0x1000_1000, 4092, 0x2000_0000, 520),
    "portenta-h7": ("cortex-m7f", 480, FIRST + 0x4_0000, 768, 0x2400_0000, 512),
    "teensy41": ("cortex-m7f", 600, 0x6000_2000, 7928, 0x2020_0000, 512),
}


def test_the_boards_are_those_of_the_documentation():
    assert boards.names() == tuple(sorted(FACTS))


@pytest.mark.parametrize("name", FACTS)
def test_a_boards_memory_is_what_its_data_sheet_says(name):
    board = boards.load(name)
    core, mhz, flash, flash_kb, ram, ram_kb = FACTS[name]
    assert (board.core.name, board.clock_hz) == (core, mhz * 1_000_000)
    assert board.flash.usable == (flash, flash_kb * 1024)
    assert board.ram.usable == (ram, ram_kb * 1024)
    assert board.data_sheet


GOOD = """
title = "Mine"
chip = "X"
core = "cortex-m3"
clock_hz = 1
entry = "vector-table"
link = "uart"
data_sheet = "none"
[[memory]]
name = "flash"
kind = "flash"
origin = 0
length = 4096
[[memory]]
name = "ram"
kind = "ram"
origin = 0x2000_0000
length = 4096
"""


def test_a_board_of_ones_own_is_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    board = boards.load(str(path))
    assert (board.name, board.core.cpu, board.ram.end) == ("mine", "cortex_m3", 0x2000_1000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("title", "tilte"), "lacks 'title'"),
        (('"cortex-m3"', '"z80"'), "names core 'z80'; there are cortex-m0plus"),
        (('kind = "ram"', 'kind = "rom"'), "has no memory of kind 'ram'"),
        (("0x2000_0000", "100"), "flash and ram overlap"),
        (("clock_hz = 1", "clock_hz ="), "is not TOML"),
        (("clock_hz = 1", 'clock_hz = "fast"'), "does not describe a board"),
        (("length = 4096\n[", "length = 4096\nreserved=[{origin=4000,length=200,why='x'}]\n["), "'x' lies outside"),
    ],
)
def test_a_wrong_board_file_is_refused_in_a_sentence(tmp_path, change, message):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(*change, 1))
    with pytest.raises(InputError, match=message):
        boards.load(str(path))


def test_an_unknown_board_is_answered_with_those_that_there_are():
    with pytest.raises(InputError, match=r"no board 'arduino'; there are esp32c3, .*teensy41"):
        boards.load("arduino")
    with pytest.raises(InputError, match="no board file"):
        boards.load("nowhere/mine.toml")
