"""COCO's boxes, or any file of that layout → an avssl data set of pictures with boxes.

python datasets/coco_boxes/make_catalog.py instances_{train,val}2017.json prepared --images coco
"""

import argparse
import sys

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", nargs="+", help="one or more JSON files; their names tell splits")
    parser.add_argument("destination", help="a new folder")
    parser.add_argument(
        "--images", required=True, metavar="FOLDER", help="with the pictures, or with train2017/ …"
    )
    parser.add_argument("--max-side", type=int, default=0, help="longest side in pixels (as it is)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    try:
        from avssl.labels.coco_boxes import read_coco_boxes
        from avssl.prepare.boxes import write_boxes

        write_boxes(
            read_coco_boxes(arguments.source, images_root=arguments.images),
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
