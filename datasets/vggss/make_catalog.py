"""VGG-SS → an avssl data set that says where in the middle frame the sound comes from.

python datasets/vggss/make_catalog.py VIDEOS vggss.json vggss_prepared
python datasets/vggss/make_catalog.py VIDEOS vggss.json vggss_prepared --train-list vggss_10k.txt

VIDEOS holds 10-s clips named <id>_<start>.mp4 (VGGSound's). Clips of the truth go into the split
test; those of the list into train, except every twentieth group (validation).
"""

import argparse
import sys
from pathlib import Path

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", help="folder of clips")
    parser.add_argument("truth", help="vggss.json")
    parser.add_argument("destination", help="a new folder")
    parser.add_argument("--train-list", metavar="FILE", help="names of the clips to train on")
    parser.add_argument(
        "--drop-leaked", action="store_true", help="leave clips of the test set out of the list"
    )
    parser.add_argument("--short-side", type=int, default=256)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    try:
        from avssl.labels.vggss import MIDDLE_S, read_ids, read_vggss, refuse_leak
        from avssl.prepare import PrepareSettings
        from avssl.prepare.listed import prepare_listed

        truth = read_vggss(arguments.truth)
        print(f"{arguments.truth}: {truth}", file=sys.stderr)
        training: list[str] = []
        if arguments.train_list:
            training = read_ids(arguments.train_list)
            if arguments.drop_leaked:
                training = [name for name in training if name not in truth.items]
            refuse_leak(
                training,
                truth.items,
                training_name=arguments.train_list,
                test_name=arguments.truth,
            )
        labels = {
            name: {
                "sounding": {
                    "time_s": MIDDLE_S,
                    "class": item.label,
                    "boxes": [list(box) for box in item.boxes],
                }
            }
            for name, item in truth.items.items()
            if item.boxes
        }
        prepare_listed(
            Path(arguments.source),
            Path(arguments.destination),
            test=labels,
            training=training,
            settings=PrepareSettings(short_side_px=arguments.short_side),
            quiet=arguments.quiet,
        )
    except AvsslError as error:
        print(f"make_catalog: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
