"""The picture data sets that Keras fetches: `keras:cifar10` and its like."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.data._dataset import Batch, Fitting, Positions
from tfviz.errors import InputError

NAMES = ("cifar10", "cifar100", "fashion_mnist", "mnist")
CLASS_NAMES = {
    "cifar10": "airplane automobile bird cat deer dog frog horse ship truck",
    "fashion_mnist": "T-shirt trouser pullover dress coat sandal shirt sneaker bag boot",
    "mnist": "0 1 2 3 4 5 6 7 8 9",
    "cifar100": (
        "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
        "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
        "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster "
        "man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck "
        "pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk "
        "skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger "
        "tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
    ),
}


class KerasSource:
    """One split of a data set of `keras.datasets`, kept in memory; calibration is taken from its train part."""

    def __init__(self, name: str, *, split: str | None, fitting: Fitting) -> None:
        if name not in NAMES:
            raise InputError(f"There is no data set keras:{name}; there are {', '.join('keras:' + n for n in NAMES)}.")
        self._name, self._fitting = name, fitting
        self.class_names = tuple(CLASS_NAMES[name].split())
        train, test = _fetch(name)
        self._part = "test" if split in (None, "test") else "train"
        images, labels = test if self._part == "test" else train
        self._images: npt.NDArray[np.uint8] = images[..., None] if images.ndim == 3 else images
        self._labels = labels.reshape(-1).astype(np.int64)

    def __len__(self) -> int:
        return len(self._images)

    def stream(self, positions: Positions, batch_size: int) -> Iterator[Batch]:
        """Slices of the arrays, resized and coloured as asked for."""
        for start in range(0, len(positions), batch_size):
            chosen = positions[start : start + batch_size]
            names = tuple(f"{self._name}-{self._part}-{position}" for position in chosen)
            yield Batch(self._fitting(self._images[chosen]), self._labels[chosen], None, names)


def _fetch(name: str) -> Any:
    import keras

    try:
        return getattr(keras.datasets, name).load_data()
    except Exception as error:  # a network, a disk or an archive: Keras passes on whatever it met
        text = " ".join(str(error).split())
        raise InputError(
            f"Keras could not fetch {name} ({text[:160]}); it needs the network once and keeps it in ~/.keras/datasets."
        ) from error
