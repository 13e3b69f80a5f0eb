"""How a picture is written down while `tfviz.maximize` improves it: as pixels, as a spectrum, as phases alone.

Each function returns a `Parametrisation`, from variables to pictures `(B, H, W, C)` with black 0 and white 1. What is
stepped in decides what is found: a step in pixels makes noise, a step in decorrelated colours and in a spectrum
weighted like that of photographs makes shapes (Olah, Mordvintsev and Schubert 2017, section Preconditioning).
"""

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError

Array = npt.NDArray[Any]
Shape = tuple[int, int, int]

# Eigenvectors of the covariance of RGB over pixels, each times the root of its eigenvalue and together divided by the
# largest root; measured on the first 4,660 training pictures of CIFAR-10. Columns: light, blue-yellow, green-magenta.
_COLOURS = np.array(
    [
        [0.558135, 0.200947, 0.055361],
        [0.577222, 0.008731, -0.107051],
        [0.596070, -0.196614, 0.051828],
    ],
    np.float32,
)
# How much a photograph's light varies around its own mean, before the sigmoid, in the units of the first column.
_CONTRAST = 1.4


@dataclasses.dataclass(frozen=True, eq=False)
class Parametrisation:
    """Two with the same `key` compute the same; what differs in numbers alone is in `constants`.

    `start(shape, draws)` gives one picture's first variable, `constants(shape)` what else the pictures are built from,
    `pictures(variable, constants, shape)` builds them; `rate` is the step size that suits it.
    """

    key: Hashable
    rate: float
    start: Callable[[Shape, np.random.Generator], Array]
    constants: Callable[[Shape], tuple[Array, ...]]
    pictures: Callable[[Any, Sequence[Any], Shape], Any]


def pixels(*, bounded: bool = True, deviation: float = 0.01) -> Parametrisation:
    """The pixels themselves; bounded ones are in decorrelated colours z, u = sigmoid(C z), unbounded ones u = z.

    Args:
        bounded: False lets u leave 0 to 1, which only a norm keeps finite.
        deviation: of the noise around mid-grey (unbounded: around 0) to start from.
    """

    def start(shape: Shape, draws: np.random.Generator) -> Array:
        return (deviation * draws.standard_normal(shape)).astype(np.float32)

    def pictures(variable: Any, _constants: Sequence[Any], _shape: Shape) -> Any:
        return _coloured(variable) if bounded else variable

    return Parametrisation(("pixels", bounded), 0.05, start, lambda _: (), pictures)


def fourier(*, decay: float = 1.0, deviation: float = 0.1) -> Parametrisation:
    """A spectrum z(f) in decorrelated colours: u = sigmoid(C irfft2(z(f) / max(f, 1 / longest side) ** decay)).

    Args:
        decay: how fast high frequencies are held back; 1 is the law of photographs, 0 is pixels in another basis.
        deviation: of the noise around mid-grey to start from.

    Source: Olah, Mordvintsev and Schubert 2017.
    """

    def start(shape: Shape, draws: np.random.Generator) -> Array:
        return (deviation * draws.standard_normal((2, *_half(shape)))).astype(np.float32)

    def constants(shape: Shape) -> tuple[Array, ...]:
        return ((_frequencies(shape) ** -decay * np.sqrt(shape[0] * shape[1])).astype(np.float32)[..., np.newaxis],)

    def pictures(variable: Any, constants: Sequence[Any], shape: Shape) -> Any:
        spectrum = tf.complex(variable[:, 0], variable[:, 1]) * tf.cast(constants[0], tf.complex64)
        return _coloured(_from_spectrum(spectrum, shape))

    return Parametrisation("fourier", 0.03, start, constants, pictures)


def maco(magnitude: Array | None = None) -> Parametrisation:
    """Phases alone, p(f), under the fixed magnitudes r(f) of photographs: u = sigmoid(C irfft2(r(f) exp(i p(f)))).

    Args:
        magnitude: `(H, W // 2 + 1, C)` as `natural_magnitude` measures it on pictures such as the model knows; None
            takes 1 / f, the law of photographs (Field 1987; 1.03 measured on CIFAR-10) with their contrast.

    Source: Fel et al. 2023, Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained
    Optimization.
    """

    def start(shape: Shape, draws: np.random.Generator) -> Array:
        return draws.uniform(-np.pi, np.pi, _half(shape)).astype(np.float32)

    def constants(shape: Shape) -> tuple[Array, ...]:
        if magnitude is None:
            return (_one_over_f(shape),)
        given = np.asarray(magnitude, np.float32)
        if given.shape != _half(shape):
            raise InputError(f"The magnitudes have shape {given.shape}; pictures of {shape} have {_half(shape)}.")
        return (given,)

    def pictures(variable: Any, constants: Sequence[Any], shape: Shape) -> Any:
        r = constants[0]
        return _coloured(_from_spectrum(tf.complex(r * tf.cos(variable), r * tf.sin(variable)), shape))

    return Parametrisation("maco", 0.2, start, constants, pictures)


def natural_magnitude(pictures: Array) -> npt.NDArray[np.float32]:
    """The mean magnitude of the spectra of pictures, `(H, W // 2 + 1, C)`, in decorrelated colours: for `maco`.

    Args:
        pictures: uint8 `(B, H, W, C)`, RGB or grey, in the size of the model's input.

    Raises:
        InputError: pixels that are not uint8, or no pictures.
    """
    values = np.asarray(pictures)
    if values.dtype != np.uint8 or values.ndim != 4 or not len(values):
        raise InputError(f"Pictures are uint8 (B, H, W, C), not {values.dtype} {values.shape}.")
    total = np.zeros(_half(values.shape[1:]))
    for one in values:
        # Black and white are infinitely far from grey before the sigmoid: ten steps of 255 keep off them.
        u = np.clip(one / 255.0, 0.04, 0.96)
        z = np.log(u / (1 - u))
        if z.shape[-1] == 3:
            z = z @ np.linalg.inv(_COLOURS.astype(np.float64)).T
        total += np.abs(np.fft.rfft2(z, axes=(0, 1)))
    return np.asarray(total / len(values), np.float32)


def _half(shape: Sequence[int]) -> Shape:
    """The shape of the spectrum of a real picture."""
    return shape[0], shape[1] // 2 + 1, shape[2]


def _frequencies(shape: Shape) -> npt.NDArray[np.float64]:
    """The size of each frequency in periods a pixel, `(H, W // 2 + 1)`, at least one period in the longest side."""
    f = np.hypot(np.fft.fftfreq(shape[0])[:, np.newaxis], np.fft.rfftfreq(shape[1]))
    return np.asarray(np.maximum(f, 1 / max(shape[:2])))


def _one_over_f(shape: Shape) -> Array:
    r = 1 / _frequencies(shape)
    r[0, 0] = 0
    # Parseval: each frequency but the first and the last column stands for two.
    twice = np.full(r.shape[1], 2.0)
    twice[0] = 1
    if shape[1] % 2 == 0:
        twice[-1] = 1
    deviation = np.sqrt((r**2 * twice).sum()) / (shape[0] * shape[1])
    return np.repeat((r * _CONTRAST / deviation)[..., np.newaxis], shape[2], axis=2).astype(np.float32)


def _from_spectrum(spectrum: Any, shape: Shape) -> Any:
    """`(B, H, W // 2 + 1, C)` to `(B, H, W, C)`."""
    planes = tf.signal.irfft2d(tf.transpose(spectrum, [0, 3, 1, 2]), list(shape[:2]))
    return tf.transpose(planes, [0, 2, 3, 1])


def _coloured(z: Any) -> Any:
    """Decorrelated colours to RGB between 0 and 1; other numbers of channels are left as they are."""
    return tf.sigmoid(tf.einsum("bhwc,dc->bhwd", z, tf.constant(_COLOURS)) if z.shape[-1] == 3 else z)
