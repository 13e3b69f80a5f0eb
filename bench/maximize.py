"""How fast activation maximisation is beside a hand-written loop.

    python bench/maximize.py [--rounds 7] [--steps 200]

The network is a = 64 x 64 x 1, Conv8, pool, Conv16, pool, Conv32, GAP, Dense10, seeded weights, logits; one picture.
The floor is plain gradient ascent on the pixels in one compiled `tf.while_loop`: it has no Adam, no smoothness, no
spectrum and no transforms, so what is added by each is what it costs. All take turns, and the load is noted.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tfviz
from tfviz import objective, parametrisation, transform

CLASS = 3


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    convolutions = [layers.Conv2D(filters, 3, activation="relu") for filters in (8, 16, 32)]
    body = [convolutions[0], layers.MaxPooling2D(), convolutions[1], layers.MaxPooling2D(), convolutions[2]]
    return keras.Sequential([keras.Input((64, 64, 1)), *body, layers.GlobalAveragePooling2D(), layers.Dense(10)])


def floor(model: keras.Model, steps: int) -> Callable[[], Any]:
    @tf.function
    def climb(x: Any, k: Any, count: Any) -> Any:
        def step(number: Any, x: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                tape.watch(x)
                score = model(x, training=False)[:, k]
            g = tape.gradient(score, x)
            return number + 1, x + 0.1 * g / (tf.sqrt(tf.reduce_mean(g * g)) + 1e-8)

        return tf.while_loop(lambda number, _: number < count, step, (0, x), parallel_iterations=1)[1]

    start = tf.random.stateless_normal((1, 64, 64, 1), (0, 0))
    return lambda: climb(start, tf.constant(CLASS), tf.constant(steps)).numpy()


def ways(model: keras.Model, steps: int) -> dict[str, Callable[[], Any]]:
    def ours(**options: Any) -> Callable[[], Any]:
        return lambda: tfviz.maximize(model, objective.logit(CLASS), steps=steps, **options)

    free = parametrisation.pixels(bounded=False)
    return {
        "floor": floor(model, steps),
        "pixels alone": ours(parametrisation=free, transforms=(), smoothness=0),
        "Fourier, no transforms": ours(transforms=()),
        "Fourier and jitter": ours(transforms=(transform.jitter(),)),
        "the defaults": ours(),
        "MaCo": ours(parametrisation=parametrisation.maco()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    calls = ways(network(), arguments.steps)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(arguments.rounds + 1):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - begin))
            if number == 0:
                print(f"{name:24} first call {times[name].pop():6.0f} ms")
    print(
        f"\n{arguments.steps} steps, one picture, medians of {arguments.rounds} rounds; load {os.getloadavg()[0]:.1f}"
    )
    for name, found in times.items():
        ratio = np.median(np.array(found) / np.array(times["floor"]))
        print(f"{name:24} {np.median(found):6.0f} ms   {ratio:5.2f} x the floor")


if __name__ == "__main__":
    main()
