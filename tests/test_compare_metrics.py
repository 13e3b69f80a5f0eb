"""The metrics of a comparison against other programs' and against sums written out."""

import math

import numpy as np
import pytest

from firmware_tools import _channels, _likeness, metrics
from firmware_tools._channels import ChannelSums
from firmware_tools._classes import Classes
from firmware_tools._tally import Tally
from firmware_tools.metrics import Reals
from tfviz.trace import Step, Tensor, Trace


def noisy(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=shape).astype(np.float32)
    return x, x + 0.2 * random.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("side", [11, 20])
def test_ssim_of_maps_is_tensorflow_s(side):
    import tensorflow as tf

    x, y = noisy((1, side, side + 3, 7))
    theirs = [
        float(tf.image.ssim(x[..., k : k + 1], y[..., k : k + 1], max_val=float(x.max() - x.min()))[0])
        for k in range(7)
    ]
    assert _likeness.maps_ssim(x, y) == pytest.approx(np.mean(theirs), abs=1e-5)


def test_ssim_of_pictures_that_have_none():
    flat = np.zeros((1, 6, 6, 2))
    assert _likeness.maps_ssim(flat, flat) == 1.0
    assert math.isnan(_likeness.maps_ssim(flat, flat + 1))
    assert not _likeness.are_maps(np.zeros((1, 1, 1, 64)))


def test_nse_is_one_minus_the_error_over_the_variance_also_image_by_image():
    x, y = noisy((5, 4, 4, 3))
    x += 1000  # sums of squares would cancel
    y += 1000
    sums = Reals()
    for k in range(5):
        sums = metrics.add_reals(sums, x[k], y[k])
    x, y = x.astype(np.float64), y.astype(np.float64)
    assert sums.nse == pytest.approx(1 - np.mean((y - x) ** 2) / np.var(x), rel=1e-9)
    assert metrics.add_reals(Reals(), x, np.full_like(x, x.mean())).nse == pytest.approx(0, abs=1e-12)
    assert metrics.add_reals(Reals(), np.ones(3), np.ones(3)).nse == 1
    assert metrics.add_reals(Reals(), np.ones(3), np.zeros(3)).nse == -math.inf
    assert math.isnan(metrics.add_reals(Reals(), np.array([1, np.nan]), np.array([1, 2])).nse)


def test_kl_of_two_known_distributions_and_of_what_was_clipped():
    """Values in two bins, 3:1 against 1:3, many of them: sum p ln(p / q) = ln(3) / 2."""
    scale, count = 1.0, 40_000
    x = np.repeat([-100.0, 100.0], [3 * count, count])
    y = np.repeat([-100.0, 100.0], [count, 3 * count])
    empty = _likeness.histograms(x, scale, 0, np.dtype(np.int8))
    assert _likeness.add_histograms(empty, x, y).kl == pytest.approx(math.log(3) / 2, rel=1e-2)
    assert _likeness.add_histograms(empty, x, x).kl == 0
    wide = np.linspace(-256, 256, 10_000)
    assert _likeness.add_histograms(empty, wide, np.clip(wide, -128, 127)).kl > 1
    assert math.isnan(_likeness.add_histograms(empty, np.array([np.nan]), np.array([0.0])).kl)


def test_channels_are_the_tensor_s_metrics_taken_apart():
    random = np.random.default_rng(1)
    right = random.integers(-128, 128, (3, 4, 5, 6)).astype(np.int8)
    judged = right.copy()
    judged[1, 2, 3, 4] = 7 if right[1, 2, 3, 4] < 0 else -7
    judged[..., 2] = np.clip(right[..., 2].astype(int) + 1, -128, 127)
    sums = ChannelSums()
    for k in range(3):
        sums = _channels.add_channel_steps(sums, right[k : k + 1], judged[k : k + 1])
        sums = _channels.add_channel_reals(sums, 0.5 * right[k : k + 1], 0.5 * judged[k : k + 1])
    found = sums.result(0.5)
    apart = np.abs(judged.astype(int) - right)
    assert found.max_lsb == tuple(apart.max(axis=(0, 1, 2)))
    assert found.exact_share == pytest.approx((apart == 0).mean(axis=(0, 1, 2)))
    assert found.rmse_scale == pytest.approx(np.sqrt((apart**2).mean(axis=(0, 1, 2))))
    for k in range(6):
        own = metrics.add_reals(Reals(), right[..., k], judged[..., k])
        assert found.sqnr_db[k] == pytest.approx(own.sqnr_db)
    assert found.sqnr_db[0] == math.inf


def traced(values: np.ndarray, scale: float | None = 1.0) -> Trace:
    tensor = Tensor("t", values, scale, 0)
    return Trace("e", "k", "f", (), (Step(0, "CONV_2D", "t", (tensor,)),), (tensor,))


def test_a_nan_is_carried_through_every_metric_of_a_tally():
    x, y = noisy((1, 4, 4, 3))
    y[0, 1, 1, 1] = np.nan
    right, judged = traced(x, None), traced(y, None)
    tally = Tally(judged.steps[0], None, against_float=False, in_steps=True)
    tally.add(0, right, judged, None, None)
    found = tally.result()
    assert found.nan_count == 1
    for name in ("sqnr_db", "cosine", "max_abs", "bias", "nse", "kl", "ssim"):
        assert math.isnan(getattr(found, name)), name
    assert [math.isnan(value) for value in found.channels.sqnr_db] == [False, True, False]


def test_top_5_counts_the_reference_s_class_among_the_engine_s_five():
    classes = Classes()
    scores = np.arange(10)[None].astype(np.int8)
    for place in (9, 5, 4):
        right = np.zeros((1, 10), np.int8)
        right[0, place] = 100
        classes.add(traced(right), traced(scores), None, None)
    found = classes.results({"reference": "r", "engine": "e"})
    assert found["top5_agreement"] == pytest.approx(2 / 3)
    assert found["top1_agreement"] == pytest.approx(1 / 3)
    few = Classes()
    few.add(traced(scores[:, :5]), traced(scores[:, :5]), None, None)
    assert few.results({"reference": "r", "engine": "e"})["top5_agreement"] is None
