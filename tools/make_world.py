"""Makes a synthetic world: videos with sound and known truth.

python tools/make_world.py world --train 60 --validation 20 --test 20 --short-side 128
"""

import argparse
import sys

from avssl.errors import AvsslError


def main() -> int:
    from avssl.world.leaks import LEAKS

    leaks = "\n".join(f"  {name:<11} {leak.about}" for name, leak in LEAKS.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
        epilog=f"leaks:\n{leaks}",
    )
    parser.add_argument("directory", help="an empty or new folder, or a world begun earlier")
    parser.add_argument("--train", type=int, default=60, help="number of clips (60)")
    parser.add_argument("--validation", type=int, default=20, help="number of clips (20)")
    parser.add_argument("--test", type=int, default=20, help="number of clips (20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short-side", type=int, default=128, help="height in pixels (128)")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--duration", type=float, default=7.0, help="mean length in seconds (7)")
    parser.add_argument(
        "--theme",
        choices=("people", "sounds", "falls"),
        default="people",
        help="sounds: players and things from near, one sounds and all move; falls: balls are "
        "thrown in and come to rest (people)",
    )
    parser.add_argument(
        "--leak",
        metavar="NAME",
        action="append",
        default=[],
        help="plant a leak for `avssl audit`, also several; see below",
    )
    parser.add_argument("--workers", type=int, default=None, help="processes (one a core)")
    parser.add_argument("--sheet", metavar="PNG", help="also draw a contact sheet with the truth")
    parser.add_argument(
        "--layout",
        choices=("flic", "mpii"),
        action="append",
        default=[],
        help="also write DIRECTORY/flic or DIRECTORY/mpii as the official data set is laid out",
    )
    parser.add_argument(
        "--surfaces",
        action="store_true",
        help="also write depth and normals of every tenth frame to DIRECTORY/truth/surfaces",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()
    try:
        from avssl.world import make_world, sheet

        make_world(
            arguments.directory,
            num_train=arguments.train,
            num_validation=arguments.validation,
            num_test=arguments.test,
            seed=arguments.seed,
            short_side_px=arguments.short_side,
            fps=arguments.fps,
            duration_s=arguments.duration,
            theme=arguments.theme,
            leaks=arguments.leak,
            workers=arguments.workers,
            quiet=arguments.quiet,
        )
        if arguments.sheet:
            split = next(s for s in ("train", "validation", "test") if vars(arguments)[s])
            sheet(arguments.directory, arguments.sheet, split=split)
        if arguments.layout:
            from avssl.world.layouts import write_layout

            for layout in dict.fromkeys(arguments.layout):
                write_layout(arguments.directory, layout, quiet=arguments.quiet)
        if arguments.surfaces:
            from avssl.world.surfaces import write_surfaces

            write_surfaces(arguments.directory, quiet=arguments.quiet)
    except AvsslError as error:
        print(f"make_world: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("make_world: stopped; the same command goes on from here", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
