"""Small made-up comparisons whose every number is known, for the tests of the page."""

import dataclasses

import numpy as np

from firmware_tools.explain import Looks
from firmware_tools.results import (
    Comparison,
    DataInfo,
    Drift,
    EngineInfo,
    Gaze,
    OpResult,
    RunVerdict,
    Sample,
    Verdict,
)
from tfviz.trace import Step, Tensor, Trace

CLASSES = ("sit", "stand", "lie")
FINGERPRINT = "ab" * 32


def pictures(count: int, side: int = 32) -> np.ndarray:
    """(count, side, side, 3) uint8: a blob before a gradient, another place in each."""
    y, x = np.mgrid[0:side, 0:side] / side
    made = []
    for index in range(count):
        at = 0.25 + 0.5 * index / max(count - 1, 1)
        blob = np.exp(-(((x - at) ** 2 + (y - 0.55) ** 2) / 0.02))
        made.append(np.stack([0.3 + 0.6 * blob, 0.5 * y + 0.3 * blob, 0.6 - 0.4 * blob], axis=-1))
    return np.rint(np.clip(np.stack(made), 0, 1) * 255).astype(np.uint8)


def layer_values(image: np.ndarray, channels: int, step: int, seed: int) -> np.ndarray:
    """(1, h, w, channels) float32: random mixtures of the shrunken image and its edges."""
    rng = np.random.default_rng(seed)
    grey = image[::step, ::step].astype(np.float32) / 255
    edges = np.stack(np.gradient(grey.mean(axis=-1)), axis=-1) * 4
    features = np.concatenate([grey, edges], axis=-1)
    return np.maximum(features @ rng.normal(size=(5, channels)), 0)[None].astype(np.float32)


def quantised(values: np.ndarray, scale: float, zero_point: int = -128) -> np.ndarray:
    return np.clip(np.rint(values / scale) + zero_point, -128, 127).astype(np.int8)


def comparison(
    *, faulty_op: int | None = None, samples: int = 3, images: np.ndarray | None = None, **changes: object
) -> Comparison:
    """Conv of 8 maps, pool, conv of 16 maps, dense on an emulated board; from `faulty_op` on it is 2 LSB off."""
    shown = pictures(max(samples, 1)) if images is None else images
    layers = [("CONV_2D", "conv", 8, 1), ("MAX_POOL_2D", "pool", 8, 2), ("CONV_2D", "conv_1", 16, 2)]
    made, ops = [], []
    for number, image in enumerate(shown):
        reference, engine, floating = [], [], []
        for index, (op, name, channels, step) in enumerate(layers):
            real = layer_values(image, channels, step, index)
            scale = 0.01 * (1 + index)
            whole = quantised(real, scale)
            board = whole.copy()
            if faulty_op is not None and index >= faulty_op:
                board[0, 0, 0, 0] = np.clip(board[0, 0, 0, 0] + 2, -128, 127)
            for steps, values in ((reference, whole), (engine, board)):
                steps.append(Step(index, op, name, (Tensor(f"{name}/out", values, scale, -128),), 1000 * (index + 1)))
            floating.append(Step(index, "Conv2D", name, (Tensor(name, real),)))
        logits = np.array([[4.0, 1.0, -2.0]], np.float32)[:, np.roll(np.arange(3), number)]
        last = Tensor("dense/out", quantised(logits, 0.05, 0), 0.05, 0)
        for steps in (reference, engine):
            steps.append(Step(3, "FULLY_CONNECTED", "dense", (last,), 500))
        floating.append(Step(3, "Dense", "dense", (Tensor("dense", logits),)))
        label = int(np.argmax(logits)) if number != 1 else 0
        traces = [
            Trace(engine_name, kernels, FINGERPRINT, (), tuple(steps), (steps[-1].output,))
            for engine_name, kernels, steps in (
                ("tflm:m.tflite", "TFLM reference kernels 0.dev1", reference),
                ("emulator:nano33ble:m.tflite", "built-in 0.1.0", engine),
                ("keras:m.keras", "TensorFlow 2.21", floating),
            )
        ]
        made.append(Sample(f"{CLASSES[label]}-{number}", image, label, traces[0], traces[1], traces[2]))
    for index, step in enumerate(made[0].reference.steps if made else []):
        after = faulty_op is not None and index >= faulty_op and index < 3
        verdict = Verdict.EXACT if not after else Verdict.DIVERGED if index == faulty_op else Verdict.INHERITED
        tensor = step.output
        ops.append(
            OpResult(
                index=index,
                op=step.op,
                name=step.name,
                keras_layer=step.name,
                verdict=verdict,
                shape=tensor.values.shape,
                dtype="int8",
                scale=tensor.scale,
                zero_point=tensor.zero_point,
                bytes=tensor.values.nbytes,
                instructions=step.instructions,
                macs=2_000 if index != 1 else 0,
                exact_share=0.9995 if after else 1.0,
                max_lsb=2 if after else 0,
                where=(0, 0, 0, 0) if after else None,
                local_max_lsb=2 if index == faulty_op else 0,
                local_exact_share=1.0,
                sqnr_db=40.0 - 3 * index,
                rmse_scale=0.29,
                cosine=0.9999,
            )
        )
    wrong = sum(op.verdict is not Verdict.EXACT for op in ops)
    fields: dict = {
        "verdict": RunVerdict.FAIL if wrong else RunVerdict.PASS,
        "ops": tuple(ops),
        "engines": (
            EngineInfo("reference", "tflm:m.tflite", "TFLM reference kernels 0.dev1", FINGERPRINT),
            EngineInfo("engine", "emulator:nano33ble:m.tflite", "built-in 0.1.0", FINGERPRINT),
            EngineInfo("float", "keras:m.keras", "TensorFlow 2.21", "cd" * 32),
        ),
        "exact_ops": len(ops) - wrong,
        "total_ops": len(ops),
        "images": 120,
        "data": (
            DataInfo("evaluation", "dog-poses", "test", 120, "1234567890abcdef00"),
            DataInfo("calibration", "dog-poses", "calibration", 100, "fedcba098765432100"),
        ),
        "class_names": CLASSES,
        "top1_agreement": 1.0,
        "float_top1_agreement": 0.975,
        "accuracy": {"emulator:nano33ble:m.tflite": 0.95, "keras:m.keras": 0.9583, "tflm:m.tflite": 0.95},
        "confusion": {
            "emulator:nano33ble:m.tflite": np.array([[38, 1, 1], [2, 37, 1], [0, 1, 39]]),
            "keras:m.keras": np.array([[38, 1, 1], [1, 38, 1], [0, 1, 39]]),
        },
        "first_divergent": faulty_op,
        "board": "Arduino Nano 33 BLE Sense",
        "instructions": 6500,
        "flash_bytes": 41_984,
        "flash_total": 1_048_576,
        "ram_bytes": 61_440,
        "ram_total": 262_144,
        "arena_bytes": 36_864,
        "arena_lower_bound": 36_864,
        "stack_used": 348,
        "stack_bytes": 4_096,
        "samples": tuple(made[:samples]) if images is None else tuple(made),
    }
    return Comparison(**{**fields, **changes})


def looking(name: str) -> tuple[Comparison, tuple[Looks, ...]]:
    """A comparison with the drift of float, int8 and board, and two pictures that they explain, one called `name`."""
    roles = {"keras": "float", "tflm": "int8", "emulator:nano33ble": "device"}
    gazes = tuple(
        Gaze(engine, role, 1 - 0.01 * k, 0.9, 0.95, 0.75, 0.5, 1.0, 0) for k, (engine, role) in enumerate(roles.items())
    )
    question, answer = "Does the microcontroller still look at the dog?", "Yes: over 20 images it does (0.980)."
    drift = Drift(question, answer, True, "cam", 20, 0.1, gazes, ())
    heat = np.random.default_rng(0).random((4, 4)).astype(np.float32)
    first, second = pictures(2)
    looks = (
        Looks("sit/0001", first, 0, (0, 0, 1), (heat, heat, heat / 2)),
        Looks(name, second, 0, (0, 0, 0), (heat, heat, heat / 2)),
    )
    return dataclasses.replace(comparison(board="nano33ble"), drift=drift), looks
