"""A trace survives the way through a file unchanged, and says what is wrong with a file that is none."""

import dataclasses
import zlib

import numpy as np
import pytest

from tfviz.errors import InputError
from tfviz.trace import Step, Tensor, Trace


def small_trace() -> Trace:
    rng = np.random.default_rng(7)
    maps = Tensor("conv/Relu", rng.integers(-128, 128, (1, 4, 4, 8), np.int8), scale=0.031, zero_point=-128)
    scores = Tensor("logits", np.array([[np.nan, np.inf, -1.5]], np.float32))
    return Trace(
        engine="emulator:nano33ble",
        kernels="built-in 0.1.0",
        fingerprint="ab" * 32,
        inputs=(Tensor("image", rng.integers(-128, 128, (1, 4, 4, 1), np.int8), scale=1 / 255, zero_point=-128),),
        steps=(
            Step(0, "CONV_2D", "conv", (maps,), instructions=12345),
            Step(2, "SPLIT", "split", (scores, scores), cycles=2**40),
        ),
        outputs=(scores,),
        forced=True,
    )


def assert_same(left: Tensor, right: Tensor) -> None:
    np.testing.assert_array_equal(left.values, right.values)
    assert left.values.dtype == right.values.dtype
    assert (left.name, left.scale, left.zero_point) == (right.name, right.scale, right.zero_point)


def test_a_trace_read_back_is_the_trace_that_was_saved(tmp_path):
    trace = small_trace()
    trace.save(tmp_path / "run.npz")
    again = Trace.load(tmp_path / "run.npz")
    for field in ("engine", "kernels", "fingerprint", "forced"):
        assert getattr(again, field) == getattr(trace, field)
    for left, right in zip(trace.inputs + trace.outputs, again.inputs + again.outputs, strict=True):
        assert_same(left, right)
    for left, right in zip(trace.steps, again.steps, strict=True):
        assert dataclasses.replace(left, outputs=()) == dataclasses.replace(right, outputs=())
        for one, other in zip(left.outputs, right.outputs, strict=True):
            assert_same(one, other)
    assert again.step(2).cycles == 2**40
    with pytest.raises(KeyError, match="holds no op 1"):
        again.step(1)


def test_dequantisation_is_exact_where_float32_is():
    tensor = Tensor("x", np.array([-128, 0, 127], np.int8), scale=0.25, zero_point=-128)
    np.testing.assert_array_equal(tensor.real, np.array([0, 32, 63.75], np.float32))


def test_the_digest_does_not_depend_on_the_byte_order_of_the_host():
    values = np.arange(6, dtype="<i4").reshape(2, 3)
    expected = zlib.crc32(values.tobytes())
    assert Tensor("x", values).crc32 == expected
    assert Tensor("x", values.astype(">i4")).crc32 == expected
    assert Tensor("x", np.asfortranarray(values)).crc32 == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no trace file"),
        (b"", "is not a trace file"),
        (b"PK\x03\x04 but no archive", "is not a trace file"),
        (b"\x00" * 64, "is not a trace file"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_in_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "run.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        Trace.load(path)


def test_a_truncated_trace_and_another_npz_are_refused(tmp_path):
    small_trace().save(tmp_path / "run.npz")
    data = (tmp_path / "run.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(data[: len(data) // 2])
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    for name in ("half.npz", "other.npz"):
        with pytest.raises(InputError, match="is not a trace file"):
            Trace.load(tmp_path / name)
