"""PASCAL VOC 2007 (or a later year) → an avssl data set of pictures with boxes.

python datasets/voc07/make_catalog.py VOCdevkit voc07_prepared --trainval
"""

import argparse
import sys

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", help="folder that holds VOC2007, or VOCdevkit with it")
    parser.add_argument("destination", help="a new folder")
    parser.add_argument("--year", default="2007", help="of the folder's name (2007)")
    parser.add_argument(
        "--trainval",
        action="store_true",
        help="train on train and val together, as published figures do; no validation then",
    )
    parser.add_argument("--max-side", type=int, default=0, help="longest side in pixels (as it is)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    try:
        from avssl.labels.voc import read_voc
        from avssl.prepare.boxes import write_boxes

        write_boxes(
            read_voc(arguments.source, year=arguments.year, trainval=arguments.trainval),
            arguments.destination,
            max_side_px=arguments.max_side,
            quiet=arguments.quiet,
        )
    except AvsslError as error:
        print(f"make_catalog: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
