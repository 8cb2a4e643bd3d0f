"""Which labelled rows are used: all, or a few that are chosen alike in every run."""

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog, ClipRow


def first_rows(
    catalog: Catalog, keep: Callable[[ClipRow], bool], num: int, *, seed: int
) -> NDArray[np.int64]:
    """Gives the rows for which `keep` holds; of a training split `num` of them (0: all).

    Their order is by hash: 25 are the first 25 of 50, whatever the set.
    """
    rows = [index for index, row in enumerate(catalog.rows()) if keep(row)]
    training = bool(rows) and catalog.row(rows[0]).split == "train"
    if training and 0 < num < len(rows):
        keys = {
            k: hashlib.sha256(f"{seed}|{catalog.row(k).clip_id}".encode()).hexdigest() for k in rows
        }
        rows = sorted(sorted(rows, key=keys.__getitem__)[:num])
    return np.asarray(rows, dtype=np.int64)
