"""UCF101 → an avssl data set with a class for each video, in one of the three official divisions.

python datasets/ucf101/make_catalog.py UCF-101 ucf1_prepared --lists ucfTrainTestlist
python datasets/ucf101/make_catalog.py UCF-101 ucf2_prepared --lists ucfTrainTestlist --division 2
"""

import argparse
import sys

from avssl.prepare.script import how, list_parser, run_script
from avssl.prepare.summary import Report


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = list_parser(__doc__)
    parser.add_argument(
        "--lists", required=True, metavar="FOLDER", help="the unpacked ucfTrainTestlist"
    )
    parser.add_argument("--division", type=int, default=1, help="1 (the default), 2 or 3")
    parser.add_argument(
        "--no-validation", action="store_true", help="train on all of the training list"
    )
    return run_script(parser, _work)


def _work(options: argparse.Namespace) -> Report:
    from avssl.labels.ucf_hmdb import UCF_GROUPS, read_ucf101
    from avssl.prepare.listed import prepare_clips

    clips = read_ucf101(options.lists, division=options.division)
    return prepare_clips(
        options.source,
        options.destination,
        clips,
        hold_out=not options.no_validation,
        group_by=UCF_GROUPS,
        **how(options),
    )


if __name__ == "__main__":
    sys.exit(main())
