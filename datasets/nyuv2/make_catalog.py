"""NYU Depth v2, labelled part → an avssl data set of pictures with surface normals.

python datasets/nyuv2/make_catalog.py NYUv2 nyuv2_prepared
"""

import argparse
import sys

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", help="folder with nyu_depth_v2_labeled.mat and splits.mat")
    parser.add_argument("destination", help="a new folder")
    parser.add_argument(
        "--validation",
        type=float,
        default=0.1,
        help="fraction of the training set to hold out, by whole scenes; 0: none (0.1)",
    )
    parser.add_argument("--max-side", type=int, default=0, help="longest side in pixels (as it is)")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes held out")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    try:
        from avssl.labels.nyuv2 import read_nyuv2, surfaces
        from avssl.prepare.surfaces import write_surfaces

        found = read_nyuv2(arguments.source, validation=arguments.validation, seed=arguments.seed)
        write_surfaces(
            surfaces(found),
            arguments.destination,
            total=len(found),
            max_side_px=arguments.max_side,
            about={"format": "NYU Depth v2", "licence": "see the site", "notes": found.notes},
            quiet=arguments.quiet,
        )
    except AvsslError as error:
        print(f"make_catalog: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
