"""One pass over labelled sounds: features of every row of the table, copies, what was left out."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.downstream.sound_features import (
    MAX_HEARD_S,
    Listening,
    cut_sound,
    encode,
    log_mel_statistics,
    read_samples,
)
from avssl.downstream.sounds import Features
from avssl.errors import InputError, MediaError
from avssl.labels.sound_classes import LabelledSounds, recording_of
from avssl.prepare.copies import Prints, near_copies
from avssl.prepare.groups import group_ids, named_groups
from avssl.prepare.hearing import fingerprint
from avssl.progress import progress_bar

FLOOR = "log-mel statistics"
_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One pass over the files."""

    sounds: LabelledSounds
    """Those that could be read."""
    features: Mapping[str, Features]
    """Row of the table → features."""
    digests: tuple[str, ...]
    """Of the decoded samples: equal for exact copies, whatever file they are in."""
    prints: Mapping[str, Prints]
    """Path → sound fingerprint."""
    left_out: tuple[tuple[str, str], ...]
    """(path, reason) of those that could not be read."""


def hear(
    labelled: LabelledSounds,
    encoders: Mapping[str, Any],
    how: Listening,
    *,
    layer: str = "",
    average: str = "features",
    quiet: bool = True,
) -> Heard:
    """Reads every file once and gives the features of all rows; only vectors are kept.

    Args:
        labelled: the files.
        encoders: row → sound encoder, all of one rate.
        how: how sounds are cut.
        layer: see `avssl.downstream.sound_features.encode`.
        average: "features" keeps the mean over a sound's windows, "scores" every window.
        quiet: no progress bar.

    Raises:
        InputError: no file can be read.
    """
    vectors: dict[str, list[NDArray[np.float32]]] = {name: [] for name in (*encoders, FLOOR)}
    kept, digests, prints, left_out = [], [], {}, []
    counts: Counter[str] = Counter()
    total = len(labelled.sounds)
    with progress_bar("sounds", total=total, unit="file", quiet=quiet) as bar:
        for sound in labelled.sounds:
            bar.advance()
            try:
                samples, longer = read_samples(labelled.root / sound.path, rate_hz=how.rate_hz)
                cut = cut_sound(samples, how)
                found = {
                    name: encode(encoder, cut.windows, layer=layer)
                    for name, encoder in encoders.items()
                }
                if not all(np.isfinite(one).all() for one in found.values()):
                    raise MediaError(f"{sound.path}: the network gives no numbers for it")
            except MediaError as error:
                left_out.append((sound.path, str(error)))
                continue
            for name, one in found.items():
                vectors[name].append(
                    one if average == "scores" else one.mean(axis=0, keepdims=True)
                )
            floor = log_mel_statistics(cut.samples, rate_hz=how.rate_hz, audible=cut.audible)
            vectors[FLOOR].append(floor[None])
            kept.append(sound)
            coarse = np.rint(samples * 32767).astype("<i4")
            digests.append(hashlib.sha256(coarse.tobytes()).hexdigest())
            prints[sound.path] = Prints(
                pictures=np.zeros(0, dtype=np.uint64),
                sounds=fingerprint(samples, rate_hz=how.rate_hz),
            )
            counts[f"sounds longer than {MAX_HEARD_S:g} s (their beginning is heard)"] += longer
            counts["sounds shorter than a window (repeated)"] += (
                len(samples) < how.window_s * how.rate_hz
            )
            counts["sounds of digital silence"] += cut.silent
            counts["windows of digital silence (left out)"] += cut.num_silent
    if not kept:
        raise InputError(f"{labelled.root}: none of {total} sounds can be read; {left_out[0][1]}")
    if left_out:
        shown = "; ".join(reason for _, reason in left_out[:_SHOWN])
        more = "; …" if len(left_out) > _SHOWN else ""
        counts[f"sounds that cannot be read (left out): {shown}{more}"] = len(left_out)
    notes = tuple(f"{count} {what}" for what, count in sorted(counts.items()) if count)
    features = {}
    for name, rows in vectors.items():
        owner = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
        features[name] = Features(vectors=np.concatenate(rows), owner=owner)
    return Heard(
        sounds=replace(labelled, sounds=tuple(kept), notes=(*labelled.notes, *notes)),
        features=features, digests=tuple(digests), prints=prints, left_out=tuple(left_out),
    )  # fmt: skip


def named_alike(paths: Sequence[str], group_by: str) -> dict[str, str]:
    """Gives what the names of files say belongs together: {path: name}, without those that do not.

    Args:
        paths: below the folder of labelled sounds.
        group_by: "auto" takes `avssl.labels.sound_classes.recording_of`; "none", "folder" or a
            regular expression as `avssl prepare --group-by`.
    """
    if group_by != "auto":
        return named_groups(paths, group_by=group_by)
    return {path: recording_of(path) for path in paths if recording_of(path)}


def groups_of(heard: Heard, group_by: str) -> list[str]:
    """Gives each sound's group: copies, near-copies and what `named_alike` says share one.

    Exact copies have the same decoded samples. Near-copies have the same fingerprint over 64
    frames, some 3 to 4 s, or more (`avssl.prepare.copies`): shorter ones are not found.
    """
    paths = [sound.path for sound in heard.sounds.sounds]
    first: dict[str, str] = {}
    alike = [
        (first.setdefault(digest, path), path)
        for digest, path in zip(heard.digests, paths, strict=True)
    ]
    alike += near_copies(heard.prints)
    found = group_ids(paths, named=named_alike(paths, group_by), alike=alike)
    return [found[path] for path in paths]


def num_copies_across(heard: Heard, folds: NDArray[np.int64]) -> int:
    """Counts the sounds (copies as one) that lie in several folds; folds: int64 [N]."""
    held: dict[str, set[int]] = {}
    for digest, fold in zip(heard.digests, folds, strict=True):
        held.setdefault(digest, set()).add(int(fold))
    return sum(len(where) > 1 for where in held.values())
