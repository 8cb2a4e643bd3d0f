"""The tables of the study of pictures and sound: train the rows, judge them, one JSON a run.

    python tools/make_world.py world --train 1500 --validation 100 --test 160 --seed 5 \\
        --duration 2.6 --theme sounds
    avssl prepare world prepared --gop 1 --short-side-px 128
    python tools/run_hearing_tables.py prepared OUT --steps 1000 --seeds 3 --workers 2

Every row has the same networks, rate and number of steps. Stop it at any moment: the same command
goes on. OUT/table.md holds the tables, OUT/results the figures of every run. The world above is
the study's: its things, voices and scenes were fixed before the first result.
"""

import argparse
import sys
from pathlib import Path

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and runs what is missing."""
    from avssl.run.hearing_study import ROWS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a prepared data set")
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, metavar="ROW")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--samples", type=int, default=2048, help="pairs to judge on (2048)")
    parser.add_argument("--workers", type=int, default=1, help="runs beside each other")
    options = parser.parse_args()
    try:
        from avssl.files import write_text
        from avssl.run.hearing_study import Training, run_study, tables

        training = Training(
            data=str(options.data.absolute()),
            steps=options.steps,
            lr=options.lr,
            split=options.split,
            num_samples=options.samples,
        )
        results = run_study(
            options.rows,
            training,
            options.out,
            seeds=range(options.seeds),
            num_processes=options.workers,
        )
        shown = tables(results)
        write_text(options.out / "table.md", shown)
        print(shown)
    except AvsslError as error:
        print(f"run_hearing_tables: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("run_hearing_tables: stopped; the same command goes on from here", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
