"""Matplotlib figures of maps, layers, activations and heat maps; nothing here runs a model or needs a screen.

Every function returns a `matplotlib.figure.Figure`, which notebooks draw and `save` writes. Grey maps are the default;
"viridis" reads as well in colour, for the colour-blind too. A map that is zero everywhere is marked, not drawn as if it
said something, and every figure states its scale.
"""

from tfviz.plot.bars import dense_bars
from tfviz.plot.beside import overlay_beside
from tfviz.plot.canvas import save
from tfviz.plot.grid import feature_map_grid, kernel_grid, side_by_side
from tfviz.plot.network import layer_maps
from tfviz.plot.pictures import picture_grid
from tfviz.plot.scoreboard import scoreboard
from tfviz.plot.units import channel_bars, confusion_rows, excitation_rows

__all__ = [
    "channel_bars",
    "confusion_rows",
    "dense_bars",
    "excitation_rows",
    "feature_map_grid",
    "kernel_grid",
    "layer_maps",
    "overlay_beside",
    "picture_grid",
    "save",
    "scoreboard",
    "side_by_side",
]
