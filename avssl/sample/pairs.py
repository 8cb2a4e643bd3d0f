"""Pictures and stretches of sound that belong together, or do not: where, and whose with whose.

A picture at the time t of a frame belongs to the sound of [t - d/2, t + d/2), d seconds in all:

    frames   |   |   |   t   |   |   |        all spots of a clip are times of its frames
    sound      [─────────┼─────────)          nothing of it outside the track, no cut, not silent

A mismatched pair takes picture and sound from two spots. Three things would tell without looking:
where the sound starts between two frames (papers.md §2.3), that some recordings are heard more
often in one kind of pair, and how late in its file the sound is. All three have one distribution in
both kinds here: sound always starts where its own file's spots do; `Pairing` draws partners so that
every recording is heard as often as it is seen; within a file the spots are turned as a ring.

Worked example, three groups with shares p = (1/2, 1/4, 1/4): a partner drawn by share from the
others would sound (4/12, 4/12, 4/12). With weights c, c_g (S - c_g) = p_g, S the sum of c, the pair
(g, h) has probability c_g c_h and each group's sum is p_g: here only 1 with 2, 1 with 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import ClipRow

_TINY_S = 1e-6


def spots(
    row: ClipRow,
    *,
    duration_s: float,
    edge_s: float = 0.0,
    least_loudness_db: float = -np.inf,
    within_shot: bool = True,
) -> NDArray[np.int64]:
    """Gives the frames around which sound can be cut, int64 [n], rising.

    Args:
        row: the clip.
        duration_s: length of the sound, half of it on either side of the frame's time.
        edge_s: pictures are wanted up to this long before and after the frame's time.
        least_loudness_db: some window of the catalogue's loudness in the stretch is as loud.
        within_shot: no cut inside the sound, nor among the pictures.
    """
    if row.sound_state != "present" or row.sound_rate_hz <= 0 or not row.num_frames:
        return np.zeros(0, dtype=np.int64)
    times_s = row.frame_times_s
    half_s = duration_s / 2
    sound_end_s = row.sound_start_s + row.sound_num_samples / row.sound_rate_hz
    valid = times_s - half_s >= row.sound_start_s - _TINY_S
    valid &= times_s + half_s <= sound_end_s + _TINY_S
    valid &= times_s - edge_s >= times_s[0] - _TINY_S
    valid &= times_s + edge_s <= times_s[-1] + _TINY_S
    if within_shot and row.cuts_s.size:
        reach_s = max(half_s, edge_s)
        cuts_s = np.sort(row.cuts_s)
        first = np.searchsorted(cuts_s, times_s - reach_s + _TINY_S, side="right")
        valid &= first == np.searchsorted(cuts_s, times_s + reach_s - _TINY_S, side="left")
    if np.isfinite(least_loudness_db) and row.loudness_db.size and row.window_s > 0:
        loud = np.concatenate([[0], np.cumsum(row.loudness_db >= least_loudness_db)])
        begin = np.floor((times_s - half_s - row.start_s) / row.window_s + _TINY_S)
        end = np.ceil((times_s + half_s - row.start_s) / row.window_s - _TINY_S)
        low, high = (
            np.clip(edge, 0, row.loudness_db.size).astype(np.int64) for edge in (begin, end)
        )
        valid &= loud[high] > loud[low]
    return np.flatnonzero(valid)


def apart(spot: int, num_spots: int, *, least: int, draw: float) -> int:
    """Gives another spot of the same clip, `least` or more spots away: the ring turned.

    Every spot is as often the second as it is the first: what is drawn is how far the ring of spots
    is turned, evenly from `least` to `num_spots - least`.

    Args:
        spot: number of the first, 0 ≤ spot < num_spots.
        num_spots: at least 2 * least.
        least: at least 1.
        draw: in [0, 1).
    """
    num_turns = num_spots - 2 * least + 1
    return (spot + least + min(int(draw * num_turns), num_turns - 1)) % num_spots


def pair_weights(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives c with c_g (sum(c) - c_g) = shares_g: pairs of different groups with given sums.

    Args:
        shares: float64 [G], G ≥ 2, positive, sum 1, none above 1/2.

    Returns:
        float64 [G]; the pair (g, h), g ≠ h, is to be drawn with probability c_g c_h.
    """
    largest = int(np.argmax(shares))
    least = 2 * float(np.sqrt(shares[largest]))

    def below(total: float) -> NDArray[np.float64]:
        return (total - np.sqrt(np.maximum(total**2 - 4 * shares, 0.0))) / 2

    def missing(total: float, *, large: bool) -> float:
        weights = below(total)
        own = total - weights[largest] if large else weights[largest]
        return float(weights.sum() - weights[largest] + own - total)

    # One group that outweighs the others takes the larger solution of its equation.
    large = missing(least, large=False) < 0
    low, high = least, least
    for _ in range(200):
        high *= 2
        if (missing(high, large=large) < 0) != large:
            break
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if (missing(middle, large=large) < 0) == large else (low, middle)
    total = (low + high) / 2
    weights = below(total)
    if large:
        weights[largest] = total - weights[largest]
    return weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairing:
    """Whose sound goes with a picture that it does not belong to."""

    rows: NDArray[np.int64]
    """Rows of the catalogue, grouped: those of group g are rows[starts[g]:starts[g + 1]]."""
    starts: NDArray[np.int64]
    row_total: NDArray[np.float64]
    """Running sum of the rows' weights, in the order of `rows`."""
    group_total: NDArray[np.float64]
    """Running sum of the groups' weights."""
    group_of: dict[int, int]
    """Row → number of its group."""

    @property
    def num_groups(self) -> int:
        """Groups of which one can be the other's partner."""
        return len(self.starts) - 1

    def partner(self, row: int, draws: Sequence[float]) -> int:
        """Gives a row of another group.

        Args:
            row: one of `rows`; there must be two groups.
            draws: two values in [0, 1): for the group and for the row in it.
        """
        own = self.group_of[row]
        before = self.group_total[own - 1] if own else 0.0
        width = self.group_total[own] - before
        value = draws[0] * (self.group_total[-1] - width)
        if value >= before:
            value += width
        group = int(np.searchsorted(self.group_total, value, side="right"))
        group = min(group, self.num_groups - 1)
        if group == own:  # rounding at the very edge
            group = own - 1 if own else own + 1
        first, end = int(self.starts[group]), int(self.starts[group + 1])
        low = self.row_total[first - 1] if first else 0.0
        value = low + draws[1] * (self.row_total[end - 1] - low)
        place = int(np.searchsorted(self.row_total, value, side="right"))
        return int(self.rows[min(max(place, first), end - 1)])


def capped(counts: NDArray[np.int64], groups: Sequence[str]) -> NDArray[np.int64]:
    """Gives counts in which no group has more than all others together, each row at least 1.

    Where one group outweighs the rest, mismatched pairs would have to hear the rest too often: its
    rows are drawn less often instead. With one group nothing changes. A large group of many rows
    may keep more than half, since no row is left out.

    Args:
        counts: int64 [n], how often each row is drawn.
        groups: of each row.
    """
    names, number = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    sums = np.bincount(number, weights=counts)
    if len(names) < 2:
        return counts
    largest = int(np.argmax(sums))
    rest = sums.sum() - sums[largest]
    if sums[largest] <= rest:
        return counts
    share = rest / sums[largest]
    fewer = np.maximum(1, np.floor(counts * share)).astype(np.int64)
    return np.where(number == largest, fewer, counts)


def make_pairing(
    rows: Sequence[int], counts: Sequence[int], groups: Sequence[str], *, balanced: bool = True
) -> Pairing:
    """Prepares the drawing of partners.

    Args:
        rows: of the catalogue, each once.
        counts: how often each is drawn as a picture.
        groups: of each row.
        balanced: every group is heard as often as it is seen; off: partners are drawn by their
            counts alone. To show the leak only.
    """
    order = np.lexsort((np.asarray(rows), np.asarray(groups, dtype=object).astype(str)))
    sorted_rows = np.asarray(rows, dtype=np.int64)[order]
    weights = np.asarray(counts, dtype=np.float64)[order]
    names = np.asarray(groups, dtype=object).astype(str)[order]
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else np.zeros(0)
    starts = np.append(starts, len(names)).astype(np.int64)
    sums = np.add.reduceat(weights, starts[:-1]) if len(names) else np.zeros(0)
    shares = sums / sums.sum()
    if balanced and len(sums) > 1:
        shares = pair_weights(np.minimum(shares, 0.5) / np.minimum(shares, 0.5).sum())
    group = np.repeat(np.arange(len(sums)), np.diff(starts))
    return Pairing(
        rows=sorted_rows,
        starts=starts,
        row_total=np.cumsum(weights),
        group_total=np.cumsum(shares),
        group_of=dict(zip(sorted_rows.tolist(), group.tolist(), strict=True)),
    )


def make_pairings(
    rows: Sequence[int],
    counts: Sequence[int],
    groups: Sequence[str],
    formats: Sequence[str],
    *,
    balanced: bool = True,
) -> dict[int, Pairing]:
    """Gives row → pairing with rows of its own format.

    Formats of which there is one group only share a pool: nothing else could be their partner.

    Args:
        rows: of the catalogue, each once.
        counts: how often each is drawn as a picture.
        groups: of each row.
        formats: of each row; all alike where formats need not match.
        balanced: see `make_pairing`.
    """
    members: dict[str, set[str]] = {}
    for group, own in zip(groups, formats, strict=True):
        members.setdefault(own, set()).add(group)
    pools = [own if len(members[own]) > 1 else "" for own in formats]
    found: dict[int, Pairing] = {}
    for pool in dict.fromkeys(pools):
        inside = [k for k, own in enumerate(pools) if own == pool]
        pairing = make_pairing(
            [rows[k] for k in inside],
            [int(counts[k]) for k in inside],
            [groups[k] for k in inside],
            balanced=balanced,
        )
        found.update(dict.fromkeys((rows[k] for k in inside), pairing))
    return found
