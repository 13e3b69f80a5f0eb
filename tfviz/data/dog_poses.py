"""Built-in data: rendered pictures of dogs that sit, stand or lie, each with the mask of the dog's visible pixels.

They are drawn, not photographed. A picture is fixed by (seed, split, index) and the frame's size alone: picture 17 is
the same whatever the batch or the limit. Builds, coats, ears, tails, sides, limbs, scale, place, light, backgrounds,
clutter in dogs' colours, occlusion, blur and noise vary; class, size and place are independent of each other.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tfviz import image, preprocess
from tfviz._opencv import cv2
from tfviz.data import _dog_build, _dog_figure, _dog_paint, _dog_scene
from tfviz.data._dataset import SPLITS, Batch, Positions
from tfviz.data._draws import Draws
from tfviz.data._textures import textures_for
from tfviz.errors import InputError

CLASS_NAMES = _dog_figure.CLASS_NAMES
# Pictures without a limit: as many as the defaults of `train` and of a comparison need. A limit may ask for any number.
COUNTS = {"train": 12000, "test": 1000, "calibration": 200}

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class DogPoses:
    """An endless set of dogs, cut at `count`. Of every three pictures in a row each shows another pose."""

    class_names: tuple[str, ...] = CLASS_NAMES

    def __init__(self, *, split: str, count: int | None, size: image.Size, channels: int, seed: int) -> None:
        self._size = image.side_lengths(size)
        if min(self._size) < 16:
            raise InputError(f"dog-poses needs at least 16 x 16 pixels to show a dog, not {self._size}.")
        if seed < 0:
            raise InputError(f"A seed is 0 or more, not {seed}.")
        self._split, self._seed, self._channels = split, seed, channels
        self._count = COUNTS[split] if count is None else count

    def __len__(self) -> int:
        return self._count

    def stream(self, positions: Positions, batch_size: int) -> Iterator[Batch]:
        """Render batch by batch."""
        for start in range(0, len(positions), batch_size):
            chosen = [int(position) for position in positions[start : start + batch_size]]
            drawn = [render(index, split=self._split, seed=self._seed, size=self._size) for index in chosen]
            images = np.stack([picture for picture, _ in drawn])
            yield Batch(
                images=preprocess.grey(images) if self._channels == 1 else images,
                labels=np.array([label_of(index, split=self._split, seed=self._seed) for index in chosen], np.int64),
                masks=np.stack([mask for _, mask in drawn]),
                names=tuple(f"dog-poses-{self._split}-{self._seed}-{index}" for index in chosen),
            )


def label_of(index: int, *, split: str = "test", seed: int = 0) -> int:
    """The class of picture `index`: a shuffled order of the three within each three pictures."""
    order = [0, 1, 2]
    draws = Draws(seed, len(SPLITS) + SPLITS.index(split), index // 3)
    for last in (2, 1):  # Fisher-Yates
        other = draws.integer(0, last + 1)
        order[last], order[other] = order[other], order[last]
    return order[index % 3]


def render(index: int, *, split: str = "test", seed: int = 0, size: image.Size = 64) -> tuple[Pixels, Mask]:
    """Picture `index` of a split: (H, W, 3) uint8 RGB, and (H, W) bool, true where the dog is seen.

    >>> picture, mask = render(3, size=32)
    >>> picture.shape, bool(mask.any())
    ((32, 32, 3), True)
    """
    height, width = image.side_lengths(size)
    draws = Draws(seed, SPLITS.index(split), index)
    textures = textures_for(height, width)
    build = _dog_build.draw_build(draws)
    parts = _dog_figure.pose_parts(label_of(index, split=split, seed=seed), build, draws)
    dog = _dog_paint.paint(parts, height, width, _dog_paint.coat_colour(draws), draws, textures)

    horizon = round(min(draws.uniform(0.15, 0.65) * height, dog.feet - 0.05 * height))
    horizon = max(1, min(horizon, height - 1))
    scene = _dog_scene.background(height, width, horizon, draws, textures)
    _dog_scene.clutter(scene, horizon, dog, draws)
    scene = _dog_scene.shadow(scene, dog, draws)
    weight = dog.cover.astype(np.float32) / np.float32(255)
    scene = cv2.blendLinear(dog.rgb, scene, weight, 1 - weight)
    mask = dog.cover.copy()
    _dog_scene.occlude(scene, mask, dog, draws)
    scene = _dog_scene.camera(_dog_scene.light(scene, draws, textures), draws, textures)
    return scene, mask >= 128
