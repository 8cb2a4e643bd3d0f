"""Truth of a synthetic world → an avssl data set of pictures with labels.

python datasets/world_truth/make_catalog.py world normals_prepared --labels normals
python datasets/world_truth/make_catalog.py world boxes_prepared --labels boxes
"""

import argparse
import sys

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("world", help="folder that tools/make_world.py has finished")
    parser.add_argument("destination", help="a new folder")
    parser.add_argument(
        "--labels",
        choices=("normals", "boxes"),
        required=True,
        help="normals: of the frames of --surfaces; boxes: of people and things, two a second",
    )
    parser.add_argument("--max-side", type=int, default=0, help="longest side in pixels (as it is)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    about = {"format": "avssl world", "licence": "Apache-2.0"}
    try:
        if arguments.labels == "normals":
            from avssl.labels.world_surfaces import read_world_surfaces
            from avssl.prepare.surfaces import write_surfaces

            _, pictures = read_world_surfaces(arguments.world)
            write_surfaces(
                pictures,
                arguments.destination,
                max_side_px=arguments.max_side,
                about=about,
                quiet=arguments.quiet,
            )
        else:
            from avssl.labels.world_boxes import read_world_boxes
            from avssl.prepare.boxes import write_boxes

            write_boxes(
                read_world_boxes(arguments.world),
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
