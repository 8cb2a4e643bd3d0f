"""FLIC → an avssl data set.

python datasets/flic/make_catalog.py FLIC flic_prepared
python datasets/flic/make_catalog.py FLIC-full flic_plus_prepared --subset plus
"""

import argparse
import sys

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", help="folder with examples.mat and images/")
    parser.add_argument("destination", help="a new folder")
    parser.add_argument("--subset", choices=("flic", "full", "plus"), default="flic")
    parser.add_argument("--head", action="store_true", help="add the joint 'head' of DeepPose")
    parser.add_argument(
        "--observer-centric",
        action="store_true",
        help="exchange the arms of people seen from behind, as MODEC's evaluation does",
    )
    parser.add_argument(
        "--validation",
        type=float,
        default=0.1,
        help="fraction of the training set to hold out, by whole films, where the source has no\n"
        "validation; 0: none (0.1)",
    )
    parser.add_argument("--max-side", type=int, default=0, help="longest side in pixels (as it is)")
    parser.add_argument("--seed", type=int, default=0, help="of the splits that are not official")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    try:
        from avssl.labels.flic import read_flic
        from avssl.labels.splits import hold_out_validation
        from avssl.prepare.images import write_labelled

        labelled = read_flic(
            arguments.source,
            subset=arguments.subset,
            head=arguments.head,
            observer_centric=arguments.observer_centric,
        )
        write_labelled(
            hold_out_validation(labelled, arguments.validation, arguments.seed),
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
