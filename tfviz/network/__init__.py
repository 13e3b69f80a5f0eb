"""The network itself, apart from any one picture: what its units can see, which never speak, and what excites them.

`field` says which pixels a unit can see at all, `channels` which channels are dead or saturated over a data set, `top`
which pictures excite a channel most, `outcomes` which predictions are right and wrong, with the confusion that they
belong to. Everything over a data set is one streamed pass; `feed` is what such a pass may be given.
"""

from tfviz.network.channels import ChannelStatistics, channel_statistics
from tfviz.network.field import FieldSummary, ReceptiveField, receptive_field, receptive_fields
from tfviz.network.outcomes import Confusion, Example, Outcomes, correct_and_wrong
from tfviz.network.top import Excitation, top_images

__all__ = [
    "ChannelStatistics",
    "Confusion",
    "Example",
    "Excitation",
    "FieldSummary",
    "Outcomes",
    "ReceptiveField",
    "channel_statistics",
    "correct_and_wrong",
    "receptive_field",
    "receptive_fields",
    "top_images",
]
