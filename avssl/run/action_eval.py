"""`avssl eval action RUN --data D`: how many videos are named right, beside the commonest class.

    a video ─ 25 frames × (middle and corners, mirrored) ─ softmax ─ mean ─ the class with the most

Protocol: Simonyan and Zisserman, NIPS 2014. "frame_accuracy" is the share of single views that are
right by themselves: what averaging adds is the difference.
"""

import argparse
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from avssl.catalog import Catalog
from avssl.config import read_config
from avssl.data import make_example
from avssl.downstream import action_metrics as figures
from avssl.downstream.action import Action
from avssl.downstream.action_data import CROPS
from avssl.errors import InputError
from avssl.files import write_json, write_text
from avssl.progress import progress_bar
from avssl.run.confusion import draw_confusion
from avssl.run.folder import HEAD_FILE
from avssl.run.parallel import processes, threads_beside_loaders
from avssl.task import Learner, widths_of

NETWORK, TRIVIAL = "network", "trivial: majority class"
FRAME_VIEWS, CLIP_VIEWS = 25, 10
"""Moments of a video: of frame models as in the papers; of clip models (ours)."""
_AT_ONCE = 64
"""Frames in one pass of the network."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a network says of N videos."""

    scores: NDArray[np.float64]
    """[N, K]: mean softmax of all views."""
    views_right: NDArray[np.float64]
    """[N]: share of the views that are right by themselves."""
    labels: NDArray[np.int64]
    groups: tuple[str, ...]
    num_views: int
    """Of one clip."""
    num_left_out: int
    """Clips without a class that the network knows."""


def load_action(run: str | Path) -> Learner:
    """Gives the trained network of a run's folder, in evaluation mode.

    Raises:
        InputError: no finished run of `avssl train action` there.
    """
    from avssl.model import load_encoder

    config = read_config(run)
    if not isinstance(config.task, Action):
        raise InputError(f"{run}: a run of {config.task.name}; classes come from `train action`")
    path = Path(run) / HEAD_FILE
    if not path.is_file():
        raise InputError(f"{run}: no {HEAD_FILE} yet; finish it with `avssl resume {run}`")
    encoders = {"vision": load_encoder(str(run), "vision")}
    learner = Learner(task=config.task, encoders=encoders, widths=widths_of(encoders))
    learner.head.load_state_dict(load_file(path))
    return learner.eval()


def judge(
    learner: Learner,
    catalog: Catalog,
    *,
    num_views: int,
    crops: str,
    device: torch.device,
    quiet: bool = True,
) -> Judged:
    """Looks at every video of a catalogue that has one of the classes.

    Clips that were cut from one file are one video; each counts by its length.

    Args:
        learner: from `load_action`.
        catalog: rows that are not of the split train.
        num_views: evenly spaced moments of a clip.
        crops: see `Action.crops`.
        device: of the network.
        quiet: no progress bar.

    Raises:
        InputError: no clip has one of the classes.
    """
    from avssl.decode.fetch import Fetcher

    trained: Any = learner.task
    task: Action = dataclasses.replace(trained, num_views=num_views, crops=crops)
    fetcher = Fetcher(catalog.directory)
    open_fetcher = functools.partial(lambda: fetcher)
    at_once = max(1, _AT_ONCE // task.num_frames)
    totals: dict[tuple[str, int], NDArray[np.float64]] = {}
    groups: dict[tuple[str, int], str] = {}
    rows = task.items(catalog)
    seen = 0
    with progress_bar("action", total=len(rows), unit="clip", quiet=quiet) as bar:
        for index in rows:
            row = catalog.row(int(index))
            made = make_example(
                task, catalog, open_fetcher, index=int(index), rng=np.random.default_rng(0)
            )[1]
            frames, label = made.arrays["frames"], int(made.arrays["label"])
            seen = len(frames)
            shares = []
            with torch.no_grad():
                for start in range(0, seen, at_once):
                    part = torch.from_numpy(frames[start : start + at_once]).to(device)
                    views = learner.outputs({"frames": part[:, None]})["views"]
                    shares.append(views[:, 0].float().softmax(dim=1).cpu().double().numpy())
            each = np.concatenate(shares)
            right = float(np.mean(figures.in_top(each, np.full(seen, label), top=1)))
            key = (row.source, label)
            told = row.duration_s * np.array([*each.mean(axis=0), right, 1.0])
            totals[key] = totals.get(key, np.zeros(len(told))) + told
            groups[key] = row.group_id
            bar.advance()
    stacked = np.stack([total / total[-1] for total in totals.values()])
    return Judged(
        scores=stacked[:, :-2],
        views_right=stacked[:, -2],
        labels=np.asarray([label for _, label in totals]),
        groups=tuple(groups.values()),
        num_views=seen,
        num_left_out=len(catalog) - len(rows),
    )


def evaluate_action(
    run: str | Path,
    data: str | Path,
    *,
    split: str = "test",
    num_views: int | None = None,
    crops: str | None = None,
    num_resamples: int = 1000,
    device: torch.device | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Gives all figures of a run on a split, with intervals by drawing whole groups.

    Args:
        run: folder of a run of `avssl train action`.
        data: data set with the same classes.
        split: "validation" or "test".
        num_views: moments of a clip; None: 25, of clip models 10.
        crops: see `Action.crops`; None: "ten", of clip models "one".
        num_resamples: draws of the groups.
        device: of the network.
        quiet: no progress bar.

    Raises:
        InputError: no such run, or no clip of the split has one of its classes.
    """
    if split not in ("validation", "test"):
        raise InputError(f"split {split!r}: must be validation or test; a run knows the others")
    learner = load_action(run)
    task: Any = learner.task
    where = device or torch.device("cpu")
    several = task.num_frames > 1
    found = judge(
        learner.to(where),
        Catalog.read(data).select(split=split),
        num_views=num_views or (CLIP_VIEWS if several else FRAME_VIEWS),
        crops=crops or ("one" if several else "ten"),
        device=where,
        quiet=quiet,
    )
    labels, right = found.labels, figures.in_top(found.scores, found.labels, top=1)
    columns = {"accuracy": right, "frame_accuracy": found.views_right}
    rows = {
        NETWORK: {
            **figures.video_scores(found.scores, labels),
            "frame_accuracy": float(np.mean(found.views_right)),
        },
        TRIVIAL: figures.blind_scores(labels, np.asarray(task.class_counts)),
    }
    if len(task.classes) > figures.TOP:
        columns["top5"] = figures.in_top(found.scores, labels, top=figures.TOP)
    counts = figures.confusion(found.scores, labels)
    intervals = figures.group_intervals(
        columns, labels, found.groups, rng=np.random.default_rng(0), num_resamples=num_resamples
    )
    per_class = {
        name: float(counts[k, k] / counts[k].sum())
        for k, name in enumerate(task.classes)
        if counts[k].sum()
    }
    return {
        "kind": "action",
        "title": f"Action: {len(task.classes)} classes of {Path(data).name}",
        "run": str(run), "data": str(data), "split": split,
        "num_videos": len(labels), "num_groups": len(set(found.groups)),
        "num_views": found.num_views, "num_left_out": found.num_left_out,
        "rows": rows, "intervals": {NETWORK: intervals},
        "metric": "accuracy", "better": "higher",
        "classes": list(task.classes), "per_class": per_class, "confusion": counts.tolist(),
        "note": "A video's score is the mean softmax of its views; frame_accuracy judges each view "
        "by itself. Intervals draw whole groups (videos of one recording).",
    }  # fmt: skip


def table(summary: Mapping[str, Any]) -> str:
    """Gives the figures as a table for a page, and below it the classes that fare worst."""
    names = list(summary["rows"][NETWORK])
    head = f"| {summary['num_videos']} videos | " + " | ".join(names) + " |"
    lines = [head, "|---" * (len(names) + 1) + "|"]
    for row, values in summary["rows"].items():
        cells = []
        for name in names:
            low, high = summary["intervals"].get(row, {}).get(name, (None, None))
            shown = f"{values[name]:.3f}" if name in values else "–"
            cells.append(shown if low is None else f"{shown} ({low:.3f} to {high:.3f})")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    worst = sorted(summary["per_class"].items(), key=lambda item: item[1])[:5]
    told = ", ".join(f"{name} {value:.2f}" for name, value in worst)
    drawn = f"95 % by draws of {summary['num_groups']} groups"
    if summary["num_groups"] == 1:
        drawn = "one group: no interval"
    notes = [
        f"{summary['num_views']} views of a clip; {drawn}",
        f"least right: {told}",
    ]
    if summary["num_left_out"]:
        notes.append(f"{summary['num_left_out']} clips without one of the classes are left out")
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def command(arguments: Sequence[str]) -> int:
    """`avssl eval action`.

    Raises:
        InputError: see `evaluate_action`.
    """
    parser = argparse.ArgumentParser(prog="avssl eval action", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="folder of a run of `avssl train action`")
    parser.add_argument("--data", required=True, metavar="D", help="data set with classes")
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--views", type=int, help="moments of a clip (25; of clip models 10)")
    parser.add_argument(
        "--crops", choices=CROPS, help="places of a frame (ten; of clip models one)"
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("-o", "--out", metavar="FILE.json", help="default: RUN/action_SPLIT.json")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(list(arguments))
    if options.views is not None and options.views < 1:
        raise InputError(f"--views {options.views}: must be 1 or more")
    out = Path(options.out) if options.out else Path(options.run) / f"action_{options.split}.json"
    if out.suffix != ".json":
        raise InputError(f"-o {out}: must end in .json; .md and .png lie beside it")
    with processes(options.device) as here, threads_beside_loaders(here):
        summary = evaluate_action(
            options.run, options.data, split=options.split, num_views=options.views,
            crops=options.crops, device=here.device, quiet=options.quiet,
        )  # fmt: skip
    picture = out.with_suffix(".png")
    share = summary["rows"][NETWORK]["accuracy"]
    draw_confusion(
        np.asarray(summary["confusion"]), summary["classes"], picture,
        title=f"{summary['num_videos']} videos, accuracy {share:.3f}",
    )  # fmt: skip
    alt = f"Confusion of {len(summary['classes'])} classes: the truth in rows, answers in columns"
    write_json(out, {**summary, "pictures": [picture.name], "alts": {picture.name: alt}})
    shown = table(summary)
    write_text(out.with_suffix(".md"), shown)
    print(shown)
    print(f"{out}, {out.with_suffix('.md')}, {picture}")
    return 0
