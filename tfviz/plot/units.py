"""Figures of what `tfviz.network` finds: what excites channels, which are dead, what is confused with what."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.plot.canvas import new_figure
from tfviz.plot.pictures import RIGHT, WRONG, Tile, tile_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tfviz.network import ChannelStatistics, Excitation, Outcomes

_RARE, _DEAD = "#c9a227", "#b3261e"


def excitation_rows(
    found: Mapping[int, Sequence["Excitation"]],
    *,
    made: npt.NDArray[np.uint8] | None = None,
    title: str = "",
    limit: int = 12,
) -> "Figure":
    """A row for each channel: the pictures that excite it most, with a box around what the strongest unit sees.

    Args:
        found: as `tfviz.network.top_images` answers.
        made: uint8 `(channels, H, W, 3)`, what each channel wants to see (`tfviz.maximize`), drawn first in its row.
        title: above all, such as the layer's address.
        limit: how many channels are drawn at most; of more, the first ones, and the title says so.

    Raises:
        InputError: no channel, or a wrong number of made pictures.
    """
    if made is not None and len(made) != len(found):
        raise InputError(f"{len(made)} made pictures were given for {len(found)} channels.")
    rows = []
    for number, (channel, best) in enumerate(list(found.items())[:limit]):
        tiles = [] if made is None else [Tile(made[number], "made for it")]
        tiles += [Tile(one.picture, f"{one.value:.3g} (picture {one.position})", box=one.box) for one in best]
        rows.append((f"channel {channel}", tiles))
    note = f"the first {limit} of {len(found)} channels" if len(found) > limit else ""
    return tile_rows(rows, title=": ".join(part for part in (title, note) if part))


def confusion_rows(outcomes: "Outcomes", *, each: int = 3, limit: int = 8, title: str = "") -> "Figure":
    """A row for each confusion: pictures that were mistaken (framed), then right ones of both classes beside them.

    Args:
        outcomes: as `tfviz.network.correct_and_wrong` answers.
        each: how many pictures of each of the three kinds.
        limit: how many confusions, the most frequent first; the title says of how many.
        title: above all; the accuracy if empty.

    Raises:
        InputError: nothing was confused.
    """
    if not outcomes.confusions:
        raise InputError("Every prediction is right: there is no confusion to draw.")
    rows = []
    for cell in outcomes.confusions[:limit]:
        truth, said = _name(outcomes, cell.label), _name(outcomes, cell.said)
        blank = Tile(np.full((*cell.wrong[0].picture.shape[:2], 3), 255, np.uint8))
        groups = (
            [Tile(one.picture, f"+{one.margin:.1f}", WRONG) for one in cell.wrong[:each]],
            [Tile(one.picture, f"is {truth}, +{one.margin:.1f}", RIGHT) for one in cell.right_label[:each]],
            [Tile(one.picture, f"is {said}, +{one.margin:.1f}", RIGHT) for one in cell.right_said[:each]],
        )
        tiles = [tile for group in groups for tile in [*group, *([blank] * (each - len(group)))]]
        rows.append((f"is {truth},\nwas taken for {said}\n{_times(cell.count)}", tiles))
    heads = ["" for _ in range(3 * each)]
    for place, head in enumerate(("mistaken", "right, of the true class", "right, of the other class")):
        heads[place * each + each // 2] = head
    total, cells = int(outcomes.counts.sum()), len(outcomes.confusions)
    note = f"the {limit} most frequent of {cells} confusions" if cells > limit else ""
    headline = title or f"{100 * outcomes.accuracy:.1f} % of {total} right; numbers are the logit's lead"
    return tile_rows(rows, heads=heads, title=": ".join(part for part in (headline, note) if part))


def channel_bars(statistics: Mapping[str, "ChannelStatistics"], *, title: str = "", limit: int = 128) -> "Figure":
    """A strip for each layer: how often each channel is active, with dead, saturated and rare ones marked.

    Args:
        statistics: as `tfviz.network.channel_statistics` answers.
        title: above all.
        limit: how many channels of a layer are drawn at most.

    Raises:
        InputError: no layer.
    """
    if not statistics:
        raise InputError("There is no layer to draw.")
    figure = new_figure(8.6, 1.2 * len(statistics) + 0.5)
    for axes, layer in zip(figure.subplots(len(statistics), 1, squeeze=False)[:, 0], statistics.values(), strict=True):
        shares = 100 * layer.active[:limit]
        colours = np.where(layer.rare, _RARE, RIGHT).astype(object)
        colours[layer.saturated] = WRONG
        axes.bar(np.arange(len(shares)), shares, width=0.85, color=list(colours[:limit]))
        dead = np.flatnonzero(layer.dead[:limit])
        axes.plot(dead, np.full(len(dead), 6), "x", color=_DEAD, markersize=5)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_ylim(0, 100)
        axes.set_xlim(-0.7, len(shares) - 0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
        axes.set_ylabel("active, %", fontsize=7)
        axes.set_title(_health(layer, limit), fontsize=8, loc="left", pad=3)
    figure.suptitle(title or "how often each channel is above zero (x dead, orange saturated, yellow rare)", fontsize=9)
    return figure


def _health(layer: "ChannelStatistics", limit: int) -> str:
    counts = {"dead": layer.dead, "saturated": layer.saturated, "rare": layer.rare}
    found = [f"{int(flags.sum())} {name}" for name, flags in counts.items() if flags.any()]
    more = f", the first {limit} of {len(layer.mean)}" if len(layer.mean) > limit else ""
    return f"{layer.address}: {', '.join(found) or 'all alive'}{more}"


def _name(outcomes: "Outcomes", k: int) -> str:
    return outcomes.class_names[k] if k < len(outcomes.class_names) else f"class {k}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
