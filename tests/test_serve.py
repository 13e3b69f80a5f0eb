"""A `.tflite` served over TCP: the protocol, what it refuses, its limits, and an environment with nothing else."""

import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import chain
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_firmware_cli import run as command

from firmware_tools import serve
from firmware_tools.devices.device import Device
from firmware_tools.devices.serial import SerialDevice, SerialTransport
from firmware_tools.engines import open_engine
from firmware_tools.graph import load
from firmware_tools.link import Session, Space, Timing, framing, messages
from firmware_tools.link.framing import Deframer, Frame, encode
from firmware_tools.link.messages import Kind, Refusal
from firmware_tools.link.session import RefusedError
from firmware_tools.serve import __main__ as program
from firmware_tools.serve import cobs, conversation, tcp
from tfviz.errors import InputError, LinkError

TIMING = Timing(quiet=0.3, request=2.0)


@pytest.fixture(scope="module")
def model():
    return serve.ServedModel(chain.tflite_file(), kernels="reference")


@contextlib.contextmanager
def running(model, **options) -> Iterator[serve.Server]:
    with serve.Server(model, **options) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def device(url: str, path: Path) -> Device:
    return SerialDevice(url, path, timing=TIMING)


def equal(one, other) -> list[bool]:
    pairs = zip(one.steps, other.steps, strict=True)
    return [a.outputs[0].crc32 == b.outputs[0].crc32 for a, b in pairs]


@example(b"\x07" * 254)
@example(b"\x01" * 255)
@example(b"\x07" * 100 + b"\0" + b"\x07" * 508)
@given(st.binary(max_size=2000) | st.integers(0, 800).map(lambda n: b"\x07" * n))
@settings(max_examples=200, deadline=None)
def test_its_own_cobs_is_the_packages(data):
    from cobs import cobs as package

    assert cobs.encode(data) == package.encode(data)
    assert cobs.decode(package.encode(data)) == data


def test_its_numbers_are_the_protocols():
    for kind in (Kind.HELLO, Kind.TENSORS, Kind.OPS, Kind.INPUT, Kind.RUN, Kind.NEXT, Kind.DIGEST, Kind.READ):
        assert getattr(conversation, kind.name) == kind
    for kind in (Kind.WRITE, Kind.ABORT, Kind.STATS, Kind.ERROR):
        assert getattr(conversation, kind.name) == kind
    names = {"INPUT": "WRONG_INPUT", "VERSION": "OTHER_VERSION"}
    for refusal in Refusal:
        if refusal <= Refusal.VERSION:
            assert getattr(conversation, names.get(refusal.name, refusal.name)) == refusal
    assert messages.VERSION == conversation.VERSION
    assert messages.ANSWER == conversation.ANSWER


def test_served_tensors_are_the_runtimes_own_layer_by_layer(model):
    image = chain.pictures(1)
    with running(model) as server, device(server.url, chain.tflite_file()) as served:
        tensor = served.graph.tensors[served.graph.inputs[0]]
        inputs = {tensor.name: (image.astype(np.int16) - 128).astype(np.int8)}
        trace = served.run(inputs)
        again = served.run(inputs, reference=trace)
        hello = served.hello
    with open_engine(f"litert:{chain.tflite_file()}") as reference:
        assert all(equal(trace, reference.run(inputs)))
    assert all(equal(trace, again))
    assert len(trace.steps) == hello.ops == len(served.graph.ops)
    assert hello.capabilities == 0  # nothing can be written but the inputs
    assert hello.digest == zlib.crc32(chain.tflite_file().read_bytes())
    assert "reference kernels" in trace.kernels


def test_tables_name_the_ops_tensors(model):
    with running(model) as server, device(server.url, chain.tflite_file()) as served:
        rows = served.session.ops(served.hello.ops)
        tensors = {row.id: row for row in served.session.tensors(served.hello.tensors)}
        ops = served.graph.ops
    assert [row.outputs for row in rows] == [op.outputs for op in ops]
    for op in ops:
        for index in op.outputs:
            assert tensors[index].birth == op.index + 1
            assert tensors[index].bytes == served.graph.tensors[index].bytes


def talk(server: serve.Server) -> Session:
    session = Session(SerialTransport(server.url), timing=TIMING)
    try:
        session.hello()
    except LinkError:
        session.transport.close()
        raise
    return session


@contextlib.contextmanager
def begun(model) -> Iterator[tuple[Session, int, bytes]]:
    """A session at pause 0, with its run's number and input."""
    with running(model) as server:
        session = talk(server)
        data = bytes(range(256)) * 3
        try:
            yield session, session.begin([(model.inputs[0], data)]), data
        finally:
            session.transport.close()


def test_what_is_not_at_this_pause_is_refused_by_name(model):
    with begun(model) as (session, number, data):
        first, second = model.ops[0][1][0], model.ops[1][1][0]

        def refusal(call, *arguments):
            with pytest.raises(RefusedError) as caught:
                call(*arguments)
            return caught.value.refusal

        assert session.read(number, 0, Space.TENSOR, model.inputs[0], 768) == data
        assert refusal(session.read, number, 0, Space.TENSOR, first, 4) == Refusal.NAME
        assert refusal(session.next, number, 0) == Refusal.STATE
        assert refusal(session.run, number, [zlib.crc32(data) ^ 1]) == Refusal.INPUT
        assert session.run(number, [zlib.crc32(data)]) == session.run(number, [zlib.crc32(data)])  # a repeat, no step
        assert refusal(session.read, number, 1, Space.TENSOR, second, 4) == Refusal.NAME
        assert refusal(session.read, number, 0, Space.TENSOR, first, 4) == Refusal.STATE
        assert refusal(session.read, number, 1, Space.CONSTANT, 0, 4) == Refusal.NAME
        assert refusal(session.read, number, 1, Space.TENSOR, first, model.sizes[first] + 1) == Refusal.RANGE
        assert refusal(session.write, number, 1, first, b"1234") == Refusal.NAME
        assert refusal(session.next, number, 2) == Refusal.STATE
        digest = session.digest(number, 1, [(Space.TENSOR, first)])[0]
        assert zlib.crc32(session.read(number, 1, Space.TENSOR, first, digest.bytes)) == digest.crc32
        session.abort()
        assert refusal(session.next, number, 1) == Refusal.STATE
        assert session.stats().refused == 10


def raw(model, data: bytes) -> list[Frame]:
    talker = conversation.Conversation(model)
    answers = b"".join(answer for part in data.split(b"\0") if part for answer in talker.answers(part))
    return Deframer().feed(answers)


def test_no_request_gets_no_answer_and_none_ends_the_server(model):
    hello = encode(Frame(Kind.HELLO, 1, 5, b"\1"))
    source = np.random.default_rng(1)
    for kind in range(256):
        payload = source.bytes(int(source.integers(0, 40)))
        _, answer = raw(model, hello + encode(Frame(kind, 2, 5, payload)))
        assert answer.kind in (kind | 0x80, Kind.ERROR)
        assert answer.sequence == 2
    assert raw(model, source.bytes(5000)) == []
    (lost,) = raw(model, encode(Frame(Kind.STATS, 1, 9, b"")))
    assert (lost.kind, lost.payload[1]) == (Kind.ERROR, Refusal.SESSION)
    assert struct.unpack("<BBI", raw(model, hello + encode(Frame(0x70, 2, 5, b"")))[1].payload)[1] == Refusal.UNKNOWN


def test_other_addresses_need_a_token(model):
    with pytest.raises(serve.ServeError, match=r"0\.0\.0\.0 can be reached by others: a token is needed"):
        serve.Server(model, host="0.0.0.0")
    with pytest.raises(serve.ServeError, match="at least 8"):
        serve.Server(model, token="short")


def test_without_its_token_the_server_says_nothing_and_hangs_up(model, monkeypatch):
    monkeypatch.setattr(tcp.time, "sleep", lambda _: None)
    with running(model, token="open sesame") as server:
        for first in (b"", b"\0open sesame!\0", b"\0\xff\xfe\0"):
            with socket.create_connection(server.server_address[:2], timeout=5) as line:
                line.sendall(first + encode(Frame(Kind.HELLO, 1, 5, b"\1")))
                with contextlib.suppress(ConnectionResetError):
                    assert line.recv(100) == b""
        line = SerialTransport(server.url.replace("//", "//open sesame@"))
        assert line.name == f"serial:{server.url}"
        assert Session(line, timing=TIMING).hello().ops == len(model.ops)
        line.close()


def test_what_cannot_be_written_to_cannot_be_forced_and_says_so(model):
    with running(model) as server, device(server.url, chain.tflite_file()) as served:
        name = served.graph.tensors[served.graph.inputs[0]].name
        inputs = {name: np.zeros(served.graph.tensors[served.graph.inputs[0]].shape, np.int8)}
        trace = served.run(inputs)
        with pytest.raises(InputError, match="lets nobody write"):
            served.run(inputs, reference=trace, forced=True)


def test_places_are_few_and_are_given_back(model):
    with running(model) as server:
        sessions = [talk(server) for _ in range(serve.CONNECTIONS)]
        with pytest.raises(LinkError):
            talk(server)
        sessions.pop().transport.close()
        deadline = time.monotonic() + 5
        while True:
            try:
                sessions.append(talk(server))
                break
            except LinkError:
                assert time.monotonic() < deadline
        for session in sessions:
            session.transport.close()


def test_who_is_silent_or_only_noisy_is_hung_up_on(model):
    with running(model) as server:
        server.idle_seconds = 0.3
        for noise in (b"", b"\x05" * 100):
            with socket.create_connection(server.server_address[:2], timeout=5) as line:
                began = time.monotonic()
                with contextlib.suppress(ConnectionError):
                    while time.monotonic() - began < 5:
                        if noise:
                            line.sendall(noise)
                        line.settimeout(0.05 if noise else 5)
                        with contextlib.suppress(TimeoutError):
                            if not line.recv(100):
                                break
                assert 0.2 < time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.tflite"], r"missing\.tflite cannot be read: No such file"),
        ([__file__], "is not a .tflite file"),
        (["MODEL", "--kernels", "fast"], "no kernels 'fast'; there are default and reference"),
        (["MODEL", "--threads", "0"], "At least one thread"),
        (["MODEL", "--host", "0.0.0.0"], "a token is needed"),
        (["MODEL", "--port", "70000"], "cannot be listened at"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(arguments, sentence, capsys, monkeypatch):
    monkeypatch.delenv(serve.TOKEN_VARIABLE, raising=False)
    model = str(chain.tflite_file())
    assert program.main([model if argument == "MODEL" else argument for argument in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert re.search(sentence, said)
    assert len(said.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT and SIGTERM that one process can send to another")
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "program",
    [["-m", "firmware_tools.serve"], ["-c", "from firmware_tools.cli import main; main()", "serve"]],
    ids=["alone", "command"],
)
def test_stopped_on_purpose_it_ends_with_exit_code_0_and_says_so(program, ended_by):
    words = [sys.executable, *program, str(chain.tflite_file()), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(words, **pipes, env=os.environ | {"PYTHONUNBUFFERED": "1"}) as server:
        address = next(found for line in server.stdout if (found := re.search(r"socket://127\.0\.0\.1:(\d+)", line)))
        with socket.create_connection(("127.0.0.1", int(address[1])), timeout=5):  # also while somebody is there
            server.send_signal(ended_by)
            rest = server.stdout.read()
        assert server.wait(timeout=20) == 0, rest
    assert rest.split() == ["stopped"]


def test_a_damaged_file_is_refused(tmp_path):
    whole = chain.tflite_file().read_bytes()
    for at in (40, len(whole) // 2):
        (tmp_path / "cut.tflite").write_bytes(whole[:at])
        with pytest.raises(serve.ServeError):
            serve.ServedModel(tmp_path / "cut.tflite")


ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def lean_python(tmp_path_factory) -> Path:
    """A Python 3.11 with tflite-runtime and NumPy 1, and nothing else."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("tflite-runtime has no wheel for this Python; it ends at 3.11")
    folder = tmp_path_factory.mktemp("lean")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*install, "tflite-runtime==2.14.0", "numpy<2"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"tflite-runtime 2.14.0 cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return python


@contextlib.contextmanager
def lean_server(python: Path, model: Path, *, copied: Path | None = None) -> Iterator[str]:
    """The URL of a server in that environment, run from the repository or from a copy of its folder alone."""
    where, name = (ROOT, "firmware_tools.serve") if copied is None else (copied, "serve")
    command = [str(python), "-m", name, str(model), "--port", "0", "--kernels", "reference"]
    process = subprocess.Popen(command, cwd=where, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        assert "tflite-runtime 2.14.0" in said, said + process.stderr.read()
        yield said.partition("serial:")[2].split()[0]
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


@pytest.mark.slow
def test_it_runs_with_tflite_runtime_and_numpy_alone(lean_python, tmp_path):
    shutil.copytree(ROOT / "firmware_tools" / "serve", tmp_path / "serve")
    image = (chain.pictures(1).astype(np.int16) - 128).astype(np.int8)
    for copied in (None, tmp_path):
        with (
            lean_server(lean_python, chain.tflite_file(), copied=copied) as url,
            device(url, chain.tflite_file()) as served,
        ):
            trace = served.run({served.graph.tensors[served.graph.inputs[0]].name: image})
    assert len(trace.steps) == len(served.graph.ops)


@pytest.mark.slow
def test_a_real_model_on_tflite_runtime_is_exact_in_every_op(lean_python, shared_data):
    # Two paths meet at three ADDs there: without its tensors as outputs, tflite-runtime adds over its input.
    model = shared_data / "mlperf_tiny" / "pretrainedResnet_quant.tflite"
    image = (np.load(shared_data / "cifar10_subset.npz")["x_test"][:1].astype(np.int16) - 128).astype(np.int8)
    with lean_server(lean_python, model) as url, device(url, model) as served:
        inputs = {served.graph.tensors[served.graph.inputs[0]].name: image}
        trace = served.run(inputs)
    with open_engine(f"litert:{model}") as reference:
        assert all(equal(trace, reference.run(inputs)))


def test_frames_are_those_of_the_link(model):
    frame = encode(Frame(Kind.HELLO, 7, 0x1234, b"\1"))
    (answer,) = raw(model, frame)
    assert messages.parse_hello(answer.payload).ops == len(model.ops)
    assert framing.decode(frame.strip(b"\0")) == Frame(Kind.HELLO, 7, 0x1234, b"\1")


def test_a_hello_of_another_version_is_answered_under_its_own_nonce(model):
    (answer,) = raw(model, encode(Frame(Kind.HELLO, 3, 0x1234, b"\2 and more")))
    assert (answer.kind, answer.nonce) == (Kind.ERROR, 0x1234)
    assert struct.unpack("<BBI", answer.payload) == (Kind.HELLO, Refusal.VERSION, 1)


def test_another_model_on_the_device_is_exit_2_unless_it_is_allowed(model, tmp_path, capfd):
    other = tmp_path / "other.tflite"
    data = bytearray(chain.tflite_file().read_bytes())
    constants = (tensor.data for tensor in load(chain.tflite_file()).tensors if tensor.data is not None)
    weights = max((values.tobytes() for values in constants), key=len)
    at = data.index(weights)
    data[at : at + len(weights)] = weights[::-1]
    other.write_bytes(data)
    np.savez(tmp_path / "x.npz", x=chain.pictures(3, seed=4), y=np.zeros(3, int))
    with running(model) as server:
        ask = ["compare", f"tflm:{other}", f"serial:{server.url}", "--model", other, "--data", tmp_path / "x.npz"]
        ask += ["--baud", 921_600]
        assert command(*ask) == 2
        assert re.search(
            r"runs another model \(digest [0-9a-f]{8}\) than the one given \([0-9a-f]{8}( or [0-9a-f]{8})*\); build "
            "and load this one, or allow another by --allow-other-model",
            capfd.readouterr().err,
        )
        assert command(*ask, "--allow-other-model") == 1
        said = capfd.readouterr().out
    assert "which was allowed" in said
    assert "DIVERGED" in said or "UNFORCED" in said
