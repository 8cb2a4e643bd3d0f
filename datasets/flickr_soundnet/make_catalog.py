"""Flickr-SoundNet's test set → an avssl data set with three people's boxes around what sounds.

python datasets/flickr_soundnet/make_catalog.py PAIRS Annotations flickr_prepared \\
    --test-list test_list.txt

PAIRS holds pictures and sounds of one name (<id>.jpg, <id>.wav), or videos <id>.mp4,
at any depth.
"""

import argparse
import shutil
import sys

from avssl.prepare.script import add_training_list, how, list_parser, run_script, training_of
from avssl.prepare.summary import Report


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = list_parser(__doc__, annotations="folder of <id>.xml")
    parser.add_argument(
        "--test-list", metavar="FILE", help="the 250 ids to test on (all annotated ones)"
    )
    add_training_list(parser)
    return run_script(parser, _work)


def _work(options: argparse.Namespace) -> Report:
    from avssl.labels.flickr_soundnet import read_flickr_soundnet, sounding_labels
    from avssl.labels.vggss import read_ids
    from avssl.prepare.listed import prepare_listed
    from avssl.prepare.pairs import join_pairs

    ids = read_ids(options.test_list) if options.test_list else None
    truth = read_flickr_soundnet(options.annotations, ids)
    training = training_of(options, truth.annotators, test_name=options.annotations)
    joined = options.destination.with_name(f"{options.destination.name}_joined")
    problems = join_pairs(
        options.source, [*truth.annotators, *training], joined, quiet=options.quiet
    )
    for line in (*truth.problems, *problems):
        print(f"left out: {line}", file=sys.stderr)
    report = prepare_listed(
        joined,
        options.destination,
        test={name: sounding_labels(found) for name, found in truth.annotators.items()},
        training=training,
        **how(options),
    )
    shutil.rmtree(joined)
    return report


if __name__ == "__main__":
    sys.exit(main())
