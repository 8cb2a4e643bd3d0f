"""What plans alone say, before anything is decoded: do answers differ, do they belong to clips?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.records import Shortcut
from avssl.run.audit_error import belongs_to_groups
from avssl.run.audit_probes import classes_of
from avssl.run.audit_samples import SEED, Maker, answer_of, planned_answer
from avssl.sample import sample_rng

_NUM_PLANNED = 200
"""Plans that are looked at: in so many, an even mix of answers shows both."""
_NUM_CLIPS, _NUM_EACH = 25, 40
_SPREAD = 3.0  # standard deviations; taken for belonging, a figure only has a larger error


def all_alike(task: Any, wanted: Sequence[Mapping[str, Any]], catalog: Catalog) -> str:
    """Gives what to say where the plans of some shortcut have one answer only, else "".

    Args:
        task: whose shortcuts are audited.
        wanted: for each shortcut, "on", "off", "closed" → the task so set.
        catalog: the rows that samples are drawn from.
    """
    for shortcut, settings in zip(task.shortcuts, wanted, strict=True):
        for setting in dict.fromkeys(settings.values()):
            seen = _answers(setting, shortcut, catalog)
            if len(seen) == 1:
                return (
                    f"{task.name}, {shortcut.name}: the answer of all of {_NUM_PLANNED} plans is "
                    f"{seen.pop():g}, so there is nothing to tell; set the task otherwise, or "
                    "audit another split (--split)"
                )
    return ""


def _answers(setting: Any, shortcut: Shortcut, catalog: Catalog) -> set[float]:
    """Gives the different answers that plans say, two at most; none where pictures say them."""
    answer, seen = answer_of(shortcut, setting), set()
    with Maker(setting, catalog, num_samples=_NUM_PLANNED) as maker:
        for number in range(_NUM_PLANNED):
            said = planned_answer(answer, maker.plan(number))
            if said is None:
                break
            seen |= {float(value) for value in np.ravel(said)}
            if len(seen) > 1:
                break
    return seen


def drawn_anew(task: Any, shortcut: Shortcut, catalog: Catalog) -> bool:
    """Whether answers are drawn anew for every sample, and each sample is of one group.

    Then a clip's name tells nothing of the answer, and figures on clips that probes were fitted to
    are as good as those on others. Forty plans each of 25 clips are looked at: one clip's answers
    must not be more alike than those of all.
    """
    answer, rows = answer_of(shortcut, task), np.unique(task.items(catalog))
    rows = rows[np.linspace(0, len(rows) - 1, min(_NUM_CLIPS, len(rows))).astype(int)]
    said, clips = [], []
    for row in rows.tolist():
        for number in range(_NUM_EACH):
            rng = sample_rng(SEED, 2 + row, number)
            plan = task.sample(catalog, row, rng)
            one = planned_answer(answer, plan)
            groups = {catalog.row(span.row).group_id for span in plan.spans}
            if one is None or len(groups) > 1:
                return False
            values = np.ravel(one)  # of several questions, one is asked
            said.append(values[int(rng.integers(len(values)))].item())
            clips.append(row)
    try:
        label = classes_of(said).label
    except InputError:
        return False
    return not belongs_to_groups(label, np.array(clips), deviations=_SPREAD)
