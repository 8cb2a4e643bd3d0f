"""The tables of the pose study: pretrain, fine-tune in many cells, one JSON each, then tables.

    python tools/run_tables.py WORLD OUT         # a folder of tools/make_world.py, or make_mocap.py
    python tools/run_tables.py WORLD OUT --seeds 1 --steps 20 --pretext-steps 20 --lr 1e-3

Rows, all with the same network, learning rates and steps: random weights; Shuffle and Learn; the
same with labels that say nothing (the control). Frozen and fine-tuned, every layer asked for.
Stop it at any moment: the same command goes on. OUT/table.md holds the table, OUT/results the
runs.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from avssl.errors import AvsslError, InputError


def prepare_data(world: Path, out: Path) -> tuple[Path, Path]:
    """Makes the clips for the pretext task and the labelled pictures, once."""
    from avssl.labels.coco import read_coco_keypoints
    from avssl.labels.reading import joined
    from avssl.prepare import PrepareSettings, prepare
    from avssl.prepare.images import write_labelled

    files = [world / "truth" / f"coco_{name}.json" for name in ("train", "validation", "test")]
    if not all(path.is_file() for path in files):
        raise InputError(f"{world}: no truth/coco_*.json there; make one with tools/make_world.py")
    clips, pictures = out / "clips", out / "pictures"
    prepare(world, clips, settings=PrepareSettings(gop=1, short_side_px=128))
    if not (pictures / "catalog.parquet").is_file():
        write_labelled(joined([read_coco_keypoints(p, images_root=world) for p in files]), pictures)
    return clips, pictures


def pretrain(clips: Path, out: Path, *, seeds: Sequence[int], steps: int) -> dict[str, list[str]]:
    """Trains the encoders of all rows, one for each seed, and gives row → REFs."""
    from avssl.config import config_from_recipe, replaced
    from avssl.run.train import train

    rows: dict[str, list[str]] = {"random": [], "shuffle-and-learn": [], "random labels": []}
    for seed in seeds:
        for row, changes in (
            ("shuffle-and-learn", {}),
            ("random labels", {"task.random_labels": True}),
        ):
            folder = out / "pretext" / f"{row.replace(' ', '-')}_{seed}"
            config = config_from_recipe(
                "shuffle-and-learn", "small", data=str(clips), out=str(folder)
            )
            train(replaced(config, {"seed": seed, "steps": steps, **changes}))
            rows[row].append(str(folder))
    return rows


def main() -> int:
    """Reads the command line and runs what is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("world", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", nargs="+", type=int, default=[50])
    parser.add_argument("--lr", nargs="+", type=float, default=[5e-4, 1e-3, 2e-3, 4e-3])
    parser.add_argument("--steps", type=int, default=800, help="of fine-tuning (800)")
    parser.add_argument("--pretext-steps", type=int, default=1500)
    parser.add_argument("--layers", nargs="+", default=["res3", "res4", "res5"])
    parser.add_argument("--tunes", nargs="+", default=["full", "frozen"])
    options = parser.parse_args()
    try:
        from avssl.files import write_text
        from avssl.run.pose_grid import Setting, as_markdown, grid, run_grid, summarise

        seeds = range(options.seeds)
        clips, pictures = prepare_data(options.world, options.out)
        rows = pretrain(clips, options.out, seeds=seeds, steps=options.pretext_steps)
        cells = grid(
            rows,
            labels=options.labels,
            seeds=seeds,
            rates=options.lr,
            tunes=options.tunes,
            layers=options.layers,
        )
        setting = Setting(data=str(pictures.absolute()), steps=options.steps)
        table = as_markdown(summarise(run_grid(cells, setting, options.out)))
        write_text(options.out / "table.md", table)
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
