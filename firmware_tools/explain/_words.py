"""The question that drift answers, and the answer, in words."""

from collections.abc import Sequence

from firmware_tools.results import Gaze

# Rank correlation from which two maps are called the same look, and how much less often it may point at the object.
SAME_LOOK = 0.9
LESS_OFTEN = 0.05


def answer(gazes: Sequence[Gaze], *, thing: str | None, share: float | None, images: int) -> tuple[str, str, bool]:
    """The question, its answer in one or two sentences, and whether the last engine still looks where float looked.

    Yes needs a mean rank correlation of `SAME_LOOK` and, where there are masks, that it points at the object at most
    `LESS_OFTEN` less often than the float model.
    """
    before, after = gazes[0], gazes[-1]
    who = "the microcontroller" if after.role == "device" else "the int8 model"
    alike = after.spearman is not None and after.spearman >= SAME_LOOK
    rank = "no map had an order to compare" if after.spearman is None else f"rank correlation {after.spearman:.3f}"
    top = "" if after.overlap is None else f", overlap of the top 20 % {_percent(after.overlap)}"
    over = f"over {images} image{'' if images == 1 else 's'}"
    if thing is None or after.pointing is None or before.pointing is None or after.mass is None or before.mass is None:
        question = f"Does {who} still look where the float model looks?"
        return question, f"{'Yes' if alike else 'No'}: {rank} with the float model's maps{top}, {over}.", alike
    question = f"Does {who} still look at {thing}?"
    held = after.pointing >= before.pointing - LESS_OFTEN
    kept = alike and held
    if not kept:
        word = "No"
    elif before.pointing > 0.5:
        word = "Yes"
    else:
        word = f"As much as the float model did, which was mostly not at {thing}"
    chance = "" if share is None else f"; {thing} takes {_percent(share)} of a picture"
    text = (
        f"{word}: its strongest evidence lies on {thing} in {_percent(after.pointing)} of {images} images "
        f"(float model: {_percent(before.pointing)}) and {_percent(after.mass)} of all evidence does "
        f"({_percent(before.mass)}{chance}). {rank.capitalize()} with the float model's maps{top}."
    )
    return question, text, kept


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"
