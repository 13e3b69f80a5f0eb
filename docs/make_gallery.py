"""Draws docs/gallery.md: every method of the registry on one drawn dog and one photograph.

    python docs/make_gallery.py [--dog build/demo/dog.keras] [--photograph FILE --photograph-model FILE]

The dog's network is what `make demo` trains. The photograph is Chelsea the cat by Stefan van der Walt, dedicated to the
public domain (CC0), which scikit-image ships and `make peers` so installs; its network is MLPerf Tiny's ResNet8
(Apache-2.0), which is no part of this project: `--photograph-model`. Same input, same pictures, bit by bit but for
floating point.
"""

import argparse
import dataclasses
import os
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt

from tfviz import choose, data, image
from tfviz.errors import EmptyMapWarning, InputError
from tfviz.registry import METHODS, Method

HERE = Path(__file__).parent
PICTURES = HERE / "images" / "gallery"
PHOTOGRAPH = HERE.parent / "build" / "peers" / "skimage" / "data" / "chelsea.png"
CROP = (slice(0, 300), slice(60, 360))  # the square around the cat's face
CIFAR = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"
TILE, GAP = 132, 6
DOG = 28  # of the test split: one whose pose and clutter can be told at this size
TITLES = {
    "pixel": (
        "Pixels",
        "How the score hangs on each pixel, by gradients. Orange speaks for the class, violet against it; maps without "
        "a sign are yellow where they are large.",
    ),
    "layer": (
        "Layers",
        "Where in the last layer with places the score comes from, at the layer's own resolution (8 x 8 here), and "
        "laid over the picture.",
    ),
    "black-box": (
        "Black box",
        "What changes the score when it is covered or drawn anew. Nothing but scores is asked for, so this also "
        "explains a TensorFlow Lite model or a board.",
    ),
}
Pixels = npt.NDArray[np.uint8]
Maps = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Subject:
    """A picture (1, H, W, 3), large for the eye and as its network sees it, with the class that is explained."""

    name: str
    chosen: choose.Chosen
    large: Pixels
    seen: Pixels

    @property
    def inputs(self) -> Any:
        return self.chosen.preprocess(self.seen)

    def scores(self) -> Maps:
        return np.asarray(self.chosen.model(self.inputs))[0]

    @property
    def target(self) -> int:
        return int(self.scores().argmax())

    @property
    def says(self) -> str:
        return self.chosen.class_names[self.target]


def drawn_dog(model: str) -> Subject:
    chosen = choose.choose_model(model)
    size = chosen.model.input_shape[1:3]
    batch = next(data.load("dog-poses", limit=DOG + 1, size=size).batches(DOG + 1))
    seen = batch.images[DOG : DOG + 1]
    return Subject("dog", chosen, image.resize_pixels(seen, TILE, method="bilinear"), seen)


def photograph(path: Path, model: str) -> Subject:
    chosen = choose.choose_model(model, CIFAR)
    whole = image.read_image(path)[CROP][np.newaxis]
    size = chosen.model.input_shape[1:3]
    return Subject("photograph", chosen, image.resize_pixels(whole, TILE), image.resize_pixels(whole, size))


def tiles(method: Method, subject: Subject) -> list[Pixels]:
    """The raw map, and what speaks for the class laid over the picture; blank where the method does not apply."""
    try:
        heat = np.asarray(method.function(subject.chosen.model, subject.inputs, subject.target))
    except InputError as error:
        print(f"  {method.name} on the {subject.name}: {error}")
        return [np.full((TILE, TILE, 3), 245, np.uint8)] * 2
    if not heat.any():
        print(f"  {method.name} on the {subject.name}: zero everywhere")
    return [coloured(heat), image.overlay(subject.large, heat, alpha=0.55, colour_map="inferno")[0]]


def coloured(heat: Maps) -> Pixels:
    """A map on its own, nearest pixels; its largest hundredth is cut off, as one bright pixel would darken the rest."""
    signed = bool((heat < 0).any())
    low = 0.0 if signed else heat.min()
    top = np.quantile(np.abs(heat - low), 0.99) or np.abs(heat - low).max() or 1.0
    scaled = np.clip((heat - low) / top, -1, 1)
    large = image.resize(0.5 + scaled / 2 if signed else scaled, TILE, method="nearest")[0]
    return image.colour_map(large, "PuOr_r" if signed else "inferno")


def strip(parts: list[Pixels]) -> Pixels:
    """Tiles in a row, the two subjects a little apart."""
    height = len(parts[0])
    joined: list[Pixels] = []
    for number, part in enumerate(parts):
        if number:
            joined.append(np.full((height, GAP if number % 2 else 3 * GAP, 3), 255, np.uint8))
        joined.append(part)
    return np.concatenate(joined, axis=1)


def write_png(path: Path, picture: Pixels) -> None:
    """With a palette of 256 colours, a third of the size."""
    from PIL import Image

    Image.fromarray(picture).quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def page(subjects: list[Subject], shown: list[Method]) -> str:
    dog, *photographs = subjects
    lines = [
        "# Gallery",
        "",
        f"Every method that explains a picture, on the same two pictures, each explained for what its network says: a "
        f"rendered dog of `dog-poses` ({dog.says}, the CNN of `make demo`, 64 x 64)"
        + (
            f", and a photograph ({photographs[0].says}, MLPerf Tiny's ResNet8, which sees it at 32 x 32)."
            if photographs
            else "."
        )
        + " For each: the raw map, then what of it speaks for the class, laid over the picture.",
        "",
        "![The dog and the photograph, large and as the networks see them](images/gallery/inputs.png)",
        "",
        "Maps are evidence about the network, not about the dog: some look alike for any weights (those that say "
        "*edges, not reasons*), random-cam is there to be beaten, and `tfviz evaluate` measures which to believe.",
        "",
    ]
    for kind, (title, text) in TITLES.items():
        lines += [f"## {title}", "", text, "", "| method | drawn dog, photograph |", "|---|---|"]
        lines += [
            f"| **{m.name}**<br>{m.line}<br><sub>{m.source}</sub> | ![{m.name}](images/gallery/{m.name}.png) |"
            for m in shown
            if m.kind == kind
        ]
        lines.append("")
    lines += [
        "## How it was made",
        "",
        "`make demo peers && python docs/make_gallery.py --photograph-model pretrainedResnet.h5` draws it anew, every "
        "method with its default options. The photograph is Chelsea the cat by Stefan van der Walt, CC0, as "
        "scikit-image ships it; the ResNet8 is [MLPerf Tiny's](https://github.com/mlcommons/tiny) (Apache-2.0), "
        "trained on CIFAR-10. Neither is part of this project.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dog", default="build/demo/dog.keras", help="the network of `make demo`")
    parser.add_argument("--photograph", type=Path, default=PHOTOGRAPH)
    parser.add_argument("--photograph-model", help="a CIFAR-10 classifier of pixels 0..255")
    parser.add_argument("--methods", nargs="+", help="only these; the page is left as it is")
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMapWarning)
    subjects = [drawn_dog(options.dog)]
    if options.photograph_model:
        subjects.append(photograph(options.photograph, options.photograph_model))
    PICTURES.mkdir(parents=True, exist_ok=True)
    shown = [method for method in METHODS.values() if not options.methods or method.name in options.methods]
    inputs = [tile for one in subjects for tile in (one.large[0], image.resize(one.seen, TILE, method="nearest")[0])]
    write_png(PICTURES / "inputs.png", strip([part.astype(np.uint8) for part in inputs]))
    for method in shown:
        start = time.perf_counter()
        write_png(PICTURES / f"{method.name}.png", strip([tile for one in subjects for tile in tiles(method, one)]))
        print(f"{method.name}: {time.perf_counter() - start:.1f} s")
    if not options.methods:
        (HERE / "gallery.md").write_text(page(subjects, shown))
        for stale in (
            set(PICTURES.glob("*.png")) - {PICTURES / f"{m.name}.png" for m in shown} - {PICTURES / "inputs.png"}
        ):
            stale.unlink()
    size = sum(path.stat().st_size for path in PICTURES.glob("*.png"))
    print(f"{len(shown)} methods, pictures of {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
