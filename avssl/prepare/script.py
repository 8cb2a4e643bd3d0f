"""What the scripts of `datasets/` share: their arguments, one line for an error, one at the end."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from avssl.errors import AvsslError
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.summary import Report


def list_parser(doc: str | None, **places: str) -> argparse.ArgumentParser:
    """Gives a parser of `source`, the places given, `destination`, and how to prepare.

    Args:
        doc: the script's docstring.
        places: name → help of the arguments between source and destination.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of clips, at any depth")
    for name, text in places.items():
        parser.add_argument(name, help=text)
    parser.add_argument("destination", type=Path, help="a new folder")
    parser.add_argument("--short-side", type=int, default=256, help="of the pictures, pixels (256)")
    parser.add_argument("--jobs", type=int, help="processes (as many as there are cores)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no words")
    return parser


def add_training_list(parser: argparse.ArgumentParser) -> None:
    """Adds `--train-list` and `--drop-leaked`, for sets whose truth is a test set alone."""
    parser.add_argument("--train-list", metavar="FILE", help="names of the clips to train on")
    parser.add_argument(
        "--drop-leaked", action="store_true", help="leave clips of the test set out of the list"
    )


def training_of(
    options: argparse.Namespace, test: Mapping[str, Any], *, test_name: str
) -> list[str]:
    """Gives the names that `--train-list` holds, none without it.

    Raises:
        InputError: some of them are in the test set, and `--drop-leaked` was not said.
    """
    from avssl.labels.vggss import read_ids, refuse_leak

    if not options.train_list:
        return []
    names = read_ids(options.train_list)
    if options.drop_leaked:
        names = [name for name in names if name not in test]
    refuse_leak(names, test, training_name=options.train_list, test_name=test_name)
    return names


def how(options: argparse.Namespace) -> dict[str, Any]:
    """Gives what `list_parser`'s options say to `prepare_listed` and `prepare_clips`."""
    return {
        "settings": PrepareSettings(short_side_px=options.short_side),
        "jobs": options.jobs,
        "quiet": options.quiet,
    }


def run_script(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace], Report],
    arguments: Sequence[str] | None = None,
) -> int:
    """Reads the command line and does the work; gives the exit code (1: no clip was left)."""
    options = parser.parse_args(arguments)
    try:
        report = work(options)
    except AvsslError as error:
        print(f"make_catalog: {error}", file=sys.stderr)
        return error.exit_code
    if not options.quiet:
        print(report.lines()[0])
        print(
            f"{report.num_quarantined} quarantined, {report.num_copies} exact copies → "
            f"{report.destination}/prepare.json"
        )
    return 0 if report.num_clips else 1
