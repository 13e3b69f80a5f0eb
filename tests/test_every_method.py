"""What holds for every method of the registry, whatever it computes."""

import inspect
import warnings

import keras
import numpy as np
import pytest
from nets import images, pooled
from test_purity import assert_same, state

from tfviz import registry
from tfviz.errors import EmptyMapWarning

METHODS = registry.names()
# Few draws are enough for what is tested here.
FEW = {"samples": 24, "steps": 4, "components": 4, "top": 4}
K = np.array([2, 0, 1])


def explain(name, model, x, k, **options):
    method = registry.find(name).function
    known = inspect.signature(method).parameters
    few = {option: value for option, value in FEW.items() if option in known}
    return method(model, x, k, **few | options)


@pytest.fixture(scope="module")
def model():
    return pooled()


@pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
@pytest.mark.parametrize("name", METHODS)
def test_a_batch_gives_what_its_images_give_one_by_one(model, name):
    x = images()
    together = explain(name, model, x, K)
    assert together.dtype == np.float32
    assert len(together) == 3
    for image, k, expected in zip(x, K, together, strict=True):
        alone = explain(name, model, image, int(k))
        assert alone.shape == (1, *expected.shape)
        np.testing.assert_allclose(alone[0], expected, rtol=2e-3, atol=2e-4 * max(np.abs(expected).max(), 1e-6))


EXTREMES = {
    "black": np.zeros((12, 12, 2), np.float32),
    "constant": np.ones((12, 12, 2), np.float32),
    "huge": np.full((12, 12, 2), 1e6, np.float32),
    "huge and varied": 1e25 * images(1)[0],
    "tiny and varied": 1e-30 * images(1)[0],
}


@pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
@pytest.mark.parametrize("name", METHODS)
def test_maps_are_finite_and_the_same_each_time_wherever_the_output_is_finite(model, name):
    x = np.stack(list(EXTREMES.values()))
    assert np.isfinite(model(x)).all()
    maps = explain(name, model, x, 1)
    finite = {kind: bool(np.isfinite(one).all()) for kind, one in zip(EXTREMES, maps, strict=True)}
    assert finite == dict.fromkeys(EXTREMES, True)
    np.testing.assert_array_equal(explain(name, model, x, 1), maps)


@pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
@pytest.mark.parametrize("name", METHODS)
def test_the_model_is_bit_identical_afterwards(model, name):
    before = state(model)
    explain(name, model, images(2), None)
    assert_same(before, state(model))


@pytest.mark.parametrize(
    "name", [name for name in METHODS if "seed" in inspect.signature(registry.find(name).function).parameters]
)
@pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning")
def test_draws_hang_on_the_seed_and_on_nothing_else(model, name):
    x = images(2)
    np.random.seed(1)  # noqa: NPY002 - the global state must not matter
    keras.utils.set_random_seed(1)
    first = explain(name, model, x, 1, seed=5)
    keras.utils.set_random_seed(2)
    np.testing.assert_array_equal(explain(name, model, x, 1, seed=5), first)
    assert not np.array_equal(explain(name, model, x, 1, seed=6), first)


# Do not look at the score, or turn scores into shares of a whole, which are never all zero.
BLIND = ("eigen-cam", "kpca-cam", "fem", "random-cam", "score-cam", "ss-cam", "is-cam")


@pytest.mark.parametrize("name", [name for name in METHODS if name not in BLIND])
def test_a_map_that_is_zero_everywhere_is_flagged(name):
    silent = pooled()
    silent.get_layer("logits").kernel.assign(np.zeros((5, 3)))
    silent.get_layer("logits").bias.assign(np.zeros(3))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        maps = explain(name, silent, images(2), 1)
    assert not maps.any()
    assert EmptyMapWarning in [warning.category for warning in caught]
