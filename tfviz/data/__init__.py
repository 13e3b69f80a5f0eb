"""The data door: whatever pictures come from, they leave it as a `Dataset` that streams `Batch`es.

    dog-poses          rendered pictures of dogs that sit, stand or lie, with masks (`tfviz.data.dog_poses`)
    folder             one sub-folder for each class, or pictures without labels, or one picture
    file.npz           `x`/`y`, or `x_train`/`y_train` and `x_test`/`y_test`; `class_names` optional
    keras:cifar10      and mnist, fashion_mnist, cifar100: what Keras fetches

Splits are "train", "test" and "calibration", always disjoint from test. Data that comes in parts (arrays `x_train`,
sub-folders `train/`) uses its parts, and takes calibration from the train part; other data is
divided 70 : 20 : 10 by a hash of each picture's name, class by class. No split means all of the data, or its test part
where it comes in parts.
"""

from pathlib import Path

from tfviz.data._dataset import (
    SPLITS,
    Batch,
    Dataset,
    Fitting,
    Source,
    drawn_positions,
    first_positions,
    fitting,
    join,
)
from tfviz.errors import InputError
from tfviz.image import Method, Size, near_names
from tfviz.preprocess import Fit

__all__ = ["SPLITS", "Batch", "Dataset", "join", "load"]


def load(
    spec: str | Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    size: Size | None = None,
    channels: int | None = None,
    seed: int = 0,
    resize: Method = "area",
    fit: Fit = "stretch",
) -> Dataset:
    """Open data by its name on the command line.

    Args:
        spec: `dog-poses`, a folder, a picture, an `.npz`, or `keras:NAME`.
        split: "train", "test", "calibration" or None, as above.
        limit: the first so many pictures of the split; folders take one of each class in turn. Of calibration data: so
            many, drawn from all of it, the same ones every time.
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
    text = str(spec)
    if limit is not None and limit < 1:
        raise InputError(f"A limit of {limit} leaves nothing of {text}; it is at least 1.")
    source = _open(text, split, limit, seed, fitting(size, channels, resize, fit))
    pick = drawn_positions if split == "calibration" else first_positions
    return Dataset(spec=text, split=split, source=source, positions=pick(len(source), limit, text))


def _open(text: str, split: str | None, limit: int | None, seed: int, shape: Fitting) -> Source:
    """Choose the source; imported here, so that opening one kind of data does not load the others' libraries."""
    if text == "dog-poses":
        from tfviz.data import dog_poses

        size, channels = shape.size or 64, shape.channels or 3
        return dog_poses.DogPoses(split=split or "test", count=limit, size=size, channels=channels, seed=seed)
    if text.startswith("keras:"):
        from tfviz.data._keras import KerasSource

        return KerasSource(text.removeprefix("keras:"), split=split, fitting=shape)
    path = Path(text)
    if not path.exists():
        kinds = "dog-poses, a folder, a picture, an .npz or keras:NAME"
        raise InputError(f"There is no data {text!r}; expected {kinds}.{near_names(path)}")
    if path.suffix.lower() == ".npz":
        from tfviz.data._npz import NpzSource

        return NpzSource(path, split=split, fitting=shape)
    from tfviz.data._folder import FolderSource

    return FolderSource(path, split=split, fitting=shape)
