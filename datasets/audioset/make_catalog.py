"""AudioSet → an avssl data set with the classes of each clip, and their place in the tree.

python datasets/audioset/make_catalog.py CLIPS audioset_prepared \\
    --list balanced_train_segments.csv eval_segments.csv \\
    --names class_labels_indices.csv --ontology ontology.json

CLIPS holds 10-s clips (files named <id>_<start>…, see the card), at any depth.
"""

import argparse
import sys

from avssl.prepare.script import how, list_parser, run_script
from avssl.prepare.summary import Report


def main() -> int:
    """Reads the command line and writes the data set."""
    parser = list_parser(__doc__)
    parser.add_argument(
        "--list",
        nargs="+",
        required=True,
        metavar="FILE",
        help="…_train_segments.csv, eval_segments.csv",
    )
    parser.add_argument("--names", metavar="FILE", help="class_labels_indices.csv")
    parser.add_argument("--ontology", metavar="FILE", help="ontology.json: the tree of classes")
    parser.add_argument(
        "--below",
        nargs="+",
        metavar="CLASS",
        help="only classes below these in the tree, such as 'Musical instrument'",
    )
    parser.add_argument(
        "--by-id", action="store_true", help="clips may be named <id>.mp4 (the clip, not the video)"
    )
    return run_script(parser, _work)


def _work(options: argparse.Namespace) -> Report:
    from avssl.errors import InputError
    from avssl.labels import audioset
    from avssl.prepare.listed import prepare_clips

    if options.below and not options.ontology:
        raise InputError("--below needs --ontology ontology.json")
    clips = audioset.read_segments(options.list)
    tree = audioset.read_ontology(options.ontology) if options.ontology else None
    names = {**tree.names} if tree else {}
    names |= audioset.read_class_names(options.names) if options.names else {}
    if tree and options.below:
        clips = audioset.only_below(clips, tree, options.below)
    for note in audioset.unknown_classes(clips, names):
        print(note, file=sys.stderr)
    return prepare_clips(
        options.source,
        options.destination,
        clips,
        labels=lambda clip: audioset.segment_labels(clip, names=names, ontology=tree),
        by_id=options.by_id,
        **how(options),
    )


if __name__ == "__main__":
    sys.exit(main())
