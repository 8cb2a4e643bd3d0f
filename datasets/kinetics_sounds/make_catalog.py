"""Kinetics-Sounds (or other classes of Kinetics) → an avssl data set with a class for each clip.

python datasets/kinetics_sounds/make_catalog.py KINETICS ks_prepared --list train.csv val.csv
python datasets/kinetics_sounds/make_catalog.py KINETICS ks_prepared --list train.csv val.csv \\
    --classes 32

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
    parser.add_argument(
        "--classes",
        default="31",
        metavar="31|32|FILE",
        help="AdaMML's 31 (the default), CrissCross's 32, or a file with one class a line",
    )
    parser.add_argument(
        "--by-id",
        action="store_true",
        help="clips may be named <id>.mp4, where the list has one of the video",
    )
    return run_script(parser, _work)


def _work(options: argparse.Namespace) -> Report:
    from avssl.labels.kinetics import CLASSES_31, CLASSES_32, read_classes, read_kinetics
    from avssl.prepare.listed import prepare_clips

    known = {"31": CLASSES_31, "32": CLASSES_32}
    classes = known.get(options.classes) or read_classes(options.classes)
    clips = read_kinetics(options.list, classes=classes)
    return prepare_clips(
        options.source, options.destination, clips, by_id=options.by_id, **how(options)
    )


if __name__ == "__main__":
    sys.exit(main())
