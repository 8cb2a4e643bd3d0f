"""The command lines `avssl prepare` and `avssl check`."""

from pathlib import Path
from typing import Annotated, Any, Literal

from avssl.prepare.settings import PrepareSettings


def check(arguments: list[str]) -> int:
    """Runs `avssl check`: 0 where it could be done, 1 where a prepared set is damaged."""
    import dataclasses
    import json

    import tyro

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Check:
        """Reports the health of a folder of videos or of a prepared set; changes nothing."""

        path: tyro.conf.Positional[Path]
        """Folder, video file, or prepared set."""
        json: bool = False
        """Print JSON instead of a table."""
        jobs: int | None = None
        """Processes; as many as there are cores unless given."""
        limit_s: float = 300.0
        """Seconds that a file may take without any progress."""
        quiet: bool = False
        """No progress bar."""

    asked = parse(Check, arguments, program="avssl check")
    from avssl.prepare.health import check as run

    health = run(asked.path, jobs=asked.jobs, limit_s=asked.limit_s, quiet=asked.quiet)
    if asked.json:
        print(json.dumps(health.as_dict(), indent=2, ensure_ascii=False))
    else:
        from avssl.prepare.health_table import print_table

        print_table(health)
    return 1 if health.kind == "prepared" and health.num_bad else 0


def parse(kind: Any, arguments: list[str], *, program: str) -> Any:
    """Reads a command line into a dataclass; a mistake is said in one line, with exit code 2."""
    import tyro

    words = [_SHORT_FORMS.get(word, word) for word in arguments]
    return tyro.cli(kind, args=words, prog=program, config=(tyro.conf.OmitArgPrefixes,))


_SHORT_FORMS = {"--short-side": "--short-side-px", "--quality": "--crf"}


def prepare(arguments: list[str]) -> int:
    """Runs `avssl prepare` and gives its exit code."""
    import dataclasses

    import tyro

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Prepare:
        """Turns a folder of videos into a prepared data set; run again, it goes on where it was."""

        source: Annotated[Path, tyro.conf.arg(metavar="SRC"), tyro.conf.Positional]
        """Folder with videos, at any depth; or one video file."""
        destination: Annotated[Path, tyro.conf.arg(metavar="DST"), tyro.conf.Positional]
        """Folder of the data set."""
        settings: PrepareSettings = dataclasses.field(default_factory=PrepareSettings)
        jobs: int | None = None
        """Processes; as many as there are cores unless given."""
        engine: Literal["local", "ray"] = "local"
        """"ray" runs the same on a Ray cluster (pip install 'avssl[ray]')."""
        redeal: bool = False
        """Deal groups and splits of a finished set anew (--group-by, --split, --split-from)."""
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
        redeal=asked.redeal,
        quiet=asked.quiet,
    )
    print("\n".join(report.lines()))
    return 0 if report.num_clips else 1
