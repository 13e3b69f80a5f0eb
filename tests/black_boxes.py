"""Functions with a known answer, and the black-box methods with options that make them quick."""

from typing import Any

import numpy as np

from tfviz import registry

SIZE = (6, 6, 2)
_draws = np.random.default_rng(5)
X = _draws.uniform(0.5, 1.5, (2, *SIZE))
W = _draws.normal(size=(*SIZE, 3))
QUARTERS = np.kron(np.arange(4).reshape(2, 2), np.ones((3, 3), int))

METHODS: dict[str, dict[str, Any]] = {
    "occlusion": {},
    "rise": {"samples": 40},
    "lime": {"samples": 40, "segments": QUARTERS},
    "kernel-shap": {"samples": 40, "segments": QUARTERS},
    "sobol": {"samples": 4, "grid": 2},
    "hsic": {"samples": 40, "grid": 2},
}


def scores(x: Any) -> Any:
    """A linear function with three outputs."""
    return np.einsum("bijc,ijck->bk", x.astype(np.float64), W) + np.array([1.0, 2.0, 3.0])


def per_quarter(values: Any) -> Any:
    """The sum over each quarter of the picture, painted on it."""
    return np.stack([values[:, q == QUARTERS].sum(axis=1) for q in range(4)], axis=1)[:, QUARTERS]


def terms(k: int, fill: Any = 0.0) -> Any:
    """What each pixel adds to column `k` beside its fill."""
    return ((X - fill) * W[..., k]).sum(axis=-1)


def method(name: str) -> Any:
    return registry.find(name, "black-box").function
