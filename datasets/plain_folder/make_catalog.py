"""Any folder of videos, whose first level of folders names the classes → an avssl data set.

python datasets/plain_folder/make_catalog.py VIDEOS prepared
python datasets/plain_folder/make_catalog.py VIDEOS prepared --group-by "(mouse[0-9]+)" \\
    --split 0.7 0.1 0.2
"""

import argparse
import dataclasses
import sys

from avssl.prepare.script import how, list_parser, run_script
from avssl.prepare.summary import Report


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = list_parser(__doc__)
    parser.add_argument(
        "--group-by",
        default="none",
        metavar="PATTERN",
        help="files that belong together: as for `avssl prepare`",
    )
    parser.add_argument(
        "--split",
        nargs=3,
        type=float,
        default=(0.8, 0.1, 0.1),
        metavar="SHARE",
        help="train, validation, test (0.8 0.1 0.1)",
    )
    return run_script(parser, _work)


def _work(options: argparse.Namespace) -> Report:
    from avssl.prepare.folder import prepare_folder

    given = how(options)
    given["settings"] = dataclasses.replace(
        given["settings"], group_by=options.group_by, split=tuple(options.split)
    )
    return prepare_folder(options.source, options.destination, **given)


if __name__ == "__main__":
    sys.exit(main())
