"""Both parsers under fire: the device's under sanitizers with coverage for a guide, the host's with hypothesis."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_firmware import MODEL_C

from firmware_tools import build
from firmware_tools.build import zig
from firmware_tools.link import Session, Space, Timing
from firmware_tools.link.framing import Deframer, Frame, encode
from firmware_tools.link.messages import ANSWER, Kind
from tfviz.errors import LinkError

SOURCES = [str(zig.FIRMWARE / "link" / name) for name in build.LINK]


def compilers():
    """GCC with AddressSanitizer where there is one; else the pip-installed compiler, which has UBSan alone."""
    found = shutil.which("gcc")
    if found is not None and sys.platform == "linux":
        return [found, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    return [sys.executable, "-m", "ziglang", "cc", "-fsanitize=undefined", "-fsanitize-trap=undefined"]


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "model.c").write_text(MODEL_C)
    port = Path(__file__).with_name("fuzz_port.c")
    program = folder / "fuzzer"
    command = [
        *compilers(), "-std=c11", "-g", "-O1", "-fsanitize-coverage=trace-pc", f"-I{zig.FIRMWARE}",
        *SOURCES, str(folder / "model.c"), str(port), "-o", str(program),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return program


def fuzz(program, streams, seed):
    """Streams, edges reached, corpus, answers, HELLOs answered; a finding of the sanitizers fails with their words."""
    arguments = [str(program), str(streams), str(seed)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [int(number) for number in done.stdout.split()]


def test_the_device_survives_mutated_streams_and_answers_the_next_hello(fuzzer):
    streams, edges, corpus, answers, hellos = fuzz(fuzzer, 5_000, 1)
    assert hellos >= streams == 5_000
    assert answers > 3 * streams  # deep enough to be answered, not only dropped
    assert edges > 150
    assert corpus > 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_the_device_survives_a_long_time_of_mutated_streams(fuzzer, seed):
    streams, *_, hellos = fuzz(fuzzer, 100_000, seed)
    assert hellos >= streams


class Scripted:
    """A device that answers each request with what hypothesis made up, at times in a frame that is right but for it."""

    name = "script"

    def __init__(self, answers):
        self.answers = list(answers)
        self.asked = []

    def write(self, data):
        self.asked += Deframer().feed(data)

    def read(self, timeout):
        del timeout
        if not self.answers or not self.asked:
            return b""
        framed, kind, payload = self.answers.pop(0)
        last = self.asked[-1]
        own = last.kind | ANSWER if kind is None else kind
        return encode(Frame(own, last.sequence, last.nonce, payload)) if framed else payload

    def close(self):
        pass


ANSWERS = st.lists(
    st.tuples(st.sampled_from([True, True, True, False]), st.sampled_from([None, None, None, 0xFF, 0x81]),
              st.binary(max_size=80)), max_size=12,
)  # fmt: skip
CALLS = (
    lambda s: s.hello(),
    lambda s: s.tensors(3),
    lambda s: s.ops(3),
    lambda s: s.begin([(0, bytes(40))]),
    lambda s: s.capture(),
    lambda s: s.run(1, [0]),
    lambda s: s.next(1, 1),
    lambda s: s.digest(1, 0, [(Space.TENSOR, 0)]),
    lambda s: s.read(1, 0, Space.TENSOR, 0, 48),
    lambda s: s.write(1, 0, 0, bytes(48)),
    lambda s: s.stats(),
    lambda s: s.abort(),
)


@settings(max_examples=300, deadline=None)
@given(ANSWERS, st.sampled_from(CALLS))
def test_whatever_a_device_answers_the_host_returns_or_raises_one_sentence(answers, call):
    session = Session(Scripted(answers), timing=Timing(quiet=1e9, tries=20))
    sentence = "script: ."
    try:
        call(session)
    except LinkError as error:
        sentence = str(error)
    assert sentence.startswith("script: ")
    assert sentence.endswith(".")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200)))
def test_any_bytes_in_any_pieces_are_cut_into_frames_or_dropped(pieces):
    deframer = Deframer()
    for piece in pieces:
        assert all(isinstance(frame, Frame) for frame in deframer.feed(piece))
    good = Frame(Kind.STATS, 1, 2, b"x")
    assert deframer.feed(b"\0" + encode(good))[-1] == good
