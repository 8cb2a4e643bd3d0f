"""VGGSound → an avssl data set with a class for each clip.

python datasets/vggsound/make_catalog.py CLIPS vggsound_prepared --list vggsound.csv
python datasets/vggsound/make_catalog.py CLIPS vggsound_prepared --list train.csv test.csv

CLIPS holds 10-s clips named <id>_<start, six digits>.mp4, at any depth.
"""

import argparse
import sys

from avssl.prepare.script import how, list_parser, run_script
from avssl.prepare.summary import Report


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = list_parser(__doc__)
    parser.add_argument(
        "--list",
        nargs="+",
        required=True,
        metavar="FILE",
        help="vggsound.csv, or train.csv test.csv",
    )
    parser.add_argument(
        "--by-id",
        action="store_true",
        help="clips may be named <id>.mp4, where the list has one of the video",
    )
    return run_script(parser, _work)


def _work(options: argparse.Namespace) -> Report:
    from avssl.labels.vggsound import read_vggsound
    from avssl.prepare.listed import prepare_clips

    clips = read_vggsound(options.list)
    return prepare_clips(
        options.source, options.destination, clips, by_id=options.by_id, **how(options)
    )


if __name__ == "__main__":
    sys.exit(main())
