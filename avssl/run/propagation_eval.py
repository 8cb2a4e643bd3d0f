"""`avssl eval propagation REF --data D`: labels of the first frame carried along by features."""

import argparse
import functools
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avssl.catalog import Catalog
from avssl.decode.fetch import Fetcher
from avssl.downstream import propagation_metrics as metrics
from avssl.downstream.propagation import (
    Protocol,
    mask_labels,
    mask_of,
    point_labels,
    points_of,
)
from avssl.errors import InputError
from avssl.files import write_json, write_text
from avssl.labels.davis import VOID, find_davis, read_davis, read_mask, read_picture
from avssl.labels.followed import has_people, people_of
from avssl.progress import progress_bar
from avssl.run.parallel import Processes, threads_beside_loaders
from avssl.run.propagation_maps import Maps, carried, choose_layer, maps_of

PCK_THRESHOLDS = (0.1, 0.2)
"""As for J-HMDB (papers.md §6.3); of the longer side of the person's box [ours]."""
_DAVIS_LISTS = {"train": "train", "validation": "val", "test": "test-dev"}


def judge_masks(
    root: str | Path,
    rows: dict[str, Maps | None],
    *,
    split: str,
    protocol: Protocol,
    max_clips: int = 0,
    quiet: bool = True,
) -> dict[str, Any]:
    """Gives J and F of each row on a list of DAVIS; a row without maps copies the first mask.

    Args:
        root: see `avssl.labels.davis.read_davis`.
        rows: name → maps of pictures, or None.
        split: "train", "validation", or "test" where somebody has the masks of test-dev.
        protocol: see `propagate`.
        max_clips: so many sequences, drawn; 0: all.
        quiet: no progress bar.

    Raises:
        InputError: no sequence of the list has all its masks.
    """
    try:
        found = read_davis(root, split=_DAVIS_LISTS[split])
    except InputError as error:
        if split != "test":
            raise
        raise InputError(
            f"{root}: --split test is DAVIS's test-dev, of which only the first masks are public; "
            "give --split validation"
        ) from error
    chosen = [found.sequences[k] for k in _drawn(len(found.sequences), max_clips)]
    values: dict[str, dict[str, Any]] = {name: {} for name in rows}
    with progress_bar("propagation", total=len(chosen), unit="sequence", quiet=quiet) as bar:
        for sequence in chosen:
            truth = [read_mask(path) for path in sequence.masks]
            if len({mask.shape for mask in truth}) > 1:
                raise InputError(f"{sequence.masks[0].parent}: masks of several sizes")
            numbers = truth[0][truth[0] != VOID]
            num_objects = int(numbers.max()) if numbers.size else 0
            for name, maps in rows.items():
                masks = [truth[0]] * len(truth)
                if maps is not None:
                    make = functools.partial(mask_labels, truth[0], num_objects=num_objects)
                    shown = (read_picture(path) for path in sequence.pictures)
                    height, width = truth[0].shape
                    soft = carried(maps(shown), make, protocol)
                    masks = [mask_of(one, size=(height, width)) for one in soft]
                values[name][sequence.name] = metrics.sequence_values(
                    masks, truth, num_objects=num_objects
                )
            bar.advance()
    return {
        "kind": "masks",
        "num_clips": len(chosen),
        "notes": list(found.notes),
        "rows": {name: metrics.davis_figures(own) for name, own in values.items()},
        "sequences": {
            name: {clip: metrics.davis_figures({clip: both}) for clip, both in own.items()}
            for name, own in values.items()
        },
    }


def _drawn(num: int, most: int) -> list[int]:
    """Draws at most `most` of `num` places (0: all), in order, always the same: lists of videos are
    in the order of the alphabet, where those of one subject stand together."""
    return sorted(np.random.default_rng(0).permutation(num)[: most or num].tolist())


def judge_points(
    data: str | Path,
    rows: dict[str, Maps | None],
    *,
    split: str,
    protocol: Protocol,
    rate_hz: float = 8.0,
    length_s: float = 3.0,
    max_clips: int = 0,
    quiet: bool = True,
) -> dict[str, Any]:
    """Gives PCK of each row on clips with known joints; a row without maps copies the first ones.

    Args:
        data: a prepared data set whose clips say where joints are (`avssl.labels.followed`).
        rows: name → maps of pictures, or None.
        split: of the data set.
        protocol: see `propagate`.
        rate_hz: frames a second that are looked at.
        length_s: from the clip's first frame on.
        max_clips: so many, drawn; 0: all.
        quiet: no progress bar.

    Raises:
        InputError: no clip of the split says where joints are.
    """
    catalog = Catalog.read(data).select(split=split, keep=has_people)
    if not len(catalog):
        raise InputError(f"{data}: no clip of {split!r} says where people's joints are in it")
    chosen = _drawn(len(catalog), max_clips)
    fetcher = Fetcher(catalog.directory)
    errors: dict[str, list[Any]] = {name: [] for name in rows}
    num_people = 0
    with progress_bar("propagation", total=len(chosen), unit="clip", quiet=quiet) as bar:
        for index in chosen:
            row = catalog.row(index)
            last_s = min(row.start_s + length_s, float(row.frame_times_s[-1]))
            times_s = row.start_s + np.arange(0, last_s - row.start_s + 1e-6, 1 / rate_hz) + 1e-3
            times_s = np.minimum(times_s, row.frame_times_s[-1] + 0.5 * row.last_frame_s)
            people = people_of(row, times_s.tolist())
            num_people += len(people)
            frames = fetcher.frames(row, times_s).frames if people else None
            if people and frames is not None:
                picture_px = (frames.shape[3], frames.shape[2])
                points = np.concatenate([one.points_px for one in people], axis=1)
                for name, maps in rows.items():
                    found = np.repeat(points[:1], len(points), axis=0)
                    if maps is not None:
                        make = functools.partial(point_labels, points[0], picture_px=picture_px)
                        soft = carried(maps(frames), make, protocol)
                        found = np.stack([points_of(one, picture_px=picture_px) for one in soft])
                    parts = np.split(found, len(people), axis=1)
                    for person, own in zip(people, parts, strict=True):
                        each = metrics.point_errors(own, person.points_px, person.lengths_px)
                        errors[name].append(each[1:])  # the first frame's are given
            bar.advance()
    fetcher.close()
    if not num_people:
        raise InputError(f"{data}: nobody is seen at the beginning of the clips of {split!r}")
    return {
        "kind": "points",
        "num_clips": len(chosen),
        "num_people": num_people,
        "rows": {name: metrics.pck_of(own, PCK_THRESHOLDS) for name, own in errors.items()},
    }


def evaluate_propagation(
    ref: str,
    data: str | Path,
    *,
    split: str = "",
    layer: str = "",
    short_side_px: int = 0,
    grey: bool = False,
    protocol: Protocol | None = None,
    quiet: bool = True,
    **more: Any,
) -> dict[str, Any]:
    """Gives the figures of an encoder beside copying, and beside its network with first weights.

    Args:
        ref: see `avssl.model.load_encoder`.
        data: a folder in DAVIS's layout (masks), or a prepared data set with known joints (points).
        split: train, validation (the default for DAVIS) or test (the default else).
        layer: whose maps are compared; see `choose_layer`.
        short_side_px: pictures are scaled to it; 0: as stored.
        grey: show the networks lightness alone.
        protocol: the published one.
        quiet: no progress bar.
        more: of `judge_masks` or `judge_points`.

    Raises:
        InputError: see those, and `choose_layer`; or a rate or a length for DAVIS.
    """
    from avssl.model import build_encoder, load_encoder

    is_davis = find_davis(data) is not None
    if is_davis and more.keys() & {"rate_hz", "length_s"}:
        raise InputError(
            f"{data}: DAVIS's frames have no clock, and all of them are looked at; leave "
            "--rate-hz and --seconds out"
        )

    encoder = load_encoder(ref)
    name = choose_layer(encoder, layer)
    fresh = build_encoder(encoder.name, seed=0).eval()
    rows: dict[str, Maps | None] = {
        "identity (copy the first)": None,
        "untrained": maps_of(fresh, name, short_side_px=short_side_px, grey=grey),
        "network": maps_of(encoder, name, short_side_px=short_side_px, grey=grey),
    }
    how = protocol or Protocol()
    split = split or ("validation" if is_davis else "test")
    judge = judge_masks if is_davis else judge_points
    found = judge(data, rows, split=split, protocol=how, quiet=quiet, **more)
    about = {"encoder": encoder.name, "layer": name, "stride_px": encoder.layers[name][1]}
    about["grey"] = grey
    return {**about, "split": split, "protocol": asdict(how), **found}


def table(summary: dict[str, Any]) -> str:
    """Gives the figures as a table for a page."""
    names = list(next(iter(summary["rows"].values())))
    head = f"| {summary['num_clips']} clips, {summary['encoder']} {summary['layer']} | "
    lines = [head + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row, figures in summary["rows"].items():
        lines.append(f"| {row} | " + " | ".join(f"{figures[name]:.3f}" for name in names) + " |")
    return "\n".join([*lines, *(f"\n{note}" for note in summary.get("notes", ()))]) + "\n"


def command(arguments: Sequence[str]) -> int:
    """`avssl eval propagation`.

    Raises:
        InputError: see `evaluate_propagation`.
    """
    parser = argparse.ArgumentParser(prog="avssl eval propagation", description=__doc__)
    parser.add_argument("ref", metavar="REF", help="run folder, timm:NAME, random:NAME or a file")
    parser.add_argument("--data", required=True, metavar="D", help="DAVIS, or clips with joints")
    parser.add_argument("--split", default="", choices=("train", "validation", "test"))
    parser.add_argument("--layer", default="", help="default: the deepest of stride 8 px")
    parser.add_argument("--short-side", type=int, default=0, metavar="PX", help="scale to (as is)")
    parser.add_argument("--grey", action="store_true", help="show the network lightness alone")
    parser.add_argument("--max-clips", type=int, default=0, metavar="N", help="only so many, drawn")
    for name, metavar, told in (
        ("rate-hz", "HZ", "frames a second of clips with joints (8)"),
        ("seconds", "S", "of each clip with joints (3)"),
    ):
        parser.add_argument(f"--{name}", type=float, metavar=metavar, help=told)
    for name, kind, value in (
        ("top-k", int, 10), ("context", int, 20), ("radius", float, 12.0),
        ("temperature", float, 0.05),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=kind, default=value, help=f"({value:g})")
    parser.add_argument("-o", "--out", metavar="FILE.json", help="default: in REF if a folder")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(list(arguments))
    if min(options.short_side, options.max_clips) < 0:
        raise InputError("--short-side and --max-clips: must be 0 or more")
    times = {"rate_hz": options.rate_hz, "length_s": options.seconds}
    times = {name: value for name, value in times.items() if value is not None}
    if not all(0 < value < math.inf for value in times.values()):
        raise InputError("--rate-hz and --seconds: must be above 0")
    protocol = Protocol(
        top_k=options.top_k,
        context=options.context,
        radius=options.radius,
        temperature=options.temperature,
    )
    with threads_beside_loaders(Processes(device=torch.device("cpu"))):
        summary = evaluate_propagation(
            options.ref,
            options.data,
            split=options.split,
            layer=options.layer,
            short_side_px=options.short_side,
            grey=options.grey,
            protocol=protocol,
            quiet=options.quiet,
            max_clips=options.max_clips,
            **times,
        )
    folder = Path(options.ref) if Path(options.ref).is_dir() else Path()
    out = Path(options.out) if options.out else folder / f"propagation_{summary['split']}.json"
    write_json(out, {"data": str(options.data), **summary})
    shown = table(summary)
    write_text(out.with_suffix(".md"), shown)
    print(shown)
    print(f"{out}, {out.with_suffix('.md')}")
    return 0
