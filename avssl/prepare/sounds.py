"""The sound of each clip of a file: cut to the sample, measured, and written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.decode.reader import Reader
from avssl.prepare import hearing
from avssl.prepare.rate import MAX_GAP_S
from avssl.prepare.sound_cutter import cut_sound
from avssl.prepare.sound_writer import RATE_HZ, open_sound
from avssl.prepare.timing import Report, sha256_of
from avssl.records import Sound


@dataclass(frozen=True, kw_only=True)
class Heard:
    """The sound of one stretch."""

    cells: dict[str, Any]
    """The `sound_…` cells of the catalogue's row, `loudness_db` and `onsets_s`."""
    start_s: float
    """First sample on the source's clock."""
    num_samples: int
    """At `RATE_HZ`."""
    prints: list[int]
    """Fingerprints, `hearing.FINGERPRINT_HZ` a second."""


def hear(
    reader: Reader,
    bounds_s: Sequence[tuple[float, float]],
    *,
    folder: Path | None,
    suffix: str,
    window_s: float,
    report: Report,
) -> list[Heard]:
    """Measures the sound of each stretch and writes it as `folder`/NNNN.flac (or .wav).

    Args:
        reader: the open file.
        bounds_s: (start, end) of each stretch on the source's clock, ascending. One stretch at a
            time is held in memory.
        folder: where the files go; None writes none.
        suffix: ".flac" or ".wav".
        window_s: length of the windows of loudness.
        report: sign of life.
    """
    absent = Heard(cells={"sound_state": "absent"}, start_s=0.0, num_samples=0, prints=[])
    if not reader.info.has_sound:
        return [absent for _ in bounds_s]

    def blocks() -> Iterator[Sound]:
        for block in reader.iter_sound(rate_hz=RATE_HZ, block_s=1.0):
            report(0.0)
            yield block

    found: list[Heard] = []
    for number, (begin_s, samples) in enumerate(cut_sound(blocks(), bounds_s, rate_hz=RATE_HZ)):
        if len(samples) == 0:
            found.append(absent)
            continue
        zero_s, end_s = bounds_s[number]
        start_s = begin_s - zero_s
        cells: dict[str, Any] = {"sound_start_s": start_s}
        if folder is not None:
            path = folder / f"{number:04d}{suffix}"
            writer = open_sound(path)
            try:
                for at in range(0, len(samples), RATE_HZ):
                    writer.write(samples[at : at + RATE_HZ])
            finally:
                cells |= writer.close()
            cells["sound_sha256"] = sha256_of(str(path))
        loudness = hearing.loudness_db(
            samples,
            rate_hz=RATE_HZ,
            start_s=start_s,
            duration_s=end_s - zero_s,
            window_s=window_s,
        )
        report(0.0)
        cells["loudness_db"] = loudness.tolist()
        cells["sound_state"] = hearing.state_of(loudness)
        hearing.warm_up(report)
        cells["onsets_s"] = hearing.onsets_s(samples, rate_hz=RATE_HZ, start_s=start_s).tolist()
        report(0.0)
        prints = hearing.fingerprint(samples, rate_hz=RATE_HZ).tolist()
        found.append(Heard(cells=cells, start_s=begin_s, num_samples=len(samples), prints=prints))
    return found


def laid_out(heard: Sequence[Heard], *, zero_s: float) -> list[int]:
    """Puts the fingerprints of stretches at their places in the file; 0 where there is none."""
    values: list[int] = []
    for part in heard:
        if not part.prints:
            continue
        end_s = len(values) / hearing.FINGERPRINT_HZ
        start_s = min(part.start_s - zero_s, end_s + MAX_GAP_S)
        first = max(0, round(start_s * hearing.FINGERPRINT_HZ))
        values.extend([0] * (first - len(values)))
        values[first:] = part.prints
    return values
