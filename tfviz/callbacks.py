"""Keras callbacks: what the network sees while it learns, as pictures in TensorBoard.

    pictures = tfviz.callbacks.TensorBoardPictures("logs", x_test[:4], maps=["conv1"], methods=["grad-cam"])
    model.fit(x, y, epochs=10, callbacks=[pictures, keras.callbacks.TensorBoard("logs")])
    # tensorboard --logdir logs, tab IMAGES

Writing needs TensorFlow alone, TensorBoard only to look at them.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfviz import image, registry
from tfviz.errors import InputError

Pixels = npt.NDArray[np.uint8]
_SIDE = 192  # pixels of the longer side of a picture: TensorBoard shows pictures in the size that they have
_GAP = 1


class TensorBoardPictures(keras.callbacks.Callback):
    """Write feature maps and explanations of a few pictures after every epoch.

    The same pictures every time, so that TensorBoard's slider shows how they change. The model is left as it is.

    Args:
        log_dir: where TensorBoard looks; the pictures go to its sub-folder `pictures`.
        images: (B, H, W, C), as the model takes them, few of them.
        maps: addresses of layers whose feature maps are drawn (tag `maps/ADDRESS`), one mosaic an image, grey, each
            mosaic from 0 (or the least value below) to its largest.
        methods: names of pixel and layer methods (tag: the name), laid over the pictures.
        target: of the methods: None (each image's own prediction), a class, or what else targets can be.
        layer: of the layer methods; None: the last one with maps.
        display: from `images` to uint8 RGB pictures, such as `Preprocess.display`; default: 0..1, or 0..255 where any
            value is above 1.
        every: write after each so many epochs, from the first on.

    Raises:
        InputError: nothing to draw, an unknown method, or one that sees scores alone.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        images: Any,
        *,
        maps: Sequence[str] = (),
        methods: Sequence[str] = ("grad-cam",),
        target: Any = None,
        layer: str | None = None,
        display: Callable[[Any], Pixels] | None = None,
        every: int = 1,
    ) -> None:
        super().__init__()
        self._images = np.asarray(images)
        if self._images.ndim != 4 or not len(self._images):
            raise InputError(f"images are (B, H, W, C), as the model takes them, not {self._images.shape}.")
        if every < 1:
            raise InputError(f"every is at least 1, not {every}.")
        self._maps = list(maps)
        self._methods = [registry.find(name) for name in methods]
        blind = [method.name for method in self._methods if method.kind == "black-box"]
        if blind or not (self._maps or self._methods):
            what = f"{blind[0]} sees scores alone" if blind else "neither maps nor methods were given"
            raise InputError(f"{what}; give layers' addresses or methods of pixels or layers, see tfviz methods.")
        self._target, self._layer, self._every = target, layer, every
        self._pictures = image.as_pictures((display or _plain_display)(self._images))
        self._folder = Path(log_dir) / "pictures"
        self._writer: Any = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  (Keras's own)
        """Draw and write."""
        if epoch % self._every:
            return
        import tensorflow as tf

        self._writer = self._writer or tf.summary.create_file_writer(str(self._folder))
        with self._writer.as_default(step=epoch):
            for tag, pictures in self._drawn():
                _write(tf, tag, pictures)
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Close the file; another `fit` opens a new one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _drawn(self) -> "list[tuple[str, list[Pixels]]]":
        from tfviz.maps import feature_maps

        found = feature_maps(self.model, self._images, self._maps) if self._maps else {}
        drawn = [(f"maps/{address}", [mosaic(one) for one in values]) for address, values in found.items()]
        for method in self._methods:
            options = {"layer": self._layer} if method.kind == "layer" else {}
            heat = method.function(self.model, self._images, self._target, **options)
            over = [image.overlay(large, one)[0] for large, one in zip(self._enlarged(), heat, strict=True)]
            drawn.append((method.name, over))
        return drawn

    def _enlarged(self) -> list[Pixels]:
        return [_enlarge(picture) for picture in self._pictures]


def mosaic(maps: npt.NDArray[np.float32]) -> Pixels:
    """All maps of one layer, (h, w, C) or (C,), as one grey picture (H, W, 1) uint8 with white lines between them.

    Black is 0, or the least value where that is below 0; white is the largest.

    >>> mosaic(np.arange(8, dtype=np.float32).reshape(1, 1, 8)).shape
    (96, 192, 1)
    """
    values = maps if maps.ndim == 3 else maps.reshape(1, 1, -1)
    low = min(float(values.min()), 0.0)
    grey = np.rint(255 * (values - low) / (float(values.max()) - low or 1.0)).astype(np.uint8)
    height, width, channels = grey.shape
    from tfviz.plot.canvas import columns_for

    across = columns_for(channels)
    down = -(-channels // across)
    scale = max(1, _SIDE // max(height * down, width * across))
    tall, wide = height * scale, width * scale
    made = np.full((down * tall, across * wide), 255, np.uint8)
    for channel in range(channels):
        top, left = channel // across * tall, channel % across * wide
        made[top : top + tall, left : left + wide] = grey[..., channel].repeat(scale, 0).repeat(scale, 1)
    if scale > 1:  # the last line of each tile is the line between it and its neighbour
        made[tall - _GAP :: tall], made[:, wide - _GAP :: wide] = 255, 255
    return made[..., None]


def _enlarge(picture: Pixels) -> Pixels:
    scale = max(1, _SIDE // max(picture.shape[:2]))
    return picture.repeat(scale, 0).repeat(scale, 1)


def _plain_display(images: npt.NDArray[Any]) -> Pixels:
    factor = 255.0 if np.issubdtype(images.dtype, np.floating) and images.max() <= 1 else 1.0
    return np.rint(np.clip(images * factor, 0, 255)).astype(np.uint8)


def _write(tf: Any, tag: str, pictures: Sequence[Pixels]) -> None:
    """One image summary: width, height and the PNGs, marked for TensorBoard's plug-in of pictures.

    `tf.summary.image` would do the same, but TensorFlow has it only where TensorBoard is installed.
    """
    height, width = pictures[0].shape[:2]
    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="images"),
        data_class=3,  # DATA_CLASS_BLOB_SEQUENCE of TensorFlow's summary.proto
    )
    blobs = [str(width).encode(), str(height).encode(), *(image.png_bytes(picture) for picture in pictures)]
    tf.summary.write(tag, tf.constant(blobs), metadata=metadata)
