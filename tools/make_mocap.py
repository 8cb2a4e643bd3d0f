"""Makes videos of motion-captured people with known joints (needs pip install 'avssl[mocap]').

python tools/make_mocap.py mocap --train 60 --validation 20 --test 20 --short-side 128
"""

import argparse
import sys

from avssl.errors import AvsslError


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("directory", help="an empty or new folder, or one begun earlier")
    parser.add_argument("--train", type=int, default=60, help="number of clips (60)")
    parser.add_argument("--validation", type=int, default=20, help="number of clips (20)")
    parser.add_argument("--test", type=int, default=20, help="number of clips (20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short-side", type=int, default=128, help="height in pixels (128)")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--duration", type=float, default=7.0, help="mean length in seconds (7)")
    parser.add_argument("--workers", type=int, default=None, help="processes (one a core)")
    parser.add_argument("--sheet", metavar="PNG", help="also draw a contact sheet with the joints")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    try:
        from avssl.world.mocap import make_mocap
        from avssl.world.mocap_sheet import mocap_sheet

        make_mocap(
            arguments.directory,
            num_train=arguments.train,
            num_validation=arguments.validation,
            num_test=arguments.test,
            seed=arguments.seed,
            short_side_px=arguments.short_side,
            fps=arguments.fps,
            duration_s=arguments.duration,
            workers=arguments.workers,
            quiet=arguments.quiet,
        )
        if arguments.sheet:
            split = next(s for s in ("train", "validation", "test") if vars(arguments)[s])
            mocap_sheet(arguments.directory, arguments.sheet, split=split)
    except AvsslError as error:
        print(f"make_mocap: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("make_mocap: stopped; the same command goes on from here", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
