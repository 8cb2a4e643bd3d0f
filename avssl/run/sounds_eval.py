"""`avssl eval sounds REF --data D`: what a sound encoder is worth, by a linear SVM on its features.

D is the unpacked ESC-50 (its official folds), or a folder with one folder of sounds a class.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.downstream import sounds as svm
from avssl.downstream.sound_features import Listening
from avssl.downstream.sounds_heard import groups_of, hear, named_alike, num_copies_across
from avssl.errors import InputError
from avssl.files import write_json, write_text
from avssl.labels.esc50 import find_esc50, read_esc50
from avssl.labels.sound_classes import LabelledSound, LabelledSounds, read_class_folders
from avssl.progress import progress_bar
from avssl.run.confusion import draw_confusion
from avssl.run.parallel import processes, threads_beside_loaders
from avssl.run.pose_tables import t_interval
from avssl.typed_json import known_name

NETWORK, UNTRAINED, MAJORITY = "network", "untrained", "majority"


def evaluate_sounds(
    ref: str,
    data: str | Path,
    *,
    subset: str = "all",
    layer: str = "",
    average: str = "features",
    window_s: float | None = None,
    hop_s: float | None = None,
    as_recorded: bool = False,
    num_folds: int = 5,
    group_by: str = "auto",
    seed: int = 0,
    device: torch.device | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Gives accuracies of the encoder, of the untrained one, of the floor and of the majority.

    Args:
        ref: as `avssl.load_encoder`; a run folder's own loudness is taken.
        data: unpacked ESC-50, or a folder of class folders.
        subset: "all" or "esc10".
        layer: "" takes the encoder's vector, else a layer of it.
        average: over a sound's windows: "features" before the SVM, "scores" after it.
        window_s: length of a window; None: what the encoder was made for.
        hop_s: most distance of two windows; None: half a window.
        as_recorded: do not bring windows to one loudness.
        num_folds: where there are no official folds.
        group_by: where there are no official folds; see `groups_of`.
        seed: of the folds that are dealt here.
        device: of the networks.
        quiet: no progress bars.

    Raises:
        InputError: what cannot be read or cross-validated.
    """
    from avssl.model import load_encoder

    encoder = load_encoder(ref, stream="sound")
    if layer:
        known_name("layer", layer, list(encoder.layers), f"one of: {', '.join(encoder.layers)}")
    labelled = _read(data, subset)
    names = labelled.classes
    own_seed, loudness_db = own_settings(ref)
    length_s = encoder.duration_s if window_s is None else window_s
    how = Listening(
        rate_hz=encoder.rate_hz,
        window_s=length_s,
        hop_s=length_s / 2 if hop_s is None else hop_s,
        loudness_db=None if as_recorded else loudness_db,
    )

    def dealt(
        sounds: Sequence[LabelledSound], groups: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        labels = np.asarray([names.index(sound.label) for sound in sounds])
        if labelled.official_folds:
            folds = np.asarray([sound.fold for sound in sounds], dtype=np.int64)
        else:
            folds = svm.deal_folds(labels, groups, num_folds=num_folds, seed=seed)
        svm.check_folds(labels, folds, names, seeded=not labelled.official_folds)
        return labels, folds

    # what the names alone show to be impossible is said before hours of listening
    alike = named_alike([one.path for one in labelled.sounds], group_by)
    dealt(labelled.sounds, [alike.get(one.path, one.path) for one in labelled.sounds])
    encoders = {NETWORK: encoder, UNTRAINED: _untrained(encoder.name, own_seed)}
    for one in encoders.values():
        one.to(device or torch.device("cpu")).eval()
    heard = hear(labelled, encoders, how, layer=layer, average=average, quiet=quiet)
    notes = list(heard.sounds.notes)
    groups = groups_of(heard, group_by)
    labels, folds = dealt(heard.sounds.sounds, groups)
    lost = {one.fold for one in labelled.sounds} - {one.fold for one in heard.sounds.sounds}
    if lost:
        raise InputError(f"{data}: no sound of fold {lost.pop()} can be read; get the files again")
    torn = num_copies_across(heard, folds)
    if torn:
        notes.append(f"{torn} sounds with an exact copy in another fold: the figures are too good")
    rows: dict[str, Any] = {}
    answers: dict[str, svm.Judged] = {}
    total = len(heard.features) * svm.num_fits(folds)
    with progress_bar("SVM", total=total, unit="fit", quiet=quiet) as bar:
        for name, features in heard.features.items():
            bar.say(name)
            answers[name] = svm.cross_validated(features, labels, folds, on_fit=bar.advance)
            rows[name] = _figures(answers[name], labels, folds, features.vectors.shape[1])
    rows[MAJORITY] = _figures(svm.majority(labels, folds), labels, folds, 0)
    unsettled = sum(judged.num_unsettled for judged in answers.values())
    if unsettled:
        notes.append(f"{unsettled} of {total} fits of the SVM had not settled")
    counts = svm.confusion(answers[NETWORK].predicted, labels, len(names))
    return {
        "ref": str(ref), "encoder": encoder.name, "data": str(data), "subset": subset,
        "features": layer or "vector", "average": average,
        "rate_hz": how.rate_hz, "window_s": how.window_s, "hop_s": how.hop_s,
        "loudness_db": how.loudness_db, "costs": list(svm.COSTS),
        "num_sounds": len(labels), "num_classes": len(names),
        "folds": {
            "kind": "official" if labelled.official_folds else "seeded, whole groups",
            "num": len(np.unique(folds)),
            **({} if labelled.official_folds else
               {"seed": seed, "group_by": group_by, "num_groups": len(set(groups))}),
        },
        "rows": rows, "classes": list(names), "confusion": counts.tolist(), "notes": notes,
        "left_out": [{"path": path, "reason": reason} for path, reason in heard.left_out],
    }  # fmt: skip


def _read(data: str | Path, subset: str) -> LabelledSounds:
    if find_esc50(data) is not None:
        return read_esc50(data, subset="esc10" if subset == "esc10" else "esc50")
    if subset != "all":
        raise InputError(f"--subset {subset}: {data} is not ESC-50 (no meta/esc50.csv there)")
    return read_class_folders(data)


def own_settings(ref: str) -> tuple[int, float | None]:
    """Gives the seed of the untrained network and the loudness that the encoder was trained at."""
    from avssl.config import FILE_NAME, read_config

    if (Path(ref) / FILE_NAME).is_file():
        config = read_config(ref)
        equal = getattr(config.task, "equal_loudness", True)
        return config.seed, getattr(config.task, "loudness_db", -20.0) if equal else None
    return 1 if ref.startswith("random:") else 0, -20.0  # random:NAME itself has seed 0


def _untrained(name: str, seed: int) -> Any:
    from avssl.model import build_encoder

    return build_encoder(name, stream="sound", seed=seed)


def _figures(
    judged: svm.Judged, labels: NDArray[np.int64], folds: NDArray[np.int64], width: int
) -> dict[str, Any]:
    plain, balanced = svm.accuracies(judged.predicted, labels, folds)
    return {
        "accuracy": float(np.mean(plain)), "interval": list(t_interval(plain)),
        "balanced_accuracy": float(np.mean(balanced)), "per_fold": plain,
        "chosen_costs": list(judged.costs), "num_features": width,
    }  # fmt: skip


def table(summary: Mapping[str, Any]) -> str:
    """Gives the figures as a table for a page, and below it what was left out."""
    folds = summary["folds"]
    head = (
        f"| {summary['num_sounds']} sounds, {summary['num_classes']} classes | accuracy | "
        f"95 % over folds | balanced | {folds['num']} folds ({folds['kind']}) | C | features |"
    )
    lines = [head, "|---" * 7 + "|"]
    for name, row in summary["rows"].items():
        low, high = row["interval"]
        each = " ".join(f"{value:.3f}" for value in row["per_fold"])
        costs = " ".join(f"{cost:g}" for cost in row["chosen_costs"]) or "–"
        lines.append(
            f"| {name} | {row['accuracy']:.3f} | {low:.3f} to {high:.3f} | "
            f"{row['balanced_accuracy']:.3f} | {each} | {costs} | {row['num_features']} |"
        )
    return "\n".join([*lines, "", *(f"- {note}" for note in summary["notes"])]).rstrip() + "\n"


def _target(options: argparse.Namespace) -> Path:
    if options.out:
        if Path(options.out).suffix != ".json":
            raise InputError(f"-o {options.out}: must end in .json; .md and .png lie beside it")
        return Path(options.out)
    ref = Path(options.ref)
    if not ref.exists():
        raise InputError(f"{options.ref}: has no folder of its own; say -o FILE.json")
    data = re.sub(r"[^A-Za-z0-9.-]+", "_", Path(options.data).resolve().name)
    name = f"sounds_{data}" + ("" if options.subset == "all" else f"_{options.subset}")
    return (ref if ref.is_dir() else ref.parent) / f"{name}.json"


def command(arguments: Sequence[str]) -> int:
    """`avssl eval sounds`.

    Raises:
        InputError: see `evaluate_sounds`.
    """
    options = _parser().parse_args(list(arguments))
    if options.group_by not in ("auto", "none", "folder"):
        try:
            re.compile(options.group_by)
        except re.error as error:
            raise InputError(f"--group-by {options.group_by!r}: no pattern ({error})") from None
    out = _target(options)
    with processes(options.device) as here, threads_beside_loaders(here):
        summary = evaluate_sounds(
            options.ref, options.data, subset=options.subset, layer=options.layer,
            average=options.average, window_s=options.window_s, hop_s=options.hop_s,
            as_recorded=options.as_recorded, num_folds=options.folds, group_by=options.group_by,
            seed=options.seed, device=here.device, quiet=options.quiet,
        )  # fmt: skip
    write_json(out, summary)
    shown = table(summary)
    write_text(out.with_suffix(".md"), shown)
    found = summary["rows"][NETWORK]["accuracy"]
    draw_confusion(
        np.asarray(summary["confusion"]), summary["classes"], out.with_suffix(".png"),
        title=f"{summary['encoder']}, accuracy {found:.3f}",
    )  # fmt: skip
    print(shown)
    print(f"{out}, {out.with_suffix('.md')}, {out.with_suffix('.png')}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="avssl eval sounds", description=__doc__)
    parser.add_argument("ref", metavar="REF", help="run folder, .safetensors file, random:NAME")
    parser.add_argument("--data", required=True, metavar="D", help="ESC-50, or class folders")
    parser.add_argument("--subset", default="all", choices=("all", "esc10"))
    parser.add_argument("--layer", default="", help="a layer instead of the vector (conv4, res4 …)")
    parser.add_argument(
        "--average", default="features", choices=("features", "scores"),
        help="what is averaged over a sound's windows: features, or the SVM's scores (slower)",
    )  # fmt: skip
    parser.add_argument("--window-s", type=float, help="default: what the encoder was made for")
    parser.add_argument("--hop-s", type=float, help="default: half a window")
    parser.add_argument("--as-recorded", action="store_true", help="windows keep their loudness")
    parser.add_argument("--folds", type=int, default=5, help="without official ones (5)")
    parser.add_argument("--seed", type=int, default=0, help="of the folds dealt here")
    parser.add_argument(
        "--group-by", default="auto", metavar="HOW",
        help="what must not be torn by folds dealt here, besides copies: auto (names), none, "
        "folder, or a pattern",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("-o", "--out", metavar="FILE.json", help="default: in the run's folder")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser
