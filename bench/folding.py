"""What folding batch norms does to scores and gradients: how near to float64 each is, and how long a gradient takes.

    python bench/folding.py [--nets b c] [--rounds 15]

Two compiled runs of each network, plain and folded, beside the same network in float64. Errors are of the largest
value; a ReLU at its kink may go either way, plain and folded. Exits with 1 where the folded logits are more than 1e-5
off the float64 ones.
"""

import argparse
import os
from functools import partial
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from explanations.contest import quartiles
from explanations.contestant import timed
from explanations.nets import NETS, Net

from tfviz.tap.patch import run


def compiled(net: Net, folded: bool) -> Any:
    """`f(images) -> logits, gradient of each image's class`."""

    @tf.function(autograph=False)
    def body(images):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            logits = run(net.model, images, folded=folded).outputs
            score = tf.gather(logits, net.classes, axis=1, batch_dims=1)
        return logits, tape.gradient(score, images)

    return body


def double(name: str, weights: Any) -> Net:
    """The network in float64, with these weights."""
    keras.config.set_dtype_policy("float64")
    try:
        net = NETS[name]()
    finally:
        keras.config.set_dtype_policy("float32")
    for own, other in zip(net.model.weights, weights, strict=True):
        own.assign(tf.cast(other.value, tf.float64))
    return net


def error(found: Any, exact: Any) -> float:
    return float(np.abs(np.asarray(found) - np.asarray(exact)).max() / np.abs(exact).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", choices=("b", "c"), default=["b", "c"])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    good = True
    for name in options.nets:
        net = NETS[name]()
        images = tf.constant(net.images)
        plain, folded = compiled(net, folded=False), compiled(net, folded=True)
        exact = compiled(double(name, net.model.weights), folded=False)(tf.cast(images, tf.float64))
        answers = {"plain": plain(images), "folded": folded(images)}
        for way, (logits, gradient) in answers.items():
            print(f"{name}, {way}: logits {error(logits, exact[0]):.1e} off float64, gradient up to", end=" ")
            print(f"{max(map(error, gradient, exact[1])):.1e}")
        apart = [error(a, b) for a, b in zip(answers["folded"][1], answers["plain"][1], strict=True)]
        print(
            f"{name}: gradients apart by more than 1e-5 on {sum(a > 1e-5 for a in apart)} of {len(apart)} images,",
            end=" ",
        )
        print(f"by up to {max(apart):.1e}")
        times = [
            (timed(partial(folded, images))["ms"], timed(partial(plain, images))["ms"]) for _ in range(options.rounds)
        ]
        low, middle, high = quartiles([a / b for a, b in times])
        print(f"{name}: gradient, folded / plain: {middle:.2f} ({low:.2f}-{high:.2f})", flush=True)
        good = good and error(answers["folded"][0], exact[0]) <= 1e-5
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
