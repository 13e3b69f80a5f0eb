"""The device's end under sanitizers, fed with what no host sends; and the specification beside the code."""

import random
import re
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from tiny_firmware import MODEL_C, tiny_input

from firmware_tools import build
from firmware_tools.build import zig
from firmware_tools.link import messages
from firmware_tools.link.framing import Deframer, Frame, encode
from firmware_tools.link.messages import ANSWER, Kind, Refusal

SPECIFICATION = (Path(__file__).parents[1] / "docs" / "protocol.md").read_text()


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """The firmware for this computer; undefined behaviour stops it with a signal."""
    flags = ["-fsanitize=undefined", "-fsanitize-trap=undefined", "-ftrapv"]
    return build.compile_host({"model.c": MODEL_C}, (), tmp_path_factory.mktemp("ubsan"), flags=flags)


def feed(program, data):
    """Everything that the program answers to `data`; it must end in peace."""
    result = subprocess.run([str(program)], input=data, capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, result.returncode
    return Deframer().feed(result.stdout)


def stats(sequence):
    return encode(Frame(Kind.STATS, sequence, 1, b""))


HELLO = encode(Frame(Kind.HELLO, 1, 1, bytes([messages.VERSION])))


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_are_survived_and_the_next_request_is_answered(checked, seed):
    noise = random.Random(seed).randbytes(200_000)
    answers = feed(checked, noise + HELLO + b"\0" + stats(2))
    assert [answer.kind for answer in answers] == [Kind.HELLO | ANSWER, Kind.STATS | ANSWER]
    assert messages.parse_stats(answers[1].payload).damaged_frames == sum(bool(part) for part in noise.split(b"\0"))


def random_request(source, x):
    """A request that makes sense often enough to get deep into a run."""

    def number(bits):
        return source.choice((0, 0, 1, 4, 24, 47, 48, 49, (1 << bits) - 1, source.randrange(1 << bits)))

    pause = messages.pause(1, source.randrange(5))
    name = (source.choice((0, 0, 0, 0, 1, 2)), source.choice((0, 0, 7, 8, 9, 10, 11, number(16))))
    requests = {
        Kind.TENSORS: struct.pack("<HB", number(16), number(8)),
        Kind.OPS: struct.pack("<HB", number(16), number(8)),
        Kind.INPUT: struct.pack("<H", 1) + messages.store(0, 0, x),
        Kind.RUN: messages.run(1, [zlib.crc32(x)]),
        Kind.NEXT: pause,
        Kind.DIGEST: pause + struct.pack("<BH", *name) * source.randrange(4),
        Kind.READ: pause + struct.pack("<BHIIH", *name, number(32), number(32), number(16)),
        Kind.WRITE: pause + messages.store(name[1], number(32), source.randbytes(source.randrange(60))),
        Kind.ABORT: b"",
        Kind.STATS: b"",
        0x55: b"what",
    }
    weights = [8 if kind in (Kind.RUN, Kind.NEXT, Kind.READ, Kind.DIGEST) else 1 for kind in requests]
    return source.choices(list(requests.items()), weights)[0]


@pytest.mark.parametrize("seed", range(4))
def test_random_messages_in_whole_frames_are_answered_one_by_one(checked, seed):
    """Well framed, so that the handlers see them: every kind, every length, numbers near the edges."""
    source = random.Random(seed)
    sent = [HELLO]
    for sequence in range(2, 3000):
        kind, payload = random_request(source, tiny_input().tobytes())
        if source.random() < 0.1:
            payload = payload[: source.randrange(len(payload) + 1)] + source.randbytes(source.randrange(4))
        sent.append(encode(Frame(kind, sequence, 1, payload)))
    answers = feed(checked, b"".join(sent))
    assert {answer.sequence for answer in answers} == set(range(1, 3000))
    kinds = {answer.kind for answer in answers}
    assert {Kind.RUN | ANSWER, Kind.NEXT | ANSWER, Kind.READ | ANSWER, Kind.DIGEST | ANSWER, Kind.ERROR} <= kinds


@pytest.mark.parametrize("length", [2048, 2049, 2050, 5000, 100_000])
def test_a_frame_longer_than_the_buffer_is_dropped_and_never_written_behind_it(checked, length):
    answers = feed(checked, HELLO + encode(Frame(0x55, 2, 1, b"\x01" * length)) + stats(3))
    assert [answer.sequence for answer in answers] == ([1, 2, 3] if length <= 2048 else [1, 3])


def test_a_frame_cut_in_half_costs_only_itself(checked):
    half = encode(Frame(Kind.STATS, 2, 1, b""))[:8]
    answers = feed(checked, HELLO + half + stats(3) + half + stats(4))
    assert [answer.sequence for answer in answers] == [1, 3, 4]


def test_the_specification_lists_every_message_and_error():
    rows = re.findall(r"^\| 0x([0-9A-F]{2}) \| (\w+) \|", SPECIFICATION, re.MULTILINE)
    assert {name: int(code, 16) for code, name in rows} == {kind.name: int(kind) for kind in Kind}
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", SPECIFICATION, re.MULTILINE)
    assert {name: int(code) for code, name in rows} == {refusal.name: int(refusal) for refusal in Refusal}


def test_the_specifications_example_is_what_goes_over_the_line():
    line = encode(Frame(Kind.HELLO, 1, 0x11223344, bytes([messages.VERSION])))
    assert line.hex(" ") in SPECIFICATION
    assert zlib.crc32(b"123456789") == 0xCBF43926


def test_the_specification_and_the_header_agree_on_the_servers_memory():
    header = (zig.FIRMWARE / "link" / "frame.h").read_text()
    names = ("LINK_PAYLOAD", "LINK_ANSWER")
    request, answer = (11 + int(re.search(rf"#define {name} (\d+)", header).group(1)) for name in names)
    assert f"{request:,} + {answer:,} = {request + answer:,} bytes" in SPECIFICATION
