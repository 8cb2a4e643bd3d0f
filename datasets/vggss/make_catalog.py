"""VGG-SS → an avssl data set that says where in the middle frame the sound comes from.

python datasets/vggss/make_catalog.py VIDEOS vggss.json vggss_prepared
python datasets/vggss/make_catalog.py VIDEOS vggss.json vggss_prepared --train-list vggss_10k.txt

VIDEOS holds 10-s clips named <id>_<start>.mp4 (VGGSound's). Clips of the truth go into the split
test; those of the list into train, except every twentieth group (validation).
"""

import argparse
import sys

from avssl.prepare.script import add_training_list, how, list_parser, run_script, training_of
from avssl.prepare.summary import Report


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = list_parser(__doc__, truth="vggss.json")
    add_training_list(parser)
    return run_script(parser, _work)


def _work(options: argparse.Namespace) -> Report:
    from avssl.labels.vggss import MIDDLE_S, read_vggss
    from avssl.prepare.listed import prepare_listed

    truth = read_vggss(options.truth)
    print(f"{options.truth}: {truth}", file=sys.stderr)
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
    return prepare_listed(
        options.source,
        options.destination,
        test=labels,
        training=training_of(options, truth.items, test_name=options.truth),
        **how(options),
    )


if __name__ == "__main__":
    sys.exit(main())
