"""`avssl.load_pose`, and `avssl pose predict`: joints of a video, drawn into it and as a table."""

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.config import read_config
from avssl.decode import open_video
from avssl.downstream.keypoints import Keypoints
from avssl.downstream.pose_model import Pose
from avssl.errors import InputError
from avssl.files import check_target, replacing
from avssl.progress import progress_bar
from avssl.run.folder import HEAD_FILE
from avssl.run.overlay import OverlayWriter
from avssl.run.parallel import Processes, threads_beside_loaders
from avssl.task import widths_of
from avssl.transform.drawing import draw_pose


def load_pose(run: str | Path) -> Pose:
    """Gives the trained pose network of a run's folder, on the CPU.

    Raises:
        InputError: no finished run of `avssl train keypoints` there.
    """
    from safetensors.torch import load_file

    from avssl.model import load_encoder

    config = read_config(run)
    if not isinstance(config.task, Keypoints):
        raise InputError(f"{run}: a run of {config.task.name}; a pose comes from `train keypoints`")
    path = Path(run) / HEAD_FILE
    if not path.is_file():
        raise InputError(f"{run}: no {HEAD_FILE} yet; finish it with `avssl resume {run}`")
    encoder = load_encoder(run, "vision")
    head = config.task.head(widths_of({"vision": encoder}))
    head.load_state_dict(load_file(path))
    return Pose(config.task, {"vision": encoder}, head)


def predict_video(
    pose: Pose,
    video: str | Path,
    *,
    out: str | Path | None = None,
    csv_path: str | Path | None = None,
    box_px: tuple[float, float, float, float] | None = None,
    scorer: str = "avssl",
    min_confidence: float = 0.2,
    quiet: bool = False,
) -> NDArray[np.float32]:
    """Finds the joints in every frame of a video; one person (or animal) is followed.

    Args:
        pose: the network.
        video: any file that `avssl.open_video` reads.
        out: mp4 with the joints drawn in and the sound kept; None draws none.
        csv_path: table in DeepLabCut's layout (scorer, bodyparts, coords; x, y, likelihood).
        box_px: where the person is in the first frame (x0, y0, x1, y1).
        scorer: name in the table.
        min_confidence: joints below it are not drawn (the table has all).
        quiet: no progress bar.

    Returns:
        float32 [num_frames, K, 3].
    """
    found: list[NDArray[np.float32]] = []
    with open_video(video) as reader:
        times_s: list[float] = []
        waiting: list[NDArray[np.uint8]] = []

        def frames() -> Iterator[NDArray[np.uint8]]:
            for time_s, frame in reader.iter_frames():
                times_s.append(time_s)
                waiting.append(frame)
                yield frame

        writer = None if out is None else OverlayWriter(out, source=video, reader=reader)
        total = reader.num_frames
        try:
            with progress_bar("pose", total=total, unit="frame", quiet=quiet) as bar:
                for joints in pose.follow(frames(), box_px=box_px):
                    found.append(joints)
                    frame = waiting.pop()
                    if writer is not None:
                        picture = draw_pose(
                            frame, joints, edges=pose.task.edges, min_confidence=min_confidence
                        )
                        writer.write(picture, times_s[-1])
                    bar.advance()
            if writer is not None:
                writer.close()
        finally:
            if writer is not None:
                writer.abandon()
    result = np.stack(found) if found else np.zeros((0, len(pose.joint_names), 3), np.float32)
    if csv_path is not None:
        write_table(csv_path, result, names=pose.joint_names, scorer=scorer)
    return result


def write_table(
    path: str | Path, joints: NDArray[np.float32], *, names: Sequence[str], scorer: str
) -> None:
    """Writes joints [T, K, 3] as DeepLabCut's CSV: three rows of heads, a row a frame."""
    with replacing(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["scorer", *[scorer] * (3 * len(names))])
        writer.writerow(["bodyparts", *[name for name in names for _ in range(3)]])
        writer.writerow(["coords", *["x", "y", "likelihood"] * len(names)])
        for number, row in enumerate(joints):
            values = [f"{value:.4f}" for value in row.ravel()]
            writer.writerow([number, *values])


def command(arguments: Sequence[str]) -> int:
    """`avssl pose predict` and `avssl pose curve`.

    Raises:
        InputError: an unknown word, or a run or video that cannot be used.
    """
    words = list(arguments)
    if words and words[0] == "curve":
        from avssl.run.pose_curve import command as curve

        return curve(words[1:])
    parser = argparse.ArgumentParser(prog="avssl pose", description=__doc__)
    kinds = parser.add_subparsers(required=True, metavar="predict | curve")
    predict = kinds.add_parser("predict", help="joints of a video, drawn into it and as a table")
    kinds.add_parser("curve", help="how many labels are needed: initialisations x labels x seeds")
    predict.add_argument("run", metavar="RUN", help="folder of a run of `avssl train keypoints`")
    predict.add_argument("video", metavar="VIDEO")
    predict.add_argument("-o", "--out", metavar="OUT.mp4", help="default: VIDEO_pose.mp4 here")
    predict.add_argument("--csv", metavar="FILE", help="default: OUT with .csv")
    predict.add_argument(
        "--box", nargs=4, type=float, metavar="PX", help="x0 y0 x1 y1 in the first frame"
    )
    predict.add_argument("--min-confidence", type=float, default=0.2)
    predict.add_argument("--quiet", action="store_true", help="no progress bar")
    options: Any = parser.parse_args(words)
    out = Path(options.out or f"{Path(options.video).stem}_pose.mp4")
    if out.suffix != ".mp4":
        raise InputError(f"{out}: the video that is written must end in .mp4")
    table = Path(options.csv) if options.csv else out.with_suffix(".csv")
    for path in (out, table):
        check_target(path)
    with threads_beside_loaders(Processes(device=torch.device("cpu"))):
        joints = predict_video(
            load_pose(options.run),
            options.video,
            out=out,
            csv_path=table,
            box_px=tuple(options.box) if options.box else None,
            scorer=f"avssl_{Path(options.run).name}",
            min_confidence=options.min_confidence,
            quiet=options.quiet,
        )
    sure = float((joints[..., 2] >= options.min_confidence).mean()) if joints.size else 0.0
    print(f"{out}, {table}: {len(joints)} frames, {sure:.0%} of the joints drawn")
    return 0
