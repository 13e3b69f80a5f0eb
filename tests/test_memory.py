"""The arena plan: nothing that is in use together overlaps, and little is wasted."""

import numpy as np
import pytest
from tflite_files import FileBuilder, random_op

from firmware_tools import codegen, graph, memory


def chain(sizes, *, op="RELU", reshape_at=()):
    """Ops in a row, each from one vector to the next, of the given numbers of bytes."""
    file = FileBuilder()
    indices = [file.tensor((1, size), scale=0.5) for size in sizes]
    for position in range(len(sizes) - 1):
        name = "RESHAPE" if position in reshape_at else op
        file.op(name, [indices[position]], [indices[position + 1]])
    return graph.load(file.pack([indices[0]], [indices[-1]]))


def residual(size=64):
    """input -> a -> b -> add(a, b) -> output"""
    file = FileBuilder()
    source, a, b, out = (file.tensor((1, size), scale=0.5) for _ in range(4))
    file.op("LOGISTIC", [source], [a])
    file.op("LOGISTIC", [a], [b])
    file.op("ADD", [a, b], [out], "AddOptions")
    return graph.load(file.pack([source], [out]))


def no_needs(_):
    return memory.Needs()


def assert_sound(model, plan):
    """Tensors that must hold at one time do not overlap, unless one is the other under a new name."""
    readers = {index: [op.index for op in model.ops if index in op.inputs] for index in plan.tensors}
    makers = {index: op.index for op in model.ops for index in op.outputs}

    def busy(index):
        start = makers.get(index, 0)
        if index in model.outputs:
            return start, len(model.ops)
        return start, max([start, *readers[index], plan.deaths[index] if index in model.inputs else 0])

    lowered = {op.index: codegen.needs_of(model, op) for op in model.ops}
    for first in plan.tensors:
        a = plan.offsets[first], plan.offsets[first] + model.tensors[first].bytes
        assert a[0] % memory.ALIGNMENT == 0
        assert a[1] <= plan.arena_bytes
        for second in plan.tensors:
            if second <= first or plan.alias[first] == plan.alias[second]:
                continue
            b = plan.offsets[second], plan.offsets[second] + model.tensors[second].bytes
            if a[1] <= b[0] or b[1] <= a[0]:
                continue
            (s1, e1), (s2, e2) = busy(first), busy(second)
            if e1 < s2 or e2 < s1:
                continue
            # The one overlap in time: an output over an input that ends with that op, where the op allows it.
            op = model.ops[max(s1, s2)]
            assert min(e1, e2) == op.index
            assert a == b
            assert any(op.inputs[p] in (first, second) for p in lowered[op.index].in_place)


def test_a_chain_needs_its_largest_neighbouring_pair():
    model = chain([100, 40, 80, 20], op="MEAN")
    plan = memory.plan(model, needs=no_needs)
    assert plan.arena_bytes == plan.lower_bound == 140


def test_births_and_deaths_are_pauses():
    model = residual()
    plan = memory.plan(model, needs=no_needs)
    source, a, b, out = range(4)
    assert [plan.births[i] for i in (source, a, b, out)] == [0, 1, 2, 3]
    assert [plan.deaths[i] for i in (source, a, b, out)] == [0, 2, 2, 3]


def test_the_inputs_memory_is_used_again_unless_it_is_kept():
    model = chain([64, 64, 64, 64], op="MEAN")
    free = memory.plan(model, needs=no_needs)
    kept = memory.plan(model, keep_input=True, needs=no_needs)
    assert free.arena_bytes == 128
    assert kept.arena_bytes == 192
    assert kept.deaths[0] == 3


def test_a_reshape_costs_nothing_and_keeps_its_place_in_the_table():
    model = chain([96, 96, 96], op="RELU", reshape_at=(0,))
    plan = memory.plan(model, needs=no_needs)
    assert plan.alias == {0: 0, 1: 0, 2: 2}
    assert plan.offsets[1] == plan.offsets[0]
    assert plan.arena_bytes == 192
    assert plan.births[1] == 1


def test_an_op_that_may_writes_over_its_last_input():
    model = residual(64)
    apart = memory.plan(model, needs=no_needs)
    in_place = memory.plan(model, needs=lambda op: memory.Needs(in_place=(0, 1) if op.name == "ADD" else ()))
    assert apart.arena_bytes == 192
    assert in_place.arena_bytes == 128
    assert in_place.offsets[3] in (in_place.offsets[1], in_place.offsets[2])


def test_an_input_that_is_read_again_is_not_written_over():
    file = FileBuilder()
    source, a, b, out = (file.tensor((1, 32), scale=0.5) for _ in range(4))
    file.op("RELU", [source], [a])
    file.op("RELU", [a], [b])
    file.op("ADD", [a, b], [out], "AddOptions")
    model = graph.load(file.pack([source], [out]))
    plan = memory.plan(model, needs=lambda _: memory.Needs(in_place=(0,)))
    assert plan.offsets[b] != plan.offsets[a]


def test_working_memory_lies_apart_from_the_ops_tensors():
    model = chain([64, 64, 64], op="MEAN")
    plan = memory.plan(model, needs=lambda op: memory.Needs(scratch=30 if op.index == 1 else 0))
    assert plan.arena_bytes == plan.lower_bound == 160
    used = {plan.offsets[1], plan.offsets[2], plan.scratch[1]}
    assert len(used) == 3


def test_an_output_nobody_reads_holds_until_its_pause():
    file = FileBuilder()
    source, unused, out = (file.tensor((1, 16), scale=0.5) for _ in range(3))
    file.op("RELU", [source], [unused])
    file.op("RELU", [source], [out])
    plan = memory.plan(graph.load(file.pack([source], [out])), needs=no_needs)
    assert (plan.births[unused], plan.deaths[unused]) == (1, 1)
    assert plan.offsets[unused] != plan.offsets[source]


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_are_planned_soundly_and_near_the_bound(seed):
    rng = np.random.default_rng(seed)
    file = FileBuilder()
    made = [file.tensor((1, int(rng.integers(1, 200))), scale=0.5)]
    source = made[0]
    for _ in range(25):
        inputs = [made[int(rng.integers(max(0, len(made) - 6), len(made)))] for _ in range(2)]
        out = file.tensor((1, int(rng.integers(1, 200))), scale=0.5)
        file.op("CONCATENATION", inputs, [out], "ConcatenationOptions", axis=1)
        made.append(out)
    model = graph.load(file.pack([source], [made[-1]]))
    plan = memory.plan(model, needs=no_needs)
    assert_sound(model, plan)
    assert plan.lower_bound <= plan.arena_bytes <= 1.1 * plan.lower_bound


def test_the_mlperf_models_reach_the_lower_bound_and_beat_tensorflow_lite_micro(shared_data):
    tflm_arena = {"pretrainedResnet_quant": 54_340, "kws_ref_model": 22_772, "vww_96_int8": 100_660, "ad01_int8": 2_260}
    for name, theirs in tflm_arena.items():
        model = graph.load(shared_data / f"mlperf_tiny/{name}.tflite")
        plan = memory.plan(model)
        assert plan.arena_bytes == plan.lower_bound <= theirs
        assert_sound(model, plan)


def test_a_model_of_thousands_of_ops_is_planned_quickly():
    model = chain([4 + i % 7 * 4 for i in range(3000)], op="MEAN")
    plan = memory.plan(model, needs=no_needs)
    assert plan.arena_bytes == plan.lower_bound


def test_single_ops_are_planned_soundly():
    for kind in ("conv", "binary", "unary", "concatenation"):
        model = graph.load(random_op(kind, 5))
        assert_sound(model, memory.plan(model))
