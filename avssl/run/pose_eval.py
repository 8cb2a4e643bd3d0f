"""`avssl eval pose RUN --data D`: a trained pose network by the official figures."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.decode.fetch import Fetcher
from avssl.downstream import keypoints_data as data
from avssl.downstream.keypoint_metrics import flic_scores, mpii_scores, normalised_errors
from avssl.downstream.keypoint_metrics import normaliser_px as lengths_px
from avssl.downstream.keypoint_scores import PoseScores, score_pose
from avssl.downstream.pose_model import Pose
from avssl.errors import InputError
from avssl.files import write_json
from avssl.progress import progress_bar
from avssl.run.parallel import Processes, threads_beside_loaders
from avssl.transform.poses import box_around

FLIC_JOINTS = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("elbow", "wrist"))
_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a network said of labelled people, in px of the source pictures."""

    predictions: NDArray[np.float64]
    """[N, K, 2]."""
    truth: NDArray[np.float64]
    """[N, K, 2], NaN where not labelled."""
    head_box: NDArray[np.float64] | None
    box: NDArray[np.float64]
    picture_size: NDArray[np.float64]
    image_ids: list[str]


def answers(
    pose: Pose, catalog: Catalog, rows: Sequence[int], *, flip_test: bool = True, quiet: bool = True
) -> Answers:
    """Runs the network on rows of a catalogue, each person in its standing view.

    Raises:
        InputError: other joints than the network's.
    """
    found = data.read_labels(catalog)
    if found.names != pose.task.joints:
        raise InputError(
            f"{catalog.directory}: joints {', '.join(found.names[:4])}…, the network knows "
            f"{', '.join(pose.task.joints[:4])}…"
        )
    fetcher = Fetcher(catalog.directory)
    predictions, truth, heads, boxes, sizes, ids = [], [], [], [], [], []
    with progress_bar("pose", total=len(rows), unit="person", quiet=quiet) as bar:
        for start in range(0, len(rows), _BATCH):
            frames, views, scales = [], [], []
            for index in rows[start : start + _BATCH]:
                row = catalog.row(int(index))
                cells = data.labels_of(row)
                assert cells is not None
                shown = fetcher.frames(row, (row.start_s,)).frames
                assert shown is not None
                frames.append(shown[0])
                views.append(
                    data.standing_view(row, crop=pose.task.crop, size_px=pose.task.size_px)
                )
                scale = float(cells.get("scale", 1.0))
                scales.append(scale)
                joints = data.joints_of(cells)
                head = cells.get("head_box_px")
                truth.append(_source_px(joints, scale))
                heads.append(None if head is None else _source_px(head, scale))
                boxes.append(_source_px(cells.get("box_px") or box_around(joints), scale))
                sizes.append((row.width_px / scale, row.height_px / scale))
                ids.append(f"{row.store}:{row.video_offset}")
            found_px = pose.predict_views(frames, views, flip_test=flip_test)[..., :2]
            predictions += [
                _source_px(one, scale) for one, scale in zip(found_px, scales, strict=True)
            ]
            bar.advance(len(frames))
    nowhere = np.full(4, np.nan)
    any_head = any(head is not None for head in heads)
    return Answers(
        predictions=np.stack(predictions),
        truth=np.stack(truth),
        head_box=np.stack([nowhere if h is None else h for h in heads]) if any_head else None,
        box=np.stack(boxes),
        picture_size=np.asarray(sizes, dtype=np.float64),
        image_ids=ids,
    )


def _source_px(values: Any, scale: float) -> NDArray[np.float64]:
    """Gives pixels of the source: what is stored may be a smaller picture."""
    return (np.asarray(values, dtype=np.float64) + 0.5) / scale - 0.5


def evaluate_pose(
    pose: Pose,
    directory: str | Path,
    *,
    split: str = "test",
    flip_test: bool = True,
    num_resamples: int = 1000,
    quiet: bool = True,
) -> tuple[PoseScores, dict[str, Any]]:
    """Gives all figures of a split, and the official ones of MPII or FLIC where they apply.

    The intervals come from `num_resamples` draws of the images.

    Raises:
        InputError: the split has no labelled rows, or other joints.
    """
    catalog = Catalog.read(directory).select(split=split)
    rows = [k for k, row in enumerate(catalog.rows()) if data.labels_of(row) is not None]
    if not rows:
        raise InputError(f"{directory}: no labelled rows in the split {split!r}; try --split")
    said = answers(pose, catalog, rows, flip_test=flip_test, quiet=quiet)
    names, normaliser = pose.task.joints, pose.task.normaliser
    places = {"head_box": said.head_box, "box": said.box, "picture_size": said.picture_size}
    scores = score_pose(
        said.predictions,
        said.truth,
        names=names,
        normaliser=normaliser,
        rng=np.random.default_rng(0),
        image_ids=said.image_ids,
        threshold=pose.task.threshold,
        num_resamples=num_resamples,
        **places,
    )
    official: dict[str, Any] = {}
    if normaliser == "head":
        lengths = lengths_px("head", said.truth, names, **places)
        official["mpii"] = mpii_scores(
            normalised_errors(said.predictions, said.truth, lengths), names
        )
    if normaliser == "torso" and set(FLIC_JOINTS) <= set(names):
        flic = flic_scores(said.predictions, said.truth, names)
        official["flic"] = {k: np.asarray(value).tolist() for k, value in flic.items()}
    return scores, official


def command(arguments: Sequence[str]) -> int:
    """`avssl eval pose`.

    Raises:
        InputError: see `evaluate_pose`.
    """
    parser = argparse.ArgumentParser(prog="avssl eval pose", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="folder of a run of `avssl train keypoints`")
    parser.add_argument("--data", required=True, metavar="D", help="labelled data set")
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--no-flip-test", action="store_true", help="do not look in the mirror too")
    parser.add_argument("-o", "--out", metavar="FILE.json", help="default: RUN/pose_SPLIT.json")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(list(arguments))
    from avssl.run.pose import load_pose

    with threads_beside_loaders(Processes(device=torch.device("cpu"))):
        scores, official = evaluate_pose(
            load_pose(options.run),
            options.data,
            split=options.split,
            flip_test=not options.no_flip_test,
            quiet=options.quiet,
        )
    print(scores)
    for name, figures in official.items():
        shown = {k: v for k, v in figures.items() if isinstance(v, float) and math.isfinite(v)}
        print(f"{name}: " + ", ".join(f"{k} {value:.4f}" for k, value in shown.items()))
    out = Path(options.out) if options.out else Path(options.run) / f"pose_{options.split}.json"
    write_json(out, {"data": str(options.data), "scores": scores.as_dict(), "official": official})
    print(out)
    return 0
