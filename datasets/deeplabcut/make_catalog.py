"""A DeepLabCut or Lightning Pose project → an avssl data set.

python datasets/deeplabcut/make_catalog.py my_project prepared
python datasets/deeplabcut/make_catalog.py my_project prepared --flip pawL pawR --flip earL earR
"""

import argparse
import sys

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", help="the project's folder, or one CollectedData….csv")
    parser.add_argument("destination", help="a new folder")
    parser.add_argument(
        "--flip",
        nargs=2,
        metavar=("LEFT", "RIGHT"),
        action="append",
        default=[],
        help="two parts that change places in a mirror; none: never mirrored",
    )
    parser.add_argument(
        "--normaliser",
        default="box",
        help="what errors are divided by: box, picture, or two parts as PART-PART (box)",
    )
    parser.add_argument(
        "--fractions",
        type=float,
        nargs=3,
        default=(0.8, 0.1, 0.1),
        metavar=("TRAIN", "VALIDATION", "TEST"),
    )
    parser.add_argument("--max-side", type=int, default=0, help="longest side in pixels (as it is)")
    parser.add_argument("--seed", type=int, default=0, help="of the splits")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    try:
        from avssl.labels.deeplabcut import read_deeplabcut
        from avssl.prepare.images import write_labelled

        labelled = read_deeplabcut(
            arguments.source,
            flip_pairs=[(one, other) for one, other in arguments.flip],
            normaliser=arguments.normaliser,
        )
        write_labelled(
            labelled,
            arguments.destination,
            max_side_px=arguments.max_side,
            fractions=tuple(arguments.fractions),
            seed=arguments.seed,
            quiet=arguments.quiet,
        )
    except AvsslError as error:
        print(f"make_catalog: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
