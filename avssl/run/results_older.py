"""The results that have forms of their own, read into the common one (`avssl.run.results`).

| file | rows | main metric |
|---|---|---|
| localization_SPLIT.json | tables: all moments, several candidates, off centre | cIoU@0.5 |
| retrieval_SPLIT.json | network, untrained, random order | nDCG@30, picture → sound |
| sounds_DATA.json | network, untrained, log-mel statistics, majority | accuracy |
| propagation_SPLIT.json | network, untrained, identity | J&F mean, or the first PCK |
| pretext_SPLIT.json | network, the blind answer | the first score that has a blind answer |
| pose_SPLIT.json | network; a second table joint by joint | mean PCK |
| audit_TASK.json | the task's shortcuts | none: it judges the task, not the network |
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from avssl.run.results import Figure, Result, counts_of, figure_at, rows_of, with_interval

Reader = Callable[[Path, Mapping[str, Any]], list[Result]]

_LOWER = ("loss", "error", "px", "angle")
"""A metric that has one of these in its name is better when it is lower."""
_PARTS = ("two or more candidates", "off centre")
_ORACLE = "The oracle knows the truth and draws it with as many pixels as the maps allow."
_COUNTED = ("num_pictures", "num_without_truth", "num_not_finite", "num_features")


def reader_of(path: Path, whole: Mapping[str, Any]) -> Reader | None:
    """Gives the reader of a file, None where it is of the common form or of none."""
    rows = whole.get("rows")
    if "metric" in whole:
        return None
    if isinstance(rows, list) and path.name.startswith("audit"):
        return _audit
    if isinstance(whole.get("scores"), dict):
        return _pretext if isinstance(whole.get("trivial"), dict) else _pose
    if not isinstance(rows, dict):
        return None
    if "num_moments" in whole:
        return _localization
    if "random order" in rows:
        return _retrieval
    if "num_sounds" in whole:
        return _sounds
    return _propagation if whole.get("kind") in ("masks", "points") else None


def better_of(metric: str) -> str:
    """Gives "lower" for losses, errors and angles, else "higher"."""
    return "lower" if any(word in metric.lower() for word in _LOWER) else "higher"


def _split(path: Path, whole: Mapping[str, Any]) -> str:
    last = path.stem.rpartition("_")[2]
    return str(whole.get("split") or (last if last in ("train", "validation", "test") else ""))


def _about(path: Path, whole: Mapping[str, Any]) -> dict[str, Any]:
    return {"path": path, "data": str(whole.get("data", "")), "split": _split(path, whole)}


def _localization(path: Path, whole: Mapping[str, Any]) -> list[Result]:
    found = []
    for part in ((), *((name,) for name in _PARTS if name in whole)):
        title = "Where sound comes from" + (f": {part[0]}" if part else "")
        moments = figure_at(whole, *part, "num_moments")
        found.append(
            Result(
                kind="localization",
                title=title,
                rows=rows_of(whole, *part, skip=_COUNTED),
                metric="ciou_at_05",
                counts={"num_moments": moments} if part and moments else counts_of(whole),
                note="" if part else _ORACLE,
                **_about(path, whole),
            )
        )  # fmt: skip
    return found


def _retrieval(path: Path, whole: Mapping[str, Any]) -> list[Result]:
    rows = rows_of(whole)
    metric = "im-aud" if "im-aud" in rows.get("network", {}) else "im-im"
    return [
        Result(
            kind="retrieval",
            title="Pictures and sounds found by each other",
            rows=rows,
            metric=metric,
            chance=rows["random order"].get(metric),
            counts=counts_of(whole),
            note="nDCG@30 from the first to the second (im: pictures, aud: sounds), and recall of "
            "the own clip.",
            **_about(path, whole),
        )
    ]


def _sounds(path: Path, whole: Mapping[str, Any]) -> list[Result]:
    rows = {}
    for row, cells in rows_of(whole, skip=_COUNTED).items():
        known = dict(cells)
        judged = with_interval(known.get("accuracy"), whole, "rows", row, "interval")
        if judged is not None:
            known["accuracy"] = judged
        rows[row] = known
    beside = path.with_suffix(".png").name
    return [
        Result(
            kind="sounds",
            title="Sounds told apart by a linear SVM",
            rows=rows,
            metric="accuracy",
            counts=counts_of(whole),
            pictures=(beside,) if path.with_suffix(".png").is_file() else (),
            alts={beside: "confusion matrix: true classes down, answers across"},
            note="; ".join(map(str, whole.get("notes", ()))),
            **_about(path, whole),
        )
    ]


def _propagation(path: Path, whole: Mapping[str, Any]) -> list[Result]:
    rows = rows_of(whole)
    first = next(iter(rows.values()), {})
    return [
        Result(
            kind="propagation",
            title=f"Labels carried along by features ({whole['kind']})",
            rows=rows,
            metric=next(iter(first), ""),
            counts=counts_of(whole),
            note="; ".join(map(str, whole.get("notes", ()))),
            **_about(path, whole),
        )
    ]


def _pretext(path: Path, whole: Mapping[str, Any]) -> list[Result]:
    rows: dict[str, dict[str, Figure]] = {}
    for row, part in (("network", "scores"), ("trivial: blind guess", "trivial")):
        cells = {name: figure_at(whole, part, name) for name in whole[part]}
        rows[row] = {name: figure for name, figure in cells.items() if figure is not None}
    metric = next(iter(rows["trivial: blind guess"]), next(iter(rows["network"]), ""))
    return [
        Result(
            kind="pretext",
            title=f"Its own question: {whole.get('task', '')}",
            rows=rows,
            metric=metric,
            better=better_of(metric),
            counts=counts_of(whole),
            note="A blind guess is the best answer that never looks at the sample.",
            **_about(path, whole),
        )
    ]


def _pose(path: Path, whole: Mapping[str, Any]) -> list[Result]:
    scores = whole["scores"]
    if "pck_mean" not in scores:
        return []
    row = {}
    for name, ends in (
        ("pck_mean", "pck_interval"), ("pck_mean_of_joints", ""), ("auc", "auc_interval"),
        ("error_px", "error_px_interval"), ("median_error_px", "median_error_px_interval"),
    ):  # fmt: skip
        figure = figure_at(whole, "scores", name)
        figure = with_interval(figure, whole, "scores", ends) if ends else figure
        if figure is not None:
            row[name] = figure
    counts = {
        name: figure
        for name in ("num_images", "num_people", "num_left_out", "threshold")
        if (figure := figure_at(whole, "scores", name)) is not None
    }
    joints: dict[str, dict[str, Figure]] = {}
    for place, joint in enumerate(scores.get("names", ())):
        cells = {
            name: figure_at(whole, "scores", key, place)
            for name, key in (("PCK", "pck"), ("error_px", "joint_error_px"),
                              ("labelled", "num_labelled"))
        }  # fmt: skip
        joints[joint] = {name: figure for name, figure in cells.items() if figure is not None}
    about: dict[str, Any] = {"kind": "pose", **_about(path, whole)}
    note = f"PCK: within {scores.get('threshold', '?')} of {scores.get('normaliser', 'a length')}."
    main = Result(
        title="Joints", rows={"network": row}, metric="pck_mean", note=note, counts=counts, **about
    )
    each = Result(title="Joints, one by one", rows=joints, metric="PCK", **about)
    return [main, each] if any(joints.values()) else [main]


def _audit(path: Path, whole: Mapping[str, Any]) -> list[Result]:
    rows: dict[str, dict[str, Figure]] = {}
    remarks = {}
    for place, one in enumerate(whole["rows"]):
        name = str(one.get("name", place))
        cells = {
            f"{shown}, {kind}": figure_at(whole, "rows", place, part, f"{key}_auc")
            for shown, part in (("as set", "on"), ("guard off", "off"), ("guard on", "closed"))
            for kind, key in (("linear", "linear"), ("trees", "small"))
        }
        cells["counts above"] = figure_at(whole, "rows", place, "counts_above")
        rows[name] = {shown: figure for shown, figure in cells.items() if figure is not None}
        verdict = str(one.get("verdict", "")).replace("**", "")
        remarks[name] = ": ".join(filter(None, (verdict, str(one.get("leak", "")))))
    return [
        Result(
            kind="audit",
            title=f"Does {whole.get('task', 'the task')} give its answer away?",
            rows=rows,
            remarks=remarks,
            note="AUC of two small classifiers that see cheap numbers alone; 0.5 is a blind guess, "
            "and what lies above the last figure counts.",
            **_about(path, whole),
        )
    ]
