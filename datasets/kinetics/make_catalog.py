"""Kinetics-400, -600 or -700 → an avssl data set with a class for each clip.

python datasets/kinetics/make_catalog.py KINETICS k400_prepared --list train.csv val.csv
python datasets/kinetics/make_catalog.py KINETICS k400_prepared --list train.csv val.csv \\
    --classes my_classes.txt

KINETICS holds clips named <id>_<start>_<end>.mp4 (six digits each), at any depth.
"""

import argparse
import sys

from avssl.prepare.script import how, list_parser, run_script
from avssl.prepare.summary import Report


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = list_parser(__doc__)
    parser.add_argument(
        "--list", nargs="+", required=True, metavar="FILE", help="Kinetics' train.csv, val.csv"
    )
    parser.add_argument("--classes", metavar="FILE", help="only these, one a line")
    parser.add_argument(
        "--by-id",
        action="store_true",
        help="clips may be named <id>.mp4, where the list has one of the video",
    )
    return run_script(parser, _work)


def _work(options: argparse.Namespace) -> Report:
    from avssl.labels.kinetics import read_classes, read_kinetics
    from avssl.prepare.listed import prepare_clips

    classes = read_classes(options.classes) if options.classes else None
    clips = read_kinetics(options.list, classes=classes)
    return prepare_clips(
        options.source, options.destination, clips, by_id=options.by_id, **how(options)
    )


if __name__ == "__main__":
    sys.exit(main())
