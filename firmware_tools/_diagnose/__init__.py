"""Why two engines differ: the first divergent op, then hypotheses, each tested by replay.

    found = diagnose(reference, engine, images)
    found.cause       # "red and blue swapped: ... restores all 812 values that differ in op 0 (CONV_2D)"
    found.what_to_do

`registry` says what a hypothesis is; `inputs`, `arithmetic`, `stored`, `places` and `transfer` hold them, one family a
file; `kernel` holds the ops in NumPy on which they are replayed; `judge` counts what each restores.
"""

from firmware_tools._diagnose.captured import diagnose_capture
from firmware_tools._diagnose.find import diagnose
from firmware_tools._diagnose.registry import Hypothesis, known

__all__ = ["Hypothesis", "diagnose", "diagnose_capture", "known"]
