"""The tables of the pose study: make the rows, fine-tune in many cells, one JSON each, then tables.

    python tools/make_world.py world --train 240 --validation 24 --test 40 --seed 3
    python tools/run_tables.py world OUT
    python tools/run_tables.py world OUT --seeds 1 --steps 20 --pretext-steps 20 --lr 1e-3

Every row has the same network, learning rates and steps; the rate is chosen on validation by the
mean over the first seeds. Stop it at any moment: the same command goes on. OUT/table.md holds the
tables, OUT/results and OUT/floors the runs. The world above is the study's: its people, textures
and scenes were fixed before the first result.
"""

import argparse
import json
import sys
from pathlib import Path

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and runs what is missing."""
    from avssl.run.pose_study import ROWS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("world", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, metavar="ROW")
    parser.add_argument("--init", nargs="+", default=[], metavar="NAME=REF", help="more rows")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--search-seeds",
        type=int,
        default=2,
        help="seeds that try every learning rate; the others have the best one alone (2; 0: all)",
    )
    parser.add_argument("--labels", nargs="+", type=int, default=[50])
    parser.add_argument("--lr", nargs="+", type=float, default=[1e-3, 2e-3, 4e-3, 8e-3])
    parser.add_argument("--steps", type=int, default=800, help="of fine-tuning (800)")
    parser.add_argument("--pretext-steps", type=int, default=1000)
    parser.add_argument("--vision", default="small-bn", help="network of all rows (small-bn)")
    parser.add_argument("--layers", nargs="+", default=["res4"])
    parser.add_argument("--tunes", nargs="+", default=["full", "frozen"])
    parser.add_argument(
        "--workers", type=int, default=1, help="runs beside each other, a core each"
    )
    parser.add_argument("--rows-only", action="store_true", help="make the encoders, then stop")
    options = parser.parse_args()
    try:
        from avssl.files import write_text
        from avssl.run import pose_study as study
        from avssl.run.pose_grid import Setting, search
        from avssl.run.pose_tables import as_markdown, paired_as_markdown, summarise

        seeds, out = range(options.seeds), options.out
        clips, pictures = study.prepare_data(options.world, out)
        rows = study.make_rows(
            options.rows,
            study.Pretext(
                clips=str(clips.absolute()), vision=options.vision, steps=options.pretext_steps
            ),
            out / "pretext",
            seeds=seeds,
            num_processes=options.workers,
        )
        rows |= {
            name: refs.split(",") for name, _, refs in (i.partition("=") for i in options.init)
        }
        if options.rows_only:
            return 0
        setting = Setting(
            data=str(pictures.absolute()),
            steps=options.steps,
            changes={"vision": options.vision},
        )
        search(
            rows,
            setting,
            out,
            labels=options.labels,
            seeds=seeds,
            rates=options.lr,
            num_search_seeds=options.search_seeds,
            tunes=options.tunes,
            layers=options.layers,
            num_processes=options.workers,
        )
        found = sorted((out / "results").glob("*.json"))  # of earlier calls too
        results = [json.loads(path.read_text()) for path in found]
        floors = study.run_floors(pictures, out, labels=options.labels, seeds=seeds)
        lines = summarise(results, search_seeds=seeds[: options.search_seeds or None])
        parts = (as_markdown(lines), paired_as_markdown(lines), study.floors_as_markdown(floors))
        table = "\n".join(parts)
        write_text(out / "table.md", table)
        print(table)
    except AvsslError as error:
        print(f"run_tables: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("run_tables: stopped; the same command goes on from here", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
