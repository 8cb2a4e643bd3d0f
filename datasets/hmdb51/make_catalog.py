"""HMDB51 → an avssl data set with a class for each video, in one of the three official divisions.

python datasets/hmdb51/make_catalog.py HMDB51 hmdb1_prepared --lists testTrainMulti_7030_splits
python datasets/hmdb51/make_catalog.py HMDB51 hmdb2_prepared --division 2 \\
    --lists testTrainMulti_7030_splits
"""

import argparse
import sys

from avssl.prepare.script import how, list_parser, run_script
from avssl.prepare.summary import Report


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = list_parser(__doc__)
    parser.add_argument(
        "--lists", required=True, metavar="FOLDER", help="the unpacked testTrainMulti_7030_splits"
    )
    parser.add_argument("--division", type=int, default=1, help="1 (the default), 2 or 3")
    parser.add_argument(
        "--no-validation", action="store_true", help="train on all of the training list"
    )
    return run_script(parser, _work)


def _work(options: argparse.Namespace) -> Report:
    from avssl.labels.ucf_hmdb import HMDB_GROUPS, read_hmdb51
    from avssl.prepare.listed import prepare_clips

    clips = read_hmdb51(options.lists, division=options.division)
    return prepare_clips(
        options.source,
        options.destination,
        clips,
        hold_out=not options.no_validation,
        group_by=HMDB_GROUPS,
        **how(options),
    )


if __name__ == "__main__":
    sys.exit(main())
