"""The tables of the docs: train the rows, judge them, one JSON a run, then tables.

    python tools/make_world.py world --train 240 --validation 24 --test 40 --seed 3
    python tools/run_tables.py pose world OUT                # docs/pose_study.md
    avssl prepare world prepared --gop 1 --short-side-px 128
    python tools/run_tables.py tasks prepared OUT            # docs/tasks.md
    python tools/run_tables.py hearing sounding OUT          # docs/hearing_study.md

Stop it at any moment: the same command goes on. OUT/table.md holds the tables, OUT/results
the runs.
The data of a study were fixed before its first result; `--help` of each says more.
"""

import argparse
import json
import sys
from pathlib import Path

from avssl.errors import AvsslError


def main() -> int:
    """Reads the command line and runs what is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    studies = parser.add_subparsers(required=True, metavar="pose, tasks or hearing")
    for add in (add_pose, add_tasks, add_hearing):
        add(studies)
    options = parser.parse_args()
    try:
        table = options.run(options)
        if table:
            from avssl.files import write_text

            write_text(options.out / "table.md", table)
            print(table)
    except AvsslError as error:
        print(f"run_tables: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("run_tables: stopped; the same command goes on from here", file=sys.stderr)
        return 1
    return 0


def add_pose(studies: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from avssl.run.pose_study import ROWS

    parser = studies.add_parser(
        "pose",
        help="keypoints from few labels: pretext tasks beside fresh weights and regressions",
        description="Every row has the same network, rates and steps; the rate is chosen on "
        "validation by the mean over the first seeds. A short try: --seeds 1 --steps 20 "
        "--pretext-steps 20 --lr 1e-3",
    )
    parser.add_argument("world", type=Path, help="of make_world.py or make_mocap.py")
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, metavar="ROW")
    parser.add_argument("--init", nargs="+", default=[], metavar="NAME=REF", help="more rows")
    parser.add_argument(
        "--recalibrate",
        action="store_true",
        help="each row of --init again, its BatchNorm statistics taken from the unlabelled clips",
    )
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
    parser.add_argument(
        "--best-layer",
        action="store_true",
        help="of --layers each row has its own best one, chosen with the rate",
    )
    parser.add_argument("--tunes", nargs="+", default=["full", "frozen"])
    parser.add_argument("--workers", type=int, default=1, help="runs beside each other")
    parser.add_argument("--rows-only", action="store_true", help="make the encoders, then stop")
    parser.set_defaults(run=pose)


def pose(options: argparse.Namespace) -> str:
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
    more = {name: refs.split(",") for name, _, refs in (i.partition("=") for i in options.init)}
    rows |= more
    if options.recalibrate:
        rows |= study.make_recalibrated(more, clips, out / "pretext", seeds=seeds)
    if options.rows_only:
        return ""
    setting = Setting(
        data=str(pictures.absolute()), steps=options.steps, changes={"vision": options.vision}
    )
    search(
        rows,
        setting,
        out,
        labels=options.labels,
        seeds=seeds,
        rates=options.lr,
        num_search_seeds=options.search_seeds,
        choose_layer=options.best_layer,
        tunes=options.tunes,
        layers=options.layers,
        num_processes=options.workers,
    )
    found = sorted((out / "results").glob("*.json"))  # of earlier calls too
    results = [json.loads(path.read_text()) for path in found]
    floors = study.run_floors(pictures, out, labels=options.labels, seeds=seeds)
    chosen = options.best_layer
    lines = summarise(
        results, search_seeds=seeds[: options.search_seeds or None], choose_layer=chosen
    )
    paired = paired_as_markdown(lines, choose_layer=chosen)
    parts = (as_markdown(lines), paired, study.floors_as_markdown(floors))
    return "\n".join(parts)


def add_tasks(studies: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from avssl.pretext import TASKS

    parser = studies.add_parser(
        "tasks",
        help="every pretext task by its small recipe, on held-out clips",
        description="Trains, judges on clips of the split, draws what the network answers.",
    )
    parser.add_argument("data", type=Path, help="a prepared data set")
    parser.add_argument("out", type=Path)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS, metavar="TASK")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--samples", type=int, default=2048, help="to judge on (2048)")
    parser.add_argument("--steps", type=int, help="instead of the recipes' own")
    parser.add_argument("--workers", type=int, default=1, help="runs beside each other")
    parser.add_argument("--page", type=Path, metavar="docs/tasks.md", help="page to write")
    parser.add_argument(
        "--beside",
        nargs="+",
        default=[],
        metavar="HEADING=OUT",
        help="for the page: tables of other clips, from the OUT of an earlier call",
    )
    parser.set_defaults(run=tasks)


def tasks(options: argparse.Namespace) -> str:
    from avssl.run.tasks_page import table, write_page
    from avssl.run.tasks_study import Setting, results_in, run_tasks

    pairs = (pair.rpartition("=") for pair in options.beside)
    beside = {heading: results_in(Path(folder)) for heading, _, folder in pairs}
    results = run_tasks(
        options.tasks,
        Setting(
            data=str(options.data.absolute()),
            split=options.split,
            num_samples=options.samples,
            changes={"steps": options.steps} if options.steps else None,
        ),
        options.out,
        seeds=range(options.seeds),
        num_processes=options.workers,
    )
    if options.page:
        write_page(options.page, results, pictures=options.out / "pictures", beside=beside)
    return table(results)


def add_hearing(studies: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from avssl.run.hearing_study import ROWS

    parser = studies.add_parser(
        "hearing",
        help="the tasks on picture and sound, and where they hear it come from",
        description="Every row has the same networks, rate and number of steps. The study's data: "
        "make_world.py world --train 4000 --validation 100 --test 200 --seed 6 --duration 2 "
        "--fps 15 --short-side 96 --theme sounds, prepared with --gop 1 --short-side-px 96.",
    )
    parser.add_argument("data", type=Path, help="a prepared data set")
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, metavar="ROW")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--samples", type=int, default=2048, help="pairs to judge on (2048)")
    parser.add_argument("--workers", type=int, default=1, help="runs beside each other")
    parser.set_defaults(run=hearing)


def hearing(options: argparse.Namespace) -> str:
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
    return tables(results)


if __name__ == "__main__":
    sys.exit(main())
