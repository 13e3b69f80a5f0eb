"""Real models on emulated cores: exact against TensorFlow Lite Micro, small on the line, refused where too large."""

import dataclasses
import re

import numpy as np
import pytest
from tiny_firmware import same_steps

from firmware_tools import boards, build, graph, memory
from firmware_tools.devices.emulator import EmulatedBoard
from firmware_tools.devices.host import HostDevice
from firmware_tools.reference import tflm
from tfviz.errors import InputError
from tfviz.trace import Trace

BAUD = 115_200


@pytest.fixture(scope="module")
def model(shared_data):
    return shared_data / "mlperf_tiny" / "pretrainedResnet_quant.tflite"


@pytest.fixture(scope="module")
def photograph(shared_data):
    pixels = np.load(shared_data / "cifar10_subset.npz")["x_test"][:1]
    return (pixels.astype(np.int16) - 128).astype(np.int8)


@pytest.fixture(scope="module")
def device(model, tmp_path_factory):
    with EmulatedBoard("nano33ble", model, folder=tmp_path_factory.mktemp("resnet")) as device:
        yield device


def feed(device, photograph):
    return {device.graph.tensors[device.graph.inputs[0]].name: photograph}


@pytest.fixture(scope="module")
def reference(model, device, photograph):
    with tflm(model) as engine:
        return engine.run(feed(device, photograph))


def test_resnet8_on_the_emulated_board_is_exact_in_all_16_ops(device, reference, photograph):
    trace = device.run(feed(device, photograph))
    assert len(trace.steps) == 16
    assert [step.op for step in trace.steps] == [step.op for step in reference.steps]
    assert same_steps(trace, reference)
    assert np.array_equal(trace.outputs[0].values, reference.outputs[0].values)
    assert trace.fingerprint == reference.fingerprint


def test_validating_all_layers_of_an_exact_run_costs_under_a_tenth_of_a_second_of_line(device, reference, photograph):
    exact = device.run(feed(device, photograph), reference=reference)
    assert same_steps(exact, reference)
    beside_the_input = device.last_line_bytes - photograph.nbytes
    assert 10 * beside_the_input / BAUD < 0.1


def test_reading_uses_95_per_cent_of_the_line_for_payload(device, photograph):
    exact = device.run(feed(device, photograph))
    without = device.last_line_bytes
    device.run(feed(device, photograph), reference=exact)
    tensors = sum(step.output.values.nbytes for step in exact.steps)
    received = without - device.last_line_bytes
    assert tensors == 114_836
    assert tensors / received > 0.95


def test_a_forced_run_of_an_exact_model_is_exact_in_every_op(device, reference, photograph):
    forced = device.run(feed(device, photograph), reference=reference, forced=True)
    assert same_steps(forced, reference)


def test_a_forced_run_shows_only_the_ops_own_error(device, reference, photograph):
    """One op of the reference is made wrong: free, nothing hides it; forced, all later ops follow the reference."""
    wrong = reference.steps[4].output.values.copy()
    wrong.flat[::7] ^= 1
    step = dataclasses.replace(
        reference.steps[4], outputs=(dataclasses.replace(reference.steps[4].output, values=wrong),)
    )
    planted = dataclasses.replace(reference, steps=(*reference.steps[:4], step, *reference.steps[5:]))
    forced = device.run(feed(device, photograph), reference=planted, forced=True)
    assert np.array_equal(forced.steps[4].output.values, reference.steps[4].output.values)
    assert not np.array_equal(forced.steps[5].output.values, reference.steps[5].output.values)


def test_the_counts_are_those_of_the_ops_and_repeat(device, photograph):
    counts = [[s.instructions for s in device.run(feed(device, photograph)).steps] for _ in range(2)]
    assert counts[0] == counts[1]
    assert counts[0][13] == 0  # the RESHAPE is an alias
    macs = [device.graph.op_macs(op) for op in device.graph.ops]
    assert all(count >= mac / 8 for count, mac in zip(counts[0], macs, strict=True))


def test_the_host_process_and_the_emulated_board_give_the_same_trace(model, device, photograph, tmp_path):
    with HostDevice(model, folder=tmp_path) as host:
        on_host: Trace = host.run(feed(host, photograph))
    assert same_steps(on_host, device.run(feed(device, photograph)))
    assert all(step.cycles for step in on_host.steps if step.op == "CONV_2D")


def test_flash_and_ram_are_told_and_hold_weights_and_arena(device):
    made = device.build
    assert made.flash_bytes < 160_000
    assert made.flash_bytes > made.sections[".rodata"] > 77_000  # int8 weights and int32 biases
    assert made.arena_bytes == memory.plan(device.graph).arena_bytes
    assert made.arena_bytes + made.stack_bytes < made.ram_bytes < made.arena_bytes + made.stack_bytes + 4096


def test_a_model_whose_arena_is_larger_than_the_boards_ram_is_refused_before_anything_is_compiled(model, tmp_path):
    board = boards.load("microbit-v2")
    small = tuple(dataclasses.replace(r, length=32 * 1024) if r.kind == "ram" else r for r in board.regions)
    loaded = graph.load(model)
    with pytest.raises(InputError, match="does not fit microbit-v2: its arena and the stack need") as refused:
        build.build(loaded, dataclasses.replace(board, regions=small), tmp_path)
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]{4,}", str(refused.value))]
    assert numbers == [memory.plan(loaded).arena_bytes + board.stack, 32 * 1024]
    assert not any(tmp_path.iterdir())


def test_a_model_whose_constants_are_larger_than_the_boards_flash_is_refused(model, tmp_path):
    board = boards.load("microbit-v2")
    small = tuple(dataclasses.replace(r, length=64 * 1024) if r.kind == "flash" else r for r in board.regions)
    with pytest.raises(InputError, match=r"its constants alone need [78]\d,\d+ bytes of flash.* leaves 65,536"):
        build.build(graph.load(model), dataclasses.replace(board, regions=small), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", boards.names())
def test_resnet8_is_exact_on_every_board(name, model, photograph, reference, tmp_path):
    with EmulatedBoard(name, model, folder=tmp_path) as device:
        assert same_steps(device.run(feed(device, photograph)), reference)


def test_the_stack_is_measured_and_far_from_its_end(device, photograph):
    device.run(feed(device, photograph))
    assert 100 < device.machine.stack_used() < device.build.stack_bytes // 4
