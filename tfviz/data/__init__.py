"""The data door: whatever pictures come from, they leave it as a `Dataset` that streams `Batch`es.

    dog-poses          rendered pictures of dogs that sit, stand or lie, with masks (`tfviz.data.dog_poses`)
    folder             one sub-folder for each class, or pictures without labels, or one picture
    file.npz           `x`/`y`, or `x_train`/`y_train` and `x_test`/`y_test`; `class_names` optional
    keras:cifar10      and mnist, fashion_mnist, cifar100: what Keras fetches

Splits are "train", "test" and "calibration", always disjoint from test. Data that comes in parts (arrays `x_train`,
sub-folders `train/`) uses its parts, and takes calibration from the train part, spread evenly over it; other data is
divided 70 : 20 : 10 by a hash of each picture's name, class by class. No split means all of the data, or its test part
where it comes in parts.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tfviz.data._dataset import SPLITS, Batch, Dataset, Source, check_channels, first_positions, join, spread_positions
from tfviz.errors import InputError

if TYPE_CHECKING:
    from tfviz import image

__all__ = ["SPLITS", "Batch", "Dataset", "join", "load"]


def load(
    spec: str | Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    size: "image.Size | None" = None,
    channels: int | None = None,
    seed: int = 0,
    resize: "image.Method" = "area",
    fit: str = "stretch",
) -> Dataset:
    """Open data by its name on the command line.

    Args:
        spec: `dog-poses`, a folder, a picture, an `.npz`, or `keras:NAME`.
        split: "train", "test", "calibration" or None, as above.
        limit: the first so many pictures of the split; folders take one of each class in turn. Of calibration data that
            is taken from a train part: so many, spread evenly over it.
        size: side, or height and width, that pictures are brought to. None: as they are (folders: all must be equal);
            dog-poses: 64.
        channels: 1 for grey, 3 for RGB, None as they are (dog-poses: 3). int8 arrays are never touched.
        seed: which dogs are rendered; of no effect on other data.
        resize, fit: as in `tfviz.preprocess.Preprocess`.

    Raises:
        InputError: no such data, nothing in it, an unknown split, a limit below 1, broken or odd pictures (those are
            met when they are read).

    >>> dogs = load("dog-poses", split="test", limit=6, size=32)
    >>> len(dogs), dogs.class_names
    (6, ('sit', 'stand', 'lie'))
    >>> [batch.images.shape for batch in dogs.batches(4)]
    [(4, 32, 32, 3), (2, 32, 32, 3)]
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"There is no split {split!r}; there are {', '.join(SPLITS)}.")
    check_channels(channels)
    text = str(spec)
    source = _open(text, split=split, limit=limit, size=size, channels=channels, seed=seed, resize=resize, fit=fit)
    # A calibration split that is a whole train part would, by its first pictures alone, see one class of a sorted set.
    pick = spread_positions if split == "calibration" else first_positions
    return Dataset(spec=text, split=split, source=source, positions=pick(len(source), limit, text))


def _open(
    text: str,
    *,
    split: str | None,
    limit: int | None,
    size: "image.Size | None",
    channels: int | None,
    seed: int,
    resize: "image.Method",
    fit: str,
) -> Source:
    """Choose the source; imported here, so that opening one kind of data does not load the others' libraries."""
    if text == "dog-poses":
        from tfviz.data import dog_poses

        return dog_poses.DogPoses(split=split or "test", count=limit, size=size or 64, channels=channels or 3, seed=seed)
    if text.startswith("keras:"):
        from tfviz.data._keras import KerasSource

        return KerasSource(text.removeprefix("keras:"), split=split, size=size, channels=channels, method=resize)
    path = Path(text)
    if not path.exists():
        from tfviz.image import near_names

        raise InputError(
            f"There is no data {text!r}: expected dog-poses, a folder, a picture, an .npz or keras:NAME.{near_names(path)}"
        )
    if path.suffix.lower() == ".npz":
        from tfviz.data._npz import NpzSource

        return NpzSource(path, split=split, size=size, channels=channels, method=resize)
    from tfviz.data._folder import FolderSource

    return FolderSource(path, split=split, size=size, channels=channels, method=resize, fit=fit)
