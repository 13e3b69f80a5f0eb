"""The layer that a class activation map is drawn in."""

from typing import Any

from tfviz.errors import InputError
from tfviz.tap import Tap, locate, spatial, survey


def spatial_layer(model: Any, layer: Any) -> Tap:
    """The tap on `layer`, None being the last call with H x W > 1.

    Raises:
        InputError: the layer's output is not `(B, H, W, C)`; the message names the last that is.
    """
    address, tap, call = locate(model, layer)
    if len(call.shapes) == 1 and len(call.shapes[0]) == 4:
        return tap
    last = next((call.address for call in reversed(survey(model).calls) if spatial(call)), None)
    shape = call.shapes[0] if len(call.shapes) == 1 else call.shapes
    advice = f"the last layer that has is {last!r}" if last else "no layer of this model has"
    raise InputError(f"The output of {address!r} has shape {shape}, no places (B, H, W, C) to map; {advice}.")
