"""What `prepare` says at the end: `prepare.json`, and the same as an object."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `prepare` did."""

    destination: Path
    num_files: int
    """Files taken for videos."""
    num_clips: int
    num_quarantined: int
    num_copies: int
    """Files that are byte for byte another one, and left out."""
    num_skipped: int
    num_groups: int
    splits: dict[str, int]
    """Clips in each split."""
    video_s: float
    """Seconds of prepared video."""
    seconds: float
    """Seconds that this call took."""
    already_done: bool = False
    """Nothing had to be done."""

    def lines(self) -> list[str]:
        """Gives what there is to say about it, for a person."""
        head = "already prepared: " if self.already_done else ""
        splits = ", ".join(f"{name} {number}" for name, number in self.splits.items())
        return [
            f"{head}{self.num_clips} clips, {self.video_s:.0f} s of video from {self.num_files} "
            f"files in {self.seconds:.1f} s; {self.num_groups} groups; {splits}",
            f"{self.num_quarantined} quarantined, {self.num_copies} exact copies, "
            f"{self.num_skipped} files left out → {self.destination}/prepare.json",
        ]


def report_of(values: dict[str, Any], target: Path) -> Report:
    """Gives the report that `prepare.json` holds."""
    counts = values["counts"]
    return Report(
        destination=target,
        num_files=counts["files"],
        num_clips=counts["clips"],
        num_quarantined=counts["quarantined"],
        num_copies=counts["copies"],
        num_skipped=counts["skipped"],
        num_groups=counts["groups"],
        splits=values["splits"],
        video_s=values["video_s"],
        seconds=values["seconds"],
    )


def versions() -> dict[str, str]:
    """Gives the versions of what decides the bytes."""
    from importlib.metadata import version

    import av

    from avssl import __version__

    names = ("av", "opencv-python-headless", "librosa", "numpy", "pyarrow")
    return {
        "avssl": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
        **{name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()},
    }
