"""Is dog-poses worth explaining? Speed of the renderer, a linear classifier on pixels, the small CNN.

    python bench/dog_poses.py [--images N] [--epochs E]

Prints three figures with their bounds and exits with 1 when one is missed: at least 1,000 pictures a second at
64 x 64 RGB on one thread; multinomial logistic regression on standardised pixels under 60 % of held-out pictures; the
small CNN over 90 %. Both classifiers learn from the same pictures and are judged on the same other seed.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tfviz import data, train
from tfviz.data import dog_poses

HELD_OUT_SEED = 1_000_003
MIN_SPEED, MAX_LINEAR, MIN_CNN = 1000.0, 0.60, 0.90


def renderer_speed(count: int = 2000) -> float:
    """Pictures a second at 64 x 64 RGB on one thread, masks included; the best of three runs of `count`."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    dog_poses.render(0)  # makes the textures
    best = 0.0
    for _ in range(3):
        started = time.perf_counter()
        for index in range(count):
            dog_poses.render(index)
        best = max(best, count / (time.perf_counter() - started))
    cv2.setNumThreads(threads)
    return best


def linear_accuracy(learned: data.Batch, judged: data.Batch) -> tuple[float, float]:
    """Held-out accuracy of logistic regression on standardised pixels, and the L2 weight that it was given.

    Of four L2 weights the one that does best on a tenth of the training pictures is taken, after early stopping: the
    linear model gets the better tuning of the two.
    """
    import keras

    pixels = learned.images.reshape(len(learned), -1).astype(np.float32)
    mean, deviation = pixels.mean(axis=0), pixels.std(axis=0) + 1e-3
    pixels = (pixels - mean) / deviation
    held = (judged.images.reshape(len(judged), -1).astype(np.float32) - mean) / deviation
    cut = len(pixels) * 9 // 10
    results = []
    for weight in (1e-3, 1e-2, 1e-1, 1.0):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input(pixels.shape[1:]), keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(weight))]
        )
        model.compile(
            keras.optimizers.Adam(2e-4),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        stop = keras.callbacks.EarlyStopping("val_accuracy", patience=3, restore_best_weights=True)
        validation = (pixels[cut:], learned.labels[cut:])
        history = model.fit(
            pixels[:cut], learned.labels[:cut], validation_data=validation, epochs=12, batch_size=128, verbose=0,
            callbacks=[stop],
        )  # fmt: skip
        accuracy = float(np.mean(model.predict(held, verbose=0).argmax(axis=1) == judged.labels))
        results.append((max(history.history["val_accuracy"]), accuracy, weight))
    _, accuracy, weight = max(results)
    return accuracy, weight


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=None, help="training pictures (default: those of tfviz train)")
    parser.add_argument("--epochs", type=int, default=5)
    chosen = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"load average at the start {load:.1f} on {os.cpu_count()} cores")

    speed = renderer_speed()
    print(f"renderer   {speed:7.0f} pictures/s at 64 x 64 RGB, one thread (at least {MIN_SPEED:.0f})", flush=True)
    learned = data.load("dog-poses", split="train", limit=chosen.images)
    judged = data.load("dog-poses", split="test", limit=2000, seed=HELD_OUT_SEED)
    linear, weight = linear_accuracy(learned.whole(), judged.whole())
    print(
        f"linear     {100 * linear:7.1f} % of {len(judged)} held-out pictures, L2 {weight:g} (under 60 %)", flush=True
    )
    result = train.train(learned, test=judged, epochs=chosen.epochs)
    print(
        f"small CNN  {100 * result.accuracy:7.1f} % of the same, {result.model.count_params()} parameters, trained on "
        f"{result.train_images} x {chosen.epochs} pictures in {result.seconds:.0f} s (over 90 %)"
    )
    return int(speed < MIN_SPEED or linear >= MAX_LINEAR or result.accuracy <= MIN_CNN)


if __name__ == "__main__":
    sys.exit(main())
