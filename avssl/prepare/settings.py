"""What `avssl prepare` can be told: one frozen dataclass, every field with its unit."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from avssl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """How a folder of videos becomes a prepared data set."""

    fps: float = 30.0
    """Highest frame rate, frames per second. A faster source keeps every n-th frame."""
    short_side_px: int = 256
    """Short side of the prepared picture, pixels. Smaller pictures are never enlarged."""
    gop: int = 8
    """Frames from one key frame to the next. 1 stores every frame by itself (MJPEG)."""
    crf: int = 20
    """H.264 constant rate factor, 0 (lossless) to 51 (worst)."""
    preset: str = "veryfast"
    """x264's trade of speed for size: ultrafast, superfast, veryfast, faster, fast, medium…"""
    jpeg_q: int = 3
    """Quantiser of MJPEG (with --gop 1), 2 (best) to 31 (worst)."""
    sound_format: Literal["auto", "flac", "wav"] = "auto"
    """How sound is kept, mono, 48 kHz, 16 bits. "flac" takes about half the space, "wav" is read in
    a tenth of the time; "auto" is wav with --gop 1, else flac."""
    in_place: bool = False
    """Only index: nothing is re-encoded, the catalogue points at the sources."""
    max_clip_s: float = 120.0
    """Longest clip, seconds. A longer file is cut at its shots, a longer shot evenly."""
    group_by: str = "none"
    """"none", "folder" (files of one folder share a group) or a regular expression, searched in the
    relative path, whose first bracket (or whole match) names the group: "(mouse[0-9]+)"."""
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Fractions for train, validation and test, dealt to whole groups by a hash of their name."""
    split_from: Literal["auto", "folders", "fractions"] = "auto"
    """"folders": from first folders named train, validation (val, valid) and test; "auto": from
    such folders where every video lies in one, else by fractions."""
    limit_s: float = 300.0
    """Seconds that a file may take without any progress before its process is killed."""
    window_s: float = 0.25
    """Length of the windows in which motion and loudness are measured, seconds."""
    shard_mb: float = 256.0
    """Size at which a shard is closed, megabytes."""

    def __post_init__(self) -> None:
        rules = [
            (self.fps > 0, f"--fps {self.fps}: must be above 0"),
            (
                self.short_side_px >= 16,
                f"--short-side-px {self.short_side_px}: must be 16 or more",
            ),
            (self.gop >= 1, f"--gop {self.gop}: must be 1 or more"),
            (0 <= self.crf <= 51, f"--crf {self.crf}: must be from 0 to 51"),
            (2 <= self.jpeg_q <= 31, f"--jpeg-q {self.jpeg_q}: must be from 2 to 31"),
            (self.max_clip_s >= 1, f"--max-clip-s {self.max_clip_s}: must be 1 or more"),
            (self.limit_s > 0, f"--limit-s {self.limit_s}: must be above 0"),
            (self.window_s > 0, f"--window-s {self.window_s}: must be above 0"),
            (self.shard_mb > 0, f"--shard-mb {self.shard_mb}: must be above 0"),
            (
                min(self.split) >= 0 and abs(sum(self.split) - 1) < 1e-6,
                f"--split {self.split}: three fractions of 0 or more that sum to 1",
            ),
        ]
        for holds, message in rules:
            if not holds:
                raise InputError(message)
        if self.group_by not in ("none", "folder"):
            import re

            try:
                re.compile(self.group_by)
            except re.error as error:
                raise InputError(
                    f"--group-by {self.group_by!r}: not a regular expression ({error}); "
                    'use "folder", "none" or a pattern'
                ) from error

    @property
    def sound_suffix(self) -> str:
        """ ".flac" or ".wav"."""
        if self.sound_format == "auto":
            return ".wav" if self.gop == 1 else ".flac"
        return f".{self.sound_format}"

    def as_dict(self) -> dict[str, Any]:
        """Gives the settings as JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PrepareSettings":
        """Builds the settings from `as_dict`'s values."""
        return cls(**{**values, "split": tuple(values["split"])})

    def media_fingerprint(self) -> str:
        """Gives a hash of what decides the result of one file: with it, finished work is kept."""
        outside = {*DEALING, "limit_s", "shard_mb"}
        inside = {name: value for name, value in self.as_dict().items() if name not in outside}
        text = json.dumps(inside, sort_keys=True) + f"|{WORK_VERSION}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


DEALING = ("group_by", "split", "split_from")
"""Settings that decide which clips are in which group and split, and nothing else."""
WORK_VERSION = 9
"""Raised when the same settings give other files or other measures."""
