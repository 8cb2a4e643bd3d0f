"""MPII Human Pose → an avssl data set.

python datasets/mpii/make_catalog.py mpii_human_pose_v1_u12_1.mat mpii_prepared --images images
python datasets/mpii/make_catalog.py annot/train.json annot/valid.json mpii_prepared
"""

import argparse
import sys

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", nargs="+", help="the .mat file, or one or more JSON files")
    parser.add_argument("destination", help="a new folder")
    parser.add_argument("--images", help="folder of the pictures (images beside the labels)")
    parser.add_argument("--head-boxes", help="gt_valid.mat, if it is not beside valid.json")
    parser.add_argument(
        "--validation",
        type=float,
        default=0.1,
        help="fraction of the training set to hold out, by whole videos, where the source has no\n"
        "validation; 0: none (0.1)",
    )
    parser.add_argument("--max-side", type=int, default=0, help="longest side in pixels (as it is)")
    parser.add_argument("--seed", type=int, default=0, help="of the splits that are not official")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    try:
        from avssl.labels.mpii import read_mpii
        from avssl.labels.reading import joined
        from avssl.labels.splits import hold_out_validation
        from avssl.prepare.images import write_labelled

        labelled = joined(
            [
                read_mpii(path, images_root=arguments.images, head_boxes=arguments.head_boxes)
                for path in arguments.source
            ]
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
