"""`avssl report RUN… -o report.html`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def report(arguments: Sequence[str]) -> int:
    """Runs `avssl report` and gives its exit code.

    Raises:
        InputError: a folder holds no run.
    """
    parser = argparse.ArgumentParser(
        prog="avssl report",
        description="Writes one HTML file about one or more runs: figures beside trivial ones, "
        "curves, what the network is shown and answers, every evaluation in the runs' folders with "
        "its pictures and videos, the data, what was quarantined and why.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument(
        "-o",
        "--out",
        metavar="FILE",
        help="file to write (default: report.html in the first run's folder)",
    )
    parser.add_argument(
        "--no-media", action="store_true", help="leave every frame of the data out of the file"
    )
    parser.add_argument(
        "--add", nargs="+", default=[], metavar="FILE",
        help="show these too: results of evaluators (.json), pictures, videos",
    )  # fmt: skip
    options = parser.parse_args(list(arguments))

    from avssl.run.report import write_report
    from avssl.run.results import problems_in

    out_path = Path(options.out) if options.out else Path(options.runs[0]) / "report.html"
    written = write_report(options.runs, out_path, media=not options.no_media, more=options.add)
    for line in (line for run in options.runs for line in problems_in(run)):
        print(f"left out: {line}", file=sys.stderr)
    print(written)
    return 0
