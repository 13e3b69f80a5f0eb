"""One self-contained HTML page: what a network sees, layer by layer, and where it looks.

`album` (pictures), `tiles` (maps at one scale), `panels` and `shots` (tensors to records), `views` (the records),
`page` (records to HTML), `model` (the page of a Keras model). `firmware_tools.report` adds the microcontroller's part.
"""

from tfviz.report.page import page, write_page
from tfviz.report.views import Fact, Headline, Layer, Overlay, Panel, Scores, Section, Shot

__all__ = ["Fact", "Headline", "Layer", "Overlay", "Panel", "Scores", "Section", "Shot", "page", "write_page"]
