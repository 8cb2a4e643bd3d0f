"""Which clips the probes are fitted to, and which they are judged on: never the same recordings.

Numbers that do no more than name a clip tell whatever belongs to it: its colours, its brightness.
On other clips they tell nothing, and there a network is wanted. So the groups of a catalogue (a
recording and its copies are one) are dealt to two halves, and the task is asked about each as about
a data set of its own: a pair of two clips has both in one half.

    groups by format   aaaaa │ bb │ ccc │ d │ e       sides   f j f j f │ j j │ f f f │ j │ j

Formats of which there are fewer than four groups stay together, so that pairs of one format can
still be drawn. Where there are too few groups, both halves are the whole, and `why_same` says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.run.audit_error import num_alike
from avssl.sample.clock import key_frame_period
from avssl.transform.pair_rows import number_of

LEAST_GROUPS = 8
"""Of fewer, half are so few that hardly any figure could count."""
LEAST_ALIKE = 3.5
"""Groups of one size that the judged half must be worth (`audit_error.num_alike`)."""
_LEAST_TO_SPLIT = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Halves:
    """Two parts of a catalogue, or twice the whole."""

    fitted: Catalog
    """Clips that probes are fitted to."""
    judged: Catalog
    """Clips that they are judged on."""
    num_fitted: int
    """Groups of `fitted` that the task draws from."""
    num_judged: int
    """Groups of `judged` that it draws from."""
    why_same: str = ""
    """Why both are the whole; empty where they have no group in common."""


def halves_of(task: Any, others: Sequence[Any], catalog: Catalog) -> Halves:
    """Deals the groups of a catalogue, in the same way every time.

    Args:
        task: as it is set.
        others: the same with other values, which are asked about the same halves.
        catalog: the rows that samples are drawn from.

    Raises:
        InputError: no row can be used.
    """
    groups = np.asarray(catalog.column("group_id"), dtype=object).astype(str)
    used = groups[task.items(catalog)]
    count = len(np.unique(used))
    if count < LEAST_GROUPS:
        why = f"of {count} groups, where {LEAST_GROUPS} are needed to judge on others"
        return whole(task, catalog, why=why)
    side = _dealt(catalog, groups, set(used.tolist()))
    parts = [catalog.take(np.flatnonzero(side == k)) for k in (0, 1)]
    try:
        sizes = [_sizes(task, part) for part in parts]
        for other in others:
            for part in parts:
                _sizes(other, part)
    except InputError as error:  # such as: half of them are of one size, and have no partner
        return whole(task, catalog, why=f"as half of the {count} groups cannot be asked ({error})")
    judged = int(num_alike(sizes[1]) >= num_alike(sizes[0]))
    if num_alike(sizes[judged]) < LEAST_ALIKE:
        return whole(task, catalog, why=f"as a few of the {count} groups outweigh all others")
    return Halves(
        fitted=parts[1 - judged],
        judged=parts[judged],
        num_fitted=len(sizes[1 - judged]),
        num_judged=len(sizes[judged]),
    )


def whole(task: Any, catalog: Catalog, *, why: str) -> Halves:
    """Gives halves that are both the whole."""
    count = len(_sizes(task, catalog))
    return Halves(fitted=catalog, judged=catalog, num_fitted=count, num_judged=count, why_same=why)


def _sizes(task: Any, catalog: Catalog) -> NDArray[np.int64]:
    """Gives how many items each group has that the task draws from."""
    groups = np.asarray(catalog.column("group_id"), dtype=object).astype(str)
    return np.unique(groups[task.items(catalog)], return_counts=True)[1]


def _dealt(catalog: Catalog, groups: NDArray[Any], used: set[str]) -> NDArray[np.int64]:
    """Gives the side of every row, 0 or 1, int64 [rows]."""
    catalog.rows()  # many at a time are read faster
    first = dict(zip(groups[::-1].tolist(), range(len(groups) - 1, -1, -1), strict=True))
    blocks: dict[tuple[bool, str], list[str]] = {}
    for name in sorted(first, key=number_of):  # no order of the files: cameras may take turns
        blocks.setdefault((name not in used, _format_of(catalog.row(first[name]))), []).append(name)
    side: dict[str, int] = {}
    num = [0, 0]
    for key in sorted(blocks, key=lambda key: (key[0], -len(blocks[key]), key[1])):
        names = blocks[key]
        at = int(num[1] < num[0])
        for place, name in enumerate(names):
            side[name] = at if len(names) < _LEAST_TO_SPLIT else (at + place) % 2
            num[side[name]] += 1
    return np.array([side[name] for name in groups.tolist()], dtype=np.int64)


def _format_of(row: ClipRow) -> str:
    """Gives what pairs may have to have in common: sound first, then the picture."""
    sound = f"{row.sound_suffix} {row.sound_rate_hz}"
    size = f"{row.width_px}x{row.height_px}"
    return f"{row.codec} {sound} {row.video_suffix} {size} {row.step_s:.4f} {key_frame_period(row)}"


def held_out(catalog: Catalog) -> Catalog:
    """Gives the same clips as if they were held out: tasks then plan pairs as for validation."""
    place = catalog.table.schema.get_field_index("split")
    splits = pa.array(["validation"] * len(catalog))
    table = catalog.table.set_column(place, catalog.table.schema.field(place), splits)
    return Catalog(table, directory=catalog.directory)
