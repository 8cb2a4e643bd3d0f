"""What is there of DAVIS: one line a sequence, and what is missing.

python datasets/davis/list_sequences.py DAVIS --list val
"""

import argparse
import sys

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and prints the list."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", help="folder with ImageSets, JPEGImages, Annotations")
    parser.add_argument("--list", default="val", help="train or val (val)")
    arguments = parser.parse_args()
    try:
        from avssl.labels.davis import VOID, read_davis, read_mask

        found = read_davis(arguments.source, split=arguments.list)
        for sequence in found.sequences:
            mask = read_mask(sequence.masks[0])
            objects = len({*mask.ravel().tolist()} - {0, VOID})
            print(f"{sequence.name}: {len(sequence.masks)} frames, {objects} objects")
        for note in found.notes:
            print(note)
    except AvsslError as error:
        print(f"list_sequences: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
