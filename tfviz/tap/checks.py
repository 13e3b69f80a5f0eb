"""What is no model for tfviz is refused before anything is run."""

from typing import Any

import keras

from tfviz.errors import InputError


def check_model(model: Any) -> None:
    """Refuse what is no built Keras 3 model on TensorFlow.

    Raises:
        InputError: says what was given and what to do.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Keras runs on {keras.backend.backend()!r} here; tfviz needs TensorFlow: set KERAS_BACKEND=tensorflow."
        )
    if not isinstance(model, keras.Model):
        origin = f"{type(model).__module__}.{type(model).__qualname__}"
        if origin.startswith("tf_keras."):
            raise InputError(
                f"A Keras 2 model ({origin}) was given; save it (model.save('model.h5')) and read it with "
                "tfviz.load_model('model.h5'), which gives the same network in Keras 3."
            )
        raise InputError(f"A {origin} was given where a keras.Model (Keras 3) is expected; load it with Keras 3.")
    if not model.built:
        raise InputError(f"The model {model.name!r} has no weights yet: call it once on an image, or give it an Input.")


def check_layout(model: Any) -> None:
    """Refuse a model whose pictures or maps are `(B, C, H, W)`: every channel would be taken for a row.

    Raises:
        InputError: names the layer.
    """
    for layer in model._flatten_layers():
        if getattr(layer, "data_format", None) == "channels_first":
            raise InputError(
                f"The layer {layer.name!r} is channels_first; tfviz reads images and maps as (B, H, W, C): build the "
                "model with data_format='channels_last' (the kernels' shape is the same) and set the weights."
            )
