"""Every metric that judges explanations, once: its name, what it says of a map, whose it is. Imports no one."""

import dataclasses
from typing import Literal

Group = Literal["faithful", "on the object", "stable", "hangs on weights", "concentrated"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """One metric: `group` is what it says of a map, `higher` that more is better; `line` and `source` for readers.

    `batches` limits a dear one to the first so many batches.
    """

    name: str
    group: Group
    higher: bool
    line: str
    source: str
    needs_masks: bool = False
    batches: int | None = None

    @property
    def merit(self) -> bool:
        """Whether it counts for the ranking, and random maps are the bar to pass.

        The others are conditions and properties that a worthless map may meet: one that is the same everywhere is
        perfectly stable, a random one keeps nothing when the weights change, one dot is as concentrated as can be.
        """
        return self.group in ("faithful", "on the object")


FACTS = (
    Facts(
        name="deletion",
        group="faithful",
        higher=False,
        line="area under the probability while the most relevant pixels are blackened",
        source="Petsiuk et al. 2018",
    ),
    Facts(
        name="insertion",
        group="faithful",
        higher=True,
        line="area under the probability while the most relevant pixels come back into the blurred picture",
        source="Petsiuk et al. 2018",
    ),
    Facts(
        name="road",
        group="faithful",
        higher=True,
        line="probability left with the least less that with the most relevant pixels filled in, halved",
        source="Rong et al. 2022",
    ),
    Facts(
        name="average-drop",
        group="faithful",
        higher=False,
        line="share of the probability lost when only the map's part is seen",
        source="Chattopadhay et al. 2018",
    ),
    Facts(
        name="average-increase",
        group="faithful",
        higher=True,
        line="share of pictures whose probability rises when only the map's part is seen",
        source="Chattopadhay et al. 2018",
    ),
    Facts(
        name="average-gain",
        group="faithful",
        higher=True,
        line="share of the missing probability won when only the map's part is seen",
        source="Zhang et al. 2023",
    ),
    Facts(
        name="mu-fidelity",
        group="faithful",
        higher=True,
        line="correlation of a map's sum over random cells with the logit's fall when they are blackened",
        source="Bhatt et al. 2020",
    ),
    Facts(
        name="infidelity",
        group="faithful",
        higher=False,
        line="squared error of the best-scaled map as a forecast of the logit's change under noise",
        source="Yeh et al. 2019",
    ),
    Facts(
        name="pointing-game",
        group="on the object",
        higher=True,
        line="share of pictures whose largest value lies on the object",
        source="Zhang et al. 2018",
        needs_masks=True,
    ),
    Facts(
        name="relevance-mass",
        group="on the object",
        higher=True,
        line="share of the positive relevance that lies on the object",
        source="Arras et al. 2022",
        needs_masks=True,
    ),
    Facts(
        name="relevance-rank",
        group="on the object",
        higher=True,
        line="share of the largest values, as many as the object has pixels, that lies on it",
        source="Arras et al. 2022",
        needs_masks=True,
    ),
    Facts(
        name="max-sensitivity",
        group="stable",
        higher=False,
        line="largest change of the map, scaled to length 1, while the picture changes by at most 2 % of its span",
        source="Yeh et al. 2019",
        batches=1,
    ),
    Facts(
        name="randomisation",
        group="hangs on weights",
        higher=False,
        line="rank correlation that is left while the weights are randomised from the output down",
        source="Adebayo et al. 2018",
        batches=1,
    ),
    Facts(
        name="sparseness",
        group="concentrated",
        higher=True,
        line="Gini index of the map",
        source="Chalasani et al. 2020",
    ),
    Facts(
        name="complexity",
        group="concentrated",
        higher=False,
        line="entropy of the map, in nats",
        source="Bhatt et al. 2020",
    ),
)
