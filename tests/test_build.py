"""Firmware from C: what fits and what does not, sizes that add up, errors in sentences."""

import dataclasses
import re
import struct
import time
from pathlib import Path

import pytest
from tiny_firmware import MODEL_C

from firmware_tools import boards, build
from firmware_tools.build import elf, zig
from firmware_tools.build.script import linker_script
from tfviz.errors import InputError

SOURCES = {"model.c": MODEL_C}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build.compile_firmware(
        SOURCES, (), boards.load("nano33ble"), tmp_path_factory.mktemp("tiny"), arena_bytes=96
    )


def test_sizes_agree_with_what_the_elf_loads(built):
    data = built.elf.read_bytes()
    at, size, count = struct.unpack_from("<I", data, 28)[0], *struct.unpack_from("<HH", data, 42)
    rows = [struct.unpack_from("<8I", data, at + i * size) for i in range(count)]
    loads = [row for row in rows if row[0] == 1]  # type, offset, address, stored at, bytes stored, bytes in memory
    assert built.flash_bytes == sum(row[4] for row in loads)
    in_ram = [row for row in loads if row[2] >= 0x2000_0000]
    end = max(row[2] + row[5] for row in in_ram)
    assert built.ram_bytes == end - 0x2000_0000
    assert built.sections[".stack"] == built.stack_bytes == 4096
    assert built.flash_bytes + built.flash_free == 960 * 1024
    assert built.ram_bytes + built.ram_free == 256 * 1024


def test_everything_lies_where_the_board_has_memory_for_it(built):
    image = elf.read(built.elf)
    places = {section.name: section.address for section in image.sections}
    assert places[".vectors"] == 0x1_0000  # behind the boot loader
    assert places[".stack"] == 0x2000_0000  # below it is nothing: too deep a stack faults
    assert image.symbol("arena").address >= places[".bss"]
    assert image.symbol("arena").address % 16 == 0
    vectors = next(segment for segment in image.segments if segment.address == 0x1_0000).data
    stack, reset = struct.unpack_from("<II", vectors)
    assert stack == 0x2000_1000
    assert reset == image.symbol("reset").address | 1


def test_the_map_lists_every_symbol_with_its_size_inside_its_section(built):
    rows = [line.split() for line in built.map.read_text().splitlines() if line]
    sections = {row[3]: (int(row[0], 16), int(row[1])) for row in rows if row[2] == "section"}
    assert {name: size for name, (_, size) in sections.items()} == dict(built.sections)
    symbols = {row[2]: (int(row[0], 16), int(row[1])) for row in rows if row[2] != "section"}
    assert symbols["arena"][1] == 96
    start, size = sections[".bss"]
    inside = [bytes_ for address, bytes_ in symbols.values() if start <= address < start + size]
    assert size - 64 <= sum(inside) <= size  # all of it but the gaps of alignment


def test_symbols_name_the_place_of_an_address(built):
    image = elf.read(built.elf)
    function = image.symbol("op_shift")
    assert image.function(function.address + 2) == "op_shift"
    assert image.nearest(function.address + 2) == "op_shift+0x2"
    assert image.function(0x3000_0000) is None
    assert image.nearest(0) == "no symbol"
    with pytest.raises(KeyError):
        image.symbol("nothing")


def test_ram_that_does_not_suffice_is_refused_with_the_two_numbers(tmp_path):
    large = {"model.c": MODEL_C.replace("arena[96]", "arena[300000]")}
    with pytest.raises(InputError) as refused:
        build.compile_firmware(large, (), boards.load("nano33ble"), tmp_path, name="big.tflite")
    needed, available = (int(n.replace(",", "")) for n in re.findall(r"\d[\d,]{5,}", str(refused.value)))
    assert available == 262_144
    fits = dataclasses.replace(boards.load("nano33ble"), regions=_longer(boards.load("nano33ble"), "ram", needed))
    assert build.compile_firmware(large, (), fits, tmp_path).ram_free == 0


def test_flash_that_does_not_suffice_is_refused_with_the_two_numbers(tmp_path):
    large = {"model.c": MODEL_C.replace("weights[4] = {", "weights[1000000] = {1, ")}
    with pytest.raises(InputError, match=r"big.tflite does not fit nano33ble: .* 1,00\d,\d+ bytes of flash.* 983,040"):
        build.compile_firmware(large, (), boards.load("nano33ble"), tmp_path, name="big.tflite")


def _longer(board, kind, length):
    return tuple(dataclasses.replace(r, length=length) if r.kind == kind else r for r in board.regions)


def test_the_first_error_of_the_compiler_is_one_sentence_and_all_of_them_are_in_a_file(tmp_path):
    with pytest.raises(
        InputError, match=r"Compiling the firmware for nano33ble failed: .*model.c.* error: .*no_such"
    ) as e:
        build.compile_firmware({"model.c": "int x = no_such;"}, (), boards.load("nano33ble"), tmp_path)
    assert "\n" not in str(e.value)
    assert "no_such" in (tmp_path / "build.log").read_text()
    assert not (tmp_path / "firmware.elf").exists()


def test_an_unknown_optimisation_level_is_refused(tmp_path):
    with pytest.raises(InputError, match="no optimisation level 'O9'; there are O0"):
        build.compile_firmware(SOURCES, (), boards.load("nano33ble"), tmp_path, optimize="O9")


def test_a_second_build_of_the_same_is_free_and_one_of_something_else_is_not(built):
    first = built.elf.stat().st_mtime_ns
    began = time.monotonic()
    build.compile_firmware(SOURCES, (), built.board, built.elf.parent)
    assert built.elf.stat().st_mtime_ns == first
    assert time.monotonic() - began < 0.5
    changed = {"model.c": MODEL_C + "\nconst int more = 1;\n"}
    build.compile_firmware(changed, (), built.board, built.elf.parent)
    assert built.elf.stat().st_mtime_ns != first
    build.compile_firmware(SOURCES, (), built.board, built.elf.parent)


def test_the_c_compiles_without_a_warning_on_the_host_under_strict_flags(tmp_path):
    strict = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wpedantic", "-Wshadow"]
    build.compile_host(SOURCES, (), tmp_path, flags=strict)


@pytest.mark.parametrize("name", ["nano33ble", "pico", "esp32c3"])
def test_the_bare_metal_c_compiles_without_a_warning_under_strict_flags(name, tmp_path, monkeypatch):
    monkeypatch.setattr(zig, "COMMON", (*zig.COMMON, "-Wconversion", "-Wshadow", "-Werror"))
    build.compile_firmware(SOURCES, (), boards.load(name), tmp_path)


def test_a_cortex_m0_image_holds_no_instruction_that_the_core_lacks(tmp_path):
    """ARMv6-M has only one kind of 32-bit Thumb instruction in such code: BL (and the barriers MSR/MRS/DSB/ISB)."""
    image = elf.read(build.compile_firmware(SOURCES, (), boards.load("pico"), tmp_path).elf)
    functions = [s for s in image.symbols if s.bytes and image.nearest(s.address) and _is_code(image, s.address)]
    assert len(functions) > 10
    segment = next(s for s in image.segments if s.address == 0x1000_0100)
    for function in functions:
        if function.name in ("op_shift", "op_split", "op_join", "crc32", "nn_execute"):
            _assert_armv6m(segment.data[function.address - segment.address :][: function.bytes], function.name)


def _is_code(image, address):
    text = next(section for section in image.sections if section.name == ".text")
    return text.address <= address < text.address + text.bytes


def _assert_armv6m(code, name):
    at = 0
    while at + 2 <= len(code):
        half = struct.unpack_from("<H", code, at)[0]
        if half >> 11 >= 0x1D and at + 4 <= len(code):
            second = struct.unpack_from("<H", code, at + 2)[0]
            is_bl = half >> 11 == 0x1E and second & 0xD000 == 0xD000
            literal = at >= len(code) - 32  # constants stand behind the code
            assert is_bl or literal, f"{name}+{at:#x}: {half:04x} {second:04x}"
            at += 2
        at += 2


def test_the_linker_script_keeps_out_of_what_others_have_reserved():
    script = linker_script(boards.load("teensy41"))
    assert "flash (rx) : ORIGIN = 0x60002000, LENGTH = 0x7be000" in script
    script = linker_script(boards.load("esp32c3"))
    assert "constants (r) : ORIGIN = 0x3c000000" in script
    assert "*(.rodata .rodata.* .srodata .srodata.*) } > constants" in script


def test_what_is_not_an_elf_is_refused(tmp_path):
    path = tmp_path / "x.elf"
    for data in (b"", b"\x7fELF", b"MZ" * 100, b"\x7fELF\x01\x01" + bytes(8)):
        path.write_bytes(data)
        with pytest.raises(InputError, match="not a little-endian ELF"):
            elf.read(path)


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert build.user_cache() == Path(tmp_path) / "firmware-tools"
