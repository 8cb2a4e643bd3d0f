"""Records play of games with sound in step (needs pip install 'avssl[games]').

python tools/record_games.py games --train 60 --validation 20 --test 20
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
    parser.add_argument(
        "--engines", nargs="+", default=["doom", "atari"], help="doom, atari or both (both)"
    )
    parser.add_argument("--short-side", type=int, default=240, help="height in pixels (240)")
    parser.add_argument("--duration", type=float, default=8.0, help="length in seconds (8)")
    parser.add_argument("--workers", type=int, default=None, help="processes (one a core)")
    parser.add_argument("--sheet", metavar="PNG", help="also draw a contact sheet with the sound")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    try:
        from avssl.world.games import record_games
        from avssl.world.games_sheet import games_sheet

        record_games(
            arguments.directory,
            num_train=arguments.train,
            num_validation=arguments.validation,
            num_test=arguments.test,
            seed=arguments.seed,
            engines=arguments.engines,
            short_side_px=arguments.short_side,
            duration_s=arguments.duration,
            workers=arguments.workers,
            quiet=arguments.quiet,
        )
        if arguments.sheet:
            split = next(s for s in ("train", "validation", "test") if vars(arguments)[s])
            games_sheet(arguments.directory, arguments.sheet, split=split)
    except AvsslError as error:
        print(f"record_games: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("record_games: stopped; the same command goes on from here", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
