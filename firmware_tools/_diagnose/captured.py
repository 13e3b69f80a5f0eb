"""The board's own preprocessing, judged by CAPTURE: how its raw frame became the input tensor that it fed."""

from collections.abc import Sequence

import numpy as np

from firmware_tools._diagnose.feeding import Feeding
from firmware_tools._diagnose.judge import NAMED, input_answers
from firmware_tools.devices.capture import Capture
from firmware_tools.graph import Graph
from firmware_tools.quantize import model_input
from firmware_tools.results import Diagnosis
from tfviz.errors import InputError
from tfviz.preprocess import Preprocess


def diagnose_capture(
    captures: Sequence[Capture], graph: Graph, *, preprocess: Preprocess | None = None
) -> Diagnosis | None:
    """Find out how a device's frames became its inputs, where that is not as the model expects.

    Args:
        captures: one or more, one after the other, of a device with one input.
        graph: the model.
        preprocess: what the model expects of pixels; None: the frame as it is.

    Returns:
        What was found; None where each input is what the host makes of the frame.

    Raises:
        InputError: no capture, a frame that is no picture, or a model with several inputs.
    """
    if not captures or len(graph.inputs) != 1:
        raise InputError("A diagnosis of a sensor takes captures of a model with one input.")
    tensor = graph.tensors[graph.inputs[0]]
    feedings: list[Feeding] = []
    before: Feeding | None = None
    for capture in captures:
        frame = capture.picture
        right = model_input(frame[None], tensor, preprocess=preprocess).reshape(tensor.shape)
        given = np.asarray(capture.inputs[tensor.name]).reshape(tensor.shape)
        old = (None, None) if before is None else (before.seen, before.integers)
        before = Feeding(frame, right, tensor, preprocess, previous=old[0], previous_right=old[1], seen=given)
        feedings.append(before)
    apart = sum(int((one.integers != one.seen).sum()) for one in feedings)
    if not apart:
        return None
    wrong = [one for one in feedings if (one.integers != one.seen).any()]
    wrong = [one for one in wrong if one.previous is not None] or wrong
    found = input_answers(wrong)
    size = sum(one.integers.size for one in wrong)
    most = max(int(np.abs(one.integers.astype(int) - np.asarray(one.seen).astype(int)).max()) for one in wrong)
    evidence = [f"The input that the device made differs in {apart:,} of {size:,} values, by at most {most} LSB."]
    named = found[0] if found and found[0].share_restored >= NAMED else None
    for answer in found:
        detail = f" ({answer.detail})" if answer.detail else ""
        evidence.append(
            f"{answer.hypothesis}{detail}: {answer.explanation} explains {100 * answer.share_restored:.4g} %."
        )
    if named is None:
        return Diagnosis(
            cause="unknown: no hypothesis makes the device's input of its frame",
            hypothesis=None,
            op=None,
            share_restored=found[0].share_restored if found else 0.0,
            what_to_do="Compare the device's preprocessing with the model's sidecar, step by step.",
            evidence=tuple(evidence),
            answers=tuple(found),
        )
    detail = f" ({named.detail})" if named.detail else ""
    share = "all" if named.share_restored == 1 else f"{100 * named.share_restored:.4g} % of the"
    return Diagnosis(
        cause=f"{named.hypothesis}{detail}: it makes {share} {apart:,} differing values of the device's input of its "
        "frame",
        hypothesis=named.hypothesis,
        op=None,
        share_restored=named.share_restored,
        what_to_do=named.what_to_do,
        evidence=tuple(evidence),
        answers=tuple(found),
    )
