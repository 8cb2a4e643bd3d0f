"""COCO keypoints, or any file of that layout → an avssl data set.

python datasets/coco/make_catalog.py person_keypoints_{train,val}2017.json coco \\
    --images train2017 val2017
python datasets/coco/make_catalog.py world/truth/coco_*.json prepared --images world
"""

import argparse
import sys

from avssl.errors import AvsslError, InputError


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", nargs="+", help="one or more JSON files; their names tell splits")
    parser.add_argument("destination", help="a new folder")
    parser.add_argument(
        "--images",
        required=True,
        nargs="+",
        metavar="FOLDER",
        help="folder that the file names start from: one for all, or one for each JSON file",
    )
    parser.add_argument("--max-side", type=int, default=0, help="longest side in pixels (as it is)")
    parser.add_argument("--seed", type=int, default=0, help="of what has no official split")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    try:
        from avssl.labels.coco import read_coco_keypoints
        from avssl.labels.reading import joined
        from avssl.prepare.images import write_labelled

        folders = arguments.images
        if len(folders) == 1:
            folders = folders * len(arguments.source)
        if len(folders) != len(arguments.source):
            raise InputError(
                f"--images {' '.join(folders)}: one for all, or one for each of the "
                f"{len(arguments.source)} JSON files"
            )
        labelled = joined(
            [
                read_coco_keypoints(path, images_root=folder)
                for path, folder in zip(arguments.source, folders, strict=True)
            ]
        )
        write_labelled(
            labelled,
            arguments.destination,
            max_side_px=arguments.max_side,
            seed=arguments.seed,
            quiet=arguments.quiet,
        )
    except AvsslError as error:
        print(f"make_catalog: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
