"""The command lines `avssl prepare` and `avssl check`."""

from pathlib import Path
from typing import Any, Literal

from avssl.prepare.settings import PrepareSettings


def parse(kind: Any, arguments: list[str], *, program: str) -> Any:
    """Reads a command line into a dataclass; a mistake is said in one line, with exit code 2."""
    import tyro

    return tyro.cli(kind, args=arguments, prog=program, config=(tyro.conf.OmitArgPrefixes,))


def prepare(arguments: list[str]) -> int:
    """Runs `avssl prepare` and gives its exit code."""
    import dataclasses

    import tyro

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Prepare:
        """Turns a folder of videos into a prepared data set; run again, it goes on where it was."""

        source: tyro.conf.Positional[Path]
        """Folder with videos, at any depth; or one video file."""
        destination: tyro.conf.Positional[Path]
        """Folder of the data set."""
        settings: PrepareSettings = dataclasses.field(default_factory=PrepareSettings)
        jobs: int | None = None
        """Processes; as many as there are cores unless given."""
        engine: Literal["local", "ray"] = "local"
        """"ray" runs the same on a Ray cluster (pip install 'avssl[ray]')."""
        quiet: bool = False
        """No progress bar."""

    asked = parse(Prepare, arguments, program="avssl prepare")
    from avssl.prepare.run import prepare as run

    report = run(
        asked.source,
        asked.destination,
        settings=asked.settings,
        jobs=asked.jobs,
        engine=asked.engine,
        quiet=asked.quiet,
    )
    head = "already prepared: " if report.already_done else ""
    print(
        f"{head}{report.num_clips} clips, {report.video_s:.0f} s of video from {report.num_files} "
        f"files in {report.seconds:.1f} s; {report.num_groups} groups; "
        + ", ".join(f"{name} {number}" for name, number in report.splits.items())
    )
    print(
        f"{report.num_quarantined} quarantined, {report.num_copies} exact copies, "
        f"{report.num_skipped} files left out → {report.destination}/prepare.json"
    )
    return 0
